"""Verbs that make, take and look at images to train on."""
