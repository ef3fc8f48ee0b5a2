"""Batches from images that are resident in a GPU's memory."""
