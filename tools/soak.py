"""Lets the node run for long: images of changing sizes, cameras and hands, one after the other, `--help`.

Images and calibrations go over DDS to a `prehend node` process with the shipped weights; each image waits for its
answer, and one that has none in time is sent again once and counted as lost. Memory, descriptors and threads of the
node are read from /proc. After the first fifth they must stay: memory within 10 % and 30 MB, the others within 2.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

CLIP = Path(__file__).parents[1] / "examples" / "hands.mp4"
SIZES = ((640, 480), (320, 240), (480, 640), (848, 480), (160, 120))
SEGMENT = 40
"""Images between changes of size and camera."""

ANSWER_S = 10.0
START_S = 120.0
WARM_UP = 0.2
"""Share of the images after which nothing may grow."""


@dataclass
class Sample:
    """The node's process at some time."""

    frames: int
    rss_mb: float
    descriptors: int
    threads: int


@dataclass
class Report:
    """What came of it."""

    frames: int = 0
    seconds: float = 0.0
    lost: int = 0
    hands: int = 0
    with_metres: int = 0
    sizes: int = 0
    samples: list[Sample] = field(default_factory=list)

    def faults(self, total: int) -> list[str]:
        """What is not as it should be."""
        late = [one for one in self.samples if one.frames >= WARM_UP * total]
        found = [f"{self.lost} images lost"] if self.lost else []
        if not self.hands:
            found.append("no hand was ever found")
        if late:
            first, last = late[0], late[-1]
            # a network's arena grows once for each number of hands that come together
            if last.rss_mb > max(1.1 * first.rss_mb, first.rss_mb + 64):
                found.append(f"memory grew from {first.rss_mb:.0f} to {last.rss_mb:.0f} MB")
            for name in ("descriptors", "threads"):
                values = [getattr(one, name) for one in late]
                if max(values) - min(values) > 2:
                    found.append(f"{name} went from {min(values)} to {max(values)}")
        return found


