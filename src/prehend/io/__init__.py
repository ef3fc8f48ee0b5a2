"""Files and devices: where images come from, where predictions and overlays go."""
