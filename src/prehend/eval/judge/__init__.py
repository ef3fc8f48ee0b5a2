"""A run beside its truth: rows per hand, measures, events, tables, and the report."""
