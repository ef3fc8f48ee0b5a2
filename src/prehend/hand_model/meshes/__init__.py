"""The hand's mesh: at several resolutions, its joints, and the pose that it shows."""
