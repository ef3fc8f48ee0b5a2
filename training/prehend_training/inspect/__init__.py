"""Contact sheets, statistics, a demo clip: looking at data."""
