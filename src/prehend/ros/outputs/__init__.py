"""What a node gives out about an image, as topics or as a bag."""
