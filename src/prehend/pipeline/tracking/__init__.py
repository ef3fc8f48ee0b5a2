"""Which hand is which from frame to frame, what is remembered of each, and what happens to them."""
