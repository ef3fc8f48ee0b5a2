"""The commands that look at images: files, cameras, rigs, the node and the player."""
