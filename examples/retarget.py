"""A robot hand that does what a human hand does: `python examples/retarget.py my.mp4 --side right --out angles.jsonl`.

Turns the 21 joints of each frame into the angles of a hand with three joints a finger, within the robot's limits and no
faster than its motors. One line of JSON for each frame, with the fields of a sensor_msgs/JointState.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from prehend.conventions import FINGERS
from prehend.pipeline.load import load_estimator
from prehend.types import FloatArray

PARTS = ("base", "middle", "tip")
NAMES = tuple(f"{finger}_{part}" for finger in FINGERS for part in PARTS)
LIMITS_RAD = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.4], *([[0.0, 1.6], [0.0, 1.9], [0.0, 1.4]] * 4)])
"""Lowest and highest angle of each robot joint; here those of a human hand. Yours are in its URDF."""

MAX_SPEED_RAD_S = 6.0


def finger_angles(joints_m: FloatArray) -> FloatArray:
    """(15,) how far each joint is bent [rad], in the order of `NAMES`; 0 where the bones lie in one line.

    Args:
        joints_m: (21, 3) of either hand [m]. Where the hand is and how it is turned does not matter.
    """
    chains = np.concatenate([np.zeros((5, 1), int), 1 + np.arange(20).reshape(5, 4)], axis=1)  # wrist to tip
    bones = np.diff(joints_m[chains], axis=1)
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    cosines = (bones[:, :-1] * bones[:, 1:]).sum(-1)
    return np.arccos(np.clip(cosines, -1.0, 1.0)).ravel()


def command(joints_m: FloatArray, last_rad: FloatArray | None, step_s: float) -> FloatArray:
    """(15,) angles that the robot is sent [rad].

    Args:
        joints_m: (21, 3) [m].
        last_rad: (15,) what was sent before, None for the first.
        step_s: since then [s].
    """
    wanted = np.clip(finger_angles(joints_m), *LIMITS_RAD.T)
    if last_rad is None:
        return wanted
    reach = MAX_SPEED_RAD_S * step_s
    return last_rad + np.clip(wanted - last_rad, -reach, reach)


def commands(video: cv2.VideoCapture, side: str) -> Iterator[tuple[float, FloatArray]]:
    """Stamp [s] and angles for each frame that shows a hand of this side; without one the robot stays as it is."""
    rate = video.get(cv2.CAP_PROP_FPS) or 30.0
    last, then, number = None, 0.0, 0
    with load_estimator() as estimator:
        while (frame := video.read()[1]) is not None:
            rgb = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            stamp = number / rate
            hands = estimator.estimate(rgb, stamp=stamp).hands
            mine = [hand for hand in hands if hand.side == side]
            if mine:
                last = command(max(mine, key=lambda hand: hand.score).joints_m, last, stamp - then)
                then = stamp
                yield stamp, last
            number += 1


def main() -> int:
    """Exit code 1 when no hand of the side was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--side", choices=("left", "right"), default="right")
    parser.add_argument("--out", type=Path, help="write the lines there (default: standard output)")
    options = parser.parse_args()

    video = cv2.VideoCapture(str(options.video))
    if not video.isOpened():
        raise SystemExit(f"{options.video}: no video")
    stream = options.out.open("w") if options.out else sys.stdout
    sent = 0
    for stamp, angles in commands(video, options.side):
        line = {"stamp": round(stamp, 3), "name": NAMES, "position": angles.round(3).tolist()}
        stream.write(json.dumps(line) + "\n")
        sent += 1
    if options.out:
        stream.close()
    return 0 if sent else 1


if __name__ == "__main__":
    raise SystemExit(main())
