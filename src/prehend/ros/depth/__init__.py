"""Depth images beside the images."""
