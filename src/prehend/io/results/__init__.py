"""What goes out: predictions, events, overlays."""
