"""From an image to what a network sees of it, and back: the one preprocessing of training and robot."""
