"""Layers that every network is composed of."""
