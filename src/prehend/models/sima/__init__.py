"""SiMA-Hand: one view, and its teacher of several."""