class Bench:
    """Publishes to a node and waits for its answers."""

    def __init__(self, pid: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile

        from prehend.ros import messages as m

        self.pid, self._m = pid, m
        rclpy.init()
        self._node = rclpy.create_node("prehend_soak")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(m.message_class(m.IMAGE), "/image_raw", 10)
        self._infos = self._node.create_publisher(m.message_class(m.CAMERA_INFO), "/camera_info", 10)
        self._answers: dict[tuple[int, int], Any] = {}
        self._node.create_subscription(
            m.message_class(m.HAND_ARRAY), "/prehend/hands", self._on_hands, QoSProfile(depth=100), raw=True
        )

    def _on_hands(self, data: bytes) -> None:
        message = self._m.decode(data, self._m.HAND_ARRAY)
        self._answers[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def until_ready(self) -> None:
        """Wait for the node to answer; raises `TimeoutError`."""
        end = time.monotonic() + START_S
        while self.ask(np.zeros((48, 64, 3), np.uint8), np.zeros((3, 3)), answer_s=1.0) is None:
            if time.monotonic() > end:
                raise TimeoutError("the node does not answer")

    def ask(self, image: np.ndarray, K: np.ndarray, answer_s: float | None = None) -> Any:
        """Send an image with its calibration; returns the answer, None where none comes in time."""
        from prehend.ros.conversion.convert import header_message
        from prehend.ros.conversion.images import camera_message, image_message

        header = header_message(time.time(), "camera_color_optical_frame")
        height, width = image.shape[:2]
        info = camera_message(header, None, width, height)
        info.k, info.p = K.ravel(), np.hstack([K, np.zeros((3, 1))]).ravel()
        self._infos.publish(self._m.encode(info))
        self._images.publish(self._m.encode(image_message(header, image)))
        key, end = (
            (header.stamp.sec, header.stamp.nanosec),
            time.monotonic() + (ANSWER_S if answer_s is None else answer_s),
        )
        while key not in self._answers and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
        return self._answers.pop(key, None)

    def sample(self, frames: int) -> Sample:
        """The node's process now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        count = {name: len(os.listdir(f"/proc/{self.pid}/{name}")) for name in ("fd", "task")}  # noqa: PTH208
        return Sample(frames, rss_kb / 1024, count["fd"], count["task"])

    def close(self) -> None:
        """Leave ROS."""
        from prehend.ros.start import end_ros

        self._executor.shutdown()
        end_ros(self._node)


def pictures(clip: Path, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and their K without end: the clip's frames, mirrored, shifted, dark, hidden, in every size."""
    capture = cv2.VideoCapture(str(clip))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    dice = random.Random(seed)
    while True:
        width, height = dice.choice(SIZES)
        focal = max(width, height) * dice.uniform(0.6, 1.4)
        known = dice.random() < 0.8  # else the camera says that it is not calibrated
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]) * known
        start, kind = dice.randrange(len(frames)), dice.choice(("as it is", "as it is", "mirrored", "shifted", "noise"))
        for n in range(SEGMENT):
            image = cv2.resize(frames[(start + n) % len(frames)], (width, height))
            if kind == "mirrored":
                image = image[:, ::-1]
            elif kind == "shifted":
                image = np.roll(image, n * width // SEGMENT, axis=1)
            elif kind == "noise" or dice.random() < 0.02:
                image = np.random.default_rng(n).integers(0, 256, image.shape, np.uint8)
            yield np.ascontiguousarray(image), K


def soak(bench: Bench, total: int, seed: int, budget_s: float) -> Report:
    """Send `total` images, or as many as fit into `budget_s`."""
    report, began, sizes = Report(), time.monotonic(), set()
    every = max(1, total // 50)
    for number, (image, K) in zip(tqdm(range(total), unit="image", disable=None), pictures(CLIP, seed), strict=False):
        if time.monotonic() - began > budget_s:
            break
        answer = bench.ask(image, K)
        if answer is None:
            report.lost += 1
            answer = bench.ask(image, K)
        if answer is not None:
            report.hands += len(answer.hands)
            report.with_metres += not answer.camera_estimated
        sizes.add(image.shape[:2])
        report.frames += 1
        if number % every == 0:
            report.samples.append(bench.sample(report.frames))
    report.samples.append(bench.sample(report.frames))
    report.seconds, report.sizes = time.monotonic() - began, len(sizes)
    return report


@contextlib.contextmanager
def running_node() -> Iterator[subprocess.Popen[bytes]]:
    """`prehend node` in a process of its own."""
    command = [sys.executable, "-m", "prehend.cli.main", "node", "--ros-args", "-p", "image_reliability:=reliable"]
    process = subprocess.Popen([*command, "-p", "threads:=1"], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 where something grew or got lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000, help="images to send (default: 100000)")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    args = parser.parse_args(argv)
    os.environ.setdefault("ROS_DOMAIN_ID", "101")
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    from prehend.ros import use_large_data

    use_large_data()
    with running_node() as node:
        bench = Bench(node.pid)
        try:
            bench.until_ready()
            report = soak(bench, args.frames, args.seed, 60 * args.minutes)
        finally:
            bench.close()
    faults = report.faults(report.frames)
    shown = [report.samples[round(n * (len(report.samples) - 1) / 5)] for n in range(6)]
    print(f"{report.frames} images of {report.sizes} sizes in {report.seconds:.0f} s, {report.lost} lost")
    print(f"{report.hands} hands, {report.with_metres} images with a calibrated camera")
    print("images    memory [MB]  descriptors  threads")
    for one in shown:
        print(f"{one.frames:<9} {one.rss_mb:<12.0f} {one.descriptors:<12} {one.threads}")
    print("; ".join(faults) or "nothing grew")
    if args.json:
        args.json.write_text(json.dumps(asdict(report)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
