"""Rosbags, read without ROS."""
