"""Verbs that make pictures for training out of others."""
