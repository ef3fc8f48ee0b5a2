"""Rotations, cameras, alignment, pose from points, metric position: numpy and OpenCV only."""
