"""Frames in, `FrameResult` out: no ROS, no files."""
