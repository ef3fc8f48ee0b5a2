"""Verbs that train networks, measure them and write their weights."""
