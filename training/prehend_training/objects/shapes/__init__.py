"""Meshes and the parts that solids are made of."""
