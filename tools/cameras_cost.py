"""What several cameras cost: one node for all of them against a node each, and a rig.

    python tools/cameras_cost.py --cameras 2 4 --seconds 15 --rate 10

Images are those of the demo clip at 640 x 480, shifted from camera to camera as a hand at a metre would be. Every row
is a start of its own, on the real middleware, reliable; CPU time is that of the nodes' processes while they work, from
/proc. Rows follow each other in one run, so that they see the same machine.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import yaml

SIZE = (640, 480)
K = [[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]
APART_M, SHIFT_PX = 0.1, 60


def pictures(count: int) -> list[np.ndarray]:
    """(480, 640, 3) uint8 RGB of the demo clip."""
    from prehend.resources import resource

    clip = cv2.VideoCapture(str(resource("hands.mp4")))
    found: list[np.ndarray] = []
    while len(found) < count and (frame := clip.read()[1]) is not None:
        found.append(cv2.cvtColor(cv2.resize(frame, SIZE), cv2.COLOR_BGR2RGB))
    return found


class Player:
    """Publishes the images of all cameras at once, and hears the answers."""

    def __init__(self, names: list[str]) -> None:
        import rclpy

        from prehend.ros import messages as m

        self.m, self.names = m, names
        rclpy.init()
        self.rclpy = rclpy
        self.node = rclpy.create_node("player")
        make, take = self.node.create_publisher, self.node.create_subscription
        self.images = {name: make(m.message_class(m.IMAGE), f"/{name}/image_raw", 10) for name in names}
        self.infos = {name: make(m.message_class(m.CAMERA_INFO), f"/{name}/camera_info", 10) for name in names}
        self.latencies: list[float] = []
        topics = [
            "/prehend/hands",
            *(f"/prehend/{name}/hands" for name in names),
            *(f"/node_{name}/hands" for name in names),
        ]
        for topic in topics:
            take(m.message_class(m.HAND_ARRAY), topic, self._hear, 100, raw=True)

    def _hear(self, data: bytes) -> None:
        self.latencies.append(self.m.decode(data, self.m.HAND_ARRAY).latency_ms)

    def play(self, frames: list[np.ndarray], rate: float, until_s: float) -> int:
        """Publish until a time of the steady clock; the number of images."""
        from prehend.ros.conversion import convert, images
        from prehend.types import Camera

        camera, sent, k, next_s = Camera(np.array(K), *SIZE), 0, 0, time.monotonic()
        while time.monotonic() < until_s:
            now = time.time()
            for number, name in enumerate(self.names):
                header = convert.header_message(now, f"{name}_optical")
                shown = np.roll(frames[k % len(frames)], -SHIFT_PX * number, axis=1)
                self.infos[name].publish(self.m.encode(images.camera_message(header, camera, *SIZE)))
                self.images[name].publish(self.m.encode(images.image_message(header, shown)))
                sent += 1
            k, next_s = k + 1, next_s + 1 / rate
            while time.monotonic() < next_s:
                self.rclpy.spin_once(self.node, timeout_sec=max(next_s - time.monotonic(), 0.0))
        return sent

    def close(self) -> None:
        """Leave ROS."""
        from prehend.ros.start import end_ros

        end_ros(self.node)


def cpu_s(pids: list[int]) -> float:
    """CPU time of processes so far [s]."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(value) for pair in ticks for value in pair) / os.sysconf("SC_CLK_TCK")


def memory_mb(pids: list[int]) -> float:
    """Memory of processes, what they share shared out [MB]."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) / 1024


def commands(names: list[str], how: str, folder: Path) -> list[list[str]]:
    """The nodes to start."""
    common = ["-p", "image_reliability:=reliable", "-p", "threads:=1", "-p", "publish_overlay:=false"]
    base = [sys.executable, "-m", "prehend.cli.main", "node", "--ros-args", *common]
    if how == "a node each":
        return [
            [
                *base,
                "-r",
                f"__node:=node_{name}",
                "-r",
                f"image_raw:=/{name}/image_raw",
                "-r",
                f"camera_info:=/{name}/camera_info",
            ]
            for name in names
        ]
    one = [*base, "-p", f"cameras:={','.join(names)}"]
    if how == "one node":
        return [one]
    poses = {name: np.eye(4) for name in names}
    for number, name in enumerate(names):
        poses[name][0, 3] = APART_M * number
    path = folder / "rig.yaml"
    path.write_text(yaml.safe_dump({"cameras": {name: {"T_rig_camera": T.tolist()} for name, T in poses.items()}}))
    return [[*one, "-p", "rig:=true", "-p", f"rig_file:={path}"]]


def measure(player: Player, names: list[str], how: str, frames: list[np.ndarray], rate: float, seconds: float) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        nodes = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands(names, how, Path(folder))
        ]
        try:
            while not all(publisher.get_subscription_count() for publisher in player.images.values()):
                time.sleep(0.1)
            player.play(frames, rate, time.monotonic() + 6)
            player.latencies.clear()
            before, began = cpu_s([node.pid for node in nodes]), time.monotonic()
            sent = player.play(frames, rate, began + seconds)
            used, memory = cpu_s([node.pid for node in nodes]) - before, memory_mb([node.pid for node in nodes])
        finally:
            for node in nodes:
                node.send_signal(signal.SIGTERM)
            for node in nodes:
                node.wait(30)
    answers = len(player.latencies) * (len(names) if how == "rig" else 1)
    p50, p95 = np.nanpercentile(player.latencies, [50, 95]) if player.latencies else (np.nan, np.nan)
    each_ms = 1e3 * used / max(answers, 1)
    return f"| {len(names)} | {how} | {sent} | {answers} | {each_ms:.1f} | {p50:.0f} | {p95:.0f} | {memory:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--how", nargs="+", default=["a node each", "one node", "rig", "a node each", "one node"])
    args = parser.parse_args()
    os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    frames = pictures(60)
    names = [f"cam{k}" for k in range(max(args.cameras))]
    sys.stdout.write(
        "| cameras | how | images sent | answered | CPU ms an image | latency p50 [ms] | p95 | memory [MB] |\n"
        + "|---" * 8
        + "|\n"
    )
    for count in args.cameras:
        player = Player(names[:count])
        for how in args.how:
            sys.stdout.write(measure(player, names[:count], how, frames, args.rate, args.seconds) + "\n")
            sys.stdout.flush()
        player.close()


if __name__ == "__main__":
    main()
