"""Steady poses, held objects and grasps over time."""
