"""Cameras: intrinsics, lenses, the faults of their images, depth sensors."""
