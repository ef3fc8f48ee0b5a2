"""Image files and messages as pixels."""
