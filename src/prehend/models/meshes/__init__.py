"""Networks that answer with a mesh: H2ONet and HHMR."""
