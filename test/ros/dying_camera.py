"""A camera driver for the tests to kill: publishes small grey images without a calibration until it ends."""

import time

import numpy as np
import rclpy

from prehend.ros.conversion.convert import header_message
from prehend.ros.conversion.images import image_message
from prehend.ros.messages import IMAGE, encode, message_class

rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(message_class(IMAGE), "/image_raw", 10)
while True:
    header = header_message(time.time(), "camera_color_optical_frame")
    publisher.publish(encode(image_message(header, np.ones((48, 64, 3), np.uint8))))
    time.sleep(0.05)
