"""A camera of 640 x 480 at 20 Hz, best effort as cameras are, until it is ended: run as a script by the tests.

With the argument "own" its Fast DDS is as it comes; else it is started as this project starts its own.
"""

import os
import sys
import time

import numpy as np

from prehend.ros import messages as m
from prehend.ros import use_large_data
from prehend.ros.conversion import convert, images
from prehend.types import Camera

CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)

if __name__ == "__main__":
    os.environ.pop("FASTDDS_BUILTIN_TRANSPORTS", None)
    if sys.argv[1:] != ["own"]:
        use_large_data()
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    rclpy.init()
    node = rclpy.create_node("camera")
    quality = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    pictures = node.create_publisher(m.message_class(m.IMAGE), "/image_raw", quality)
    infos = node.create_publisher(m.message_class(m.CAMERA_INFO), "/camera_info", 10)
    picture = np.ones((480, 640, 3), np.uint8)
    while True:
        header = convert.header_message(time.time(), "cam")
        infos.publish(m.encode(images.camera_message(header, CAMERA, 640, 480)))
        pictures.publish(m.encode(images.image_message(header, picture)))
        time.sleep(0.05)
