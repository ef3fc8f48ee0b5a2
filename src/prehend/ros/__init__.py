"""The ROS 2 side: messages, the node, and the player of images. Only `node` and `play` need rclpy, when they run."""
