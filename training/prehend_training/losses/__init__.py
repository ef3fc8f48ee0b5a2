"""Loss terms by name."""
