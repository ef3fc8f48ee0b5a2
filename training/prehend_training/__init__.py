"""Training workspace of Prehend: assets, rendered scenes, losses, training loop.

It imports `prehend`, never back.
"""
