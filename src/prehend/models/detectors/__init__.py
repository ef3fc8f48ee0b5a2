"""Detectors of hands in whole frames."""
