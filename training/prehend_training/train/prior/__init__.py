"""Training of the diffusion on hand meshes."""
