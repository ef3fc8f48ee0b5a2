"""UniHOPE and its kin: pose and shape of a hand, and the pose of what it holds."""
