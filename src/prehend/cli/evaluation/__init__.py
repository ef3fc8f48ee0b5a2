"""`prehend eval`: its plan, predictions, truth and work."""
