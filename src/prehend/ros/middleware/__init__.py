"""What lies between rclpy, DDS and us: types without generated code, errors, which machines are asked."""
