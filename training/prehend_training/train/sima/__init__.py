"""Training of SiMA-Hand: a teacher of several views, and students of one that learn from it."""
