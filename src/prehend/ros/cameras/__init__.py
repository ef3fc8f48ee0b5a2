"""Several cameras in one node, each apart or all as a rig."""
