"""Cameras of images: from messages, and from files that a user gives beside the images."""
