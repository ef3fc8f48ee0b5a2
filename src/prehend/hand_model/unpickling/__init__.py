"""Pickles from outside, read by a process that may die."""
