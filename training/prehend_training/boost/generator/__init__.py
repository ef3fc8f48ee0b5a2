"""The diffusion that makes images of hands: what it sees, its network and its training."""
