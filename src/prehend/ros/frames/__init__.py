"""Transforms between frames as /tf tells them."""
