"""Trunks: an image in, feature maps out."""
