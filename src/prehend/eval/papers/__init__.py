"""The papers' protocols, their published numbers, and reports in the layout of their tables."""
