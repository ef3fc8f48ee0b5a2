"""Verbs for the diffusion on hand meshes."""
