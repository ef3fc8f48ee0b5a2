"""Plays a video into the node and shows what it publishes: `python examples/demo.py --help`.

Three processes over real DDS: `prehend play` (the camera), `prehend node`, and this one, which subscribes as a user's
program would, prints the hands and keeps the overlay images.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from prehend.ros import use_large_data

use_large_data()  # before rclpy starts, here and in the two processes below

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402

from prehend.ros.messages import COMPRESSED_IMAGE, HAND_ARRAY, MODEL_INFO, decode, message_class  # noqa: E402
from prehend.ros.start import end_ros  # noqa: E402

CLIP = Path(__file__).parent / "hands.mp4"
IMAGE_TOPIC = "/camera/image_raw"
GRASP_STATES = ("unknown", "not grasping", "GRASPING")


class Listener:
    """Subscriptions and what they heard."""

    def __init__(self, node: Any, overlay: bool) -> None:
        self.arrays: list[Any] = []
        self.pictures: list[np.ndarray] = []
        self.model: Any = None
        self.said = 0.0
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(message_class(HAND_ARRAY), "/prehend/hands", self.on_hands, 10, raw=True)
        node.create_subscription(message_class(MODEL_INFO), "/prehend/model_info", self.on_model, latched, raw=True)
        if overlay:
            topic = "/prehend/overlay/compressed"
            node.create_subscription(message_class(COMPRESSED_IMAGE), topic, self.on_overlay, 10, raw=True)

    def on_model(self, data: bytes) -> None:
        """Facts that the node latches."""
        self.model = decode(data, MODEL_INFO)
        print(f"weights {self.model.weights} ({self.model.weights_license}), hand model {self.model.hand_model}")

    def on_hands(self, data: bytes) -> None:
        """One message an image; a few lines a second are printed."""
        message = decode(data, HAND_ARRAY)
        self.arrays.append(message)
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if stamp - self.said < 0.5:
            return
        self.said = stamp
        print(f"image {stamp:.2f}  {len(message.hands)} hand(s), {message.latency_ms:.0f} ms after the image")
        for hand in message.hands:
            side = "right" if hand.side else "left"
            where = "wrist at x {:+.3f} y {:+.3f} z {:.3f} m".format(*hand.joints_m[:3])
            grasp = f"{GRASP_STATES[hand.grasp.state]} ({hand.grasp.probability:.0%})"
            print(f"    #{hand.track_id} {side:5s} {where}, {grasp}")

    def on_overlay(self, data: bytes) -> None:
        """The node's own drawing."""
        picture = cv2.imdecode(np.frombuffer(decode(data, COMPRESSED_IMAGE).data, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            self.pictures.append(picture)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """A prehend command in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "prehend.cli.main", *arguments])


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask a command to end as Ctrl-C does, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def run(ros: Any, options: argparse.Namespace) -> Listener:
    """Start node and player, listen until the player has ended."""
    listener = Listener(ros, options.overlay)
    node = start("node", "--ros-args", "-r", f"image_raw:={IMAGE_TOPIC}", "-p", "find_interval_s:=0.33")
    player = None
    try:
        deadline = time.monotonic() + 60
        while listener.model is None and node.poll() is None and time.monotonic() < deadline:
            rclpy.spin_once(ros, timeout_sec=0.2)
        if listener.model is None:
            raise SystemExit("demo: the node did not come up; see its message above")
        camera = ["--fov", str(options.fov)] if options.fov else []
        player = start("play", str(options.video), "--topic", IMAGE_TOPIC, "--rate", str(options.rate), *camera)
        while player.poll() is None and node.poll() is None:
            rclpy.spin_once(ros, timeout_sec=0.2)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            rclpy.spin_once(ros, timeout_sec=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        if player:
            stop(player)
        stop(node)
    return listener


def save(pictures: list[np.ndarray], folder: Path, rate: float) -> None:
    """Overlay images as a video and one of them as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(folder / "overlay.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    cv2.imwrite(str(folder / "overlay.png"), pictures[len(pictures) // 2])
    print(f"drawn: {folder / 'overlay.mp4'} and overlay.png beside it")


def main() -> int:
    """Run the demo; exit code 1 when nothing was heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--video", type=Path, default=CLIP, help="a video, or a folder of images (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=15.0, help="images a second (default: %(default)s)")
    parser.add_argument(
        "--fov", type=float, default=60.0, help="horizontal field of view of that camera [deg], 0: unknown"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for the pictures (default: %(default)s)"
    )
    parser.add_argument("--no-overlay", dest="overlay", action="store_false", help="do not ask for pictures")
    options = parser.parse_args()
    # a domain of its own, so that the demo does not talk to a robot nearby
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    rclpy.init()
    ros = rclpy.create_node("prehend_demo")
    try:
        return told(run(ros, options), options)
    finally:
        end_ros(ros)


def told(listener: Listener, options: argparse.Namespace) -> int:
    """Say what was heard and save what was drawn; exit code 1 when nothing was heard."""
    if not listener.arrays:
        print("demo: the node published nothing; try `prehend doctor`", file=sys.stderr)
        return 1
    with_hands = sum(bool(len(array.hands)) for array in listener.arrays)
    latency = statistics.median(array.latency_ms for array in listener.arrays)
    print(
        f"\nheard {len(listener.arrays)} HandArray messages, {with_hands} with hands; "
        f"median {latency:.0f} ms from image stamp to message"
    )
    if listener.pictures:
        save(listener.pictures, options.out, options.rate)
    return 0 if with_hands else 1


if __name__ == "__main__":
    sys.exit(main())
