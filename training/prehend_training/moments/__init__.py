"""What dates grasps learns from films."""
