"""Hands as people have them: skin, arms, clothes, shapes, gestures."""
