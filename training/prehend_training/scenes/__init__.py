"""Rendered scenes of hands and what they hold, with exact labels."""
