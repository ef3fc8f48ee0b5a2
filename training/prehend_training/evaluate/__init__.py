"""Measurements by the protocols of `prehend.eval`."""
