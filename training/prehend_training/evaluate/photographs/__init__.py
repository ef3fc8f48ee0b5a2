"""Measurements on real photographs and clips."""
