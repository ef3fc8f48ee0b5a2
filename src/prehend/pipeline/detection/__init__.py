"""Hands in whole images: both kinds of detector, and when they look."""
