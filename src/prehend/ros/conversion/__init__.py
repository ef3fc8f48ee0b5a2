"""Values in, messages out; nothing here knows a node."""
