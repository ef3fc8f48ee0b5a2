"""Photographs with labels in 2D: what is measured on them."""
