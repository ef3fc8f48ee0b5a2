"""Listen to the node: `python examples/ros_listen.py`, while `prehend node` and a camera (or `prehend play`) run.

Messages come as bytes, so this works with rclpy from wheels and with a ROS installation, whether `prehend_ros` was
built or not; where it was, an ordinary subscription to `prehend_ros.msg.HandArray` does the same.
"""

import argparse
from typing import Any

from prehend.ros import use_large_data

use_large_data()  # before rclpy starts: large images between processes need it

import rclpy  # noqa: E402
from rclpy.executors import ExternalShutdownException  # noqa: E402

from prehend.ros.messages import HAND_ARRAY, decode, message_class  # noqa: E402
from prehend.ros.start import end_ros  # noqa: E402

GRASPING = 2
"""`Grasp.state`, see msg/Grasp.msg."""


class Listener:
    """Prints what hands do, and counts the messages."""

    def __init__(self, node: Any, topic: str):
        self.heard = 0
        node.create_subscription(message_class(HAND_ARRAY), topic, self.on_hands, 10, raw=True)

    def on_hands(self, data: bytes) -> None:
        """One message for every image that the node processed."""
        message = decode(data, HAND_ARRAY)
        self.heard += 1
        stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
        print(f"{stamp:.3f} {message.header.frame_id}: {len(message.hands)} hands", flush=True)
        for hand in message.hands:
            joints_m = hand.joints_m.reshape(21, 3)
            does = "grasps" if hand.grasp.state == GRASPING else "is open or not known"
            print(f"  #{hand.track_id} {'right' if hand.side else 'left'}, wrist {joints_m[0].round(3)} m, {does}")


def main() -> int:
    """Exit code 1 when stopped before anything was heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topic", default="/prehend/hands")
    parser.add_argument("--count", type=int, default=0, help="end after so many messages (default: with Ctrl-C)")
    options = parser.parse_args()

    rclpy.init()
    node = rclpy.create_node("prehend_listener")
    listener = Listener(node, options.topic)
    try:
        while not options.count or listener.heard < options.count:
            rclpy.spin_once(node, timeout_sec=0.2)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # Ctrl-C, or SIGTERM
    end_ros(node)  # destroys it and leaves ROS, also where Fast DDS does not let go
    return 0 if listener.heard else 1


if __name__ == "__main__":
    raise SystemExit(main())
