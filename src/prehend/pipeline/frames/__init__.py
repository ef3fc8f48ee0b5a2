"""What a frame's stages hand to one another: targets, no hand, sides, and what a track remembers."""
