"""What a node takes in: images, their calibration and their stamps."""
