"""The command `prehend-train`."""
