"""What each kind of network learns from, and by which losses."""
