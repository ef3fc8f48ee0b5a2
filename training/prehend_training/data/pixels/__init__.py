"""What is done to the pixels of a sample: what is drawn by chance for it, and the two ways to do it."""
