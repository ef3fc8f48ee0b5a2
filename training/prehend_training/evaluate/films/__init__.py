"""Measurements on films, over time."""
