"""Heads: from features to joints, pose and shape, objects, and whether something is held."""
