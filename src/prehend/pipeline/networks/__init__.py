"""What the networks say of a crop, and that as a hand in metres."""
