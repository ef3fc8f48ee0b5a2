"""From a scene to images and labels."""
