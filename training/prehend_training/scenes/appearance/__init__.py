"""Rooms, surfaces and light around the hands."""
