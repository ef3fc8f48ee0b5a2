"""Tables of several trainings, and everything on one machine."""
