"""The search for grasps: where to place a hand, how to close it, what to keep."""
