"""Results drawn over their images."""
