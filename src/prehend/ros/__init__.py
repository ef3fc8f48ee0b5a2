"""The ROS 2 side: messages, the node, and the player of images. Only `node` and `play` need rclpy, when they run."""

import os


def use_large_data() -> None:
    """Choose Fast DDS's transports for large messages unless the user chose some; call before `rclpy.init`.

    With the default ones, images over a few hundred kilobytes get lost between processes.
    """
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
