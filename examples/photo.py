"""Hands in one photograph: `python examples/photo.py photo.jpg --fov 69 --out drawn.png`.

Prints what every hand does and draws its joints.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from prehend.conventions import JOINT_PARENTS
from prehend.geometry.camera import estimated_camera
from prehend.pipeline.estimator import Estimator


def main() -> int:
    """Exit code 1 when there is no hand in the photograph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--fov", type=float, default=60.0, help="field of view of the longer side [deg]")
    parser.add_argument("--out", type=Path, help="write the photograph with the joints drawn")
    options = parser.parse_args()

    bgr = cv2.imread(str(options.photo))
    if bgr is None:
        raise SystemExit(f"{options.photo}: no photograph")
    # a calibrated `prehend.types.Camera(K, width, height)` gives true metres; a field of view gives good guesses
    camera = estimated_camera(bgr.shape[1], bgr.shape[0], options.fov)
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    with Estimator.from_pretrained() as estimator:
        hands = estimator.estimate(rgb, camera).hands

    for hand in hands:
        x, y, z = hand.joints_m[0]
        print(f"{hand.side} hand ({hand.score:.0%}), wrist at x {x:+.2f} y {y:+.2f} z {z:.2f} m, {hand.grasp.state}")
        points = [tuple(map(round, point)) for point in hand.keypoints_px.tolist()]
        for joint, parent in enumerate(JOINT_PARENTS):
            if parent >= 0:
                cv2.line(bgr, points[parent], points[joint], (80, 200, 80), 2, cv2.LINE_AA)
    if options.out:
        cv2.imwrite(str(options.out), bgr)
    return 0 if hands else 1


if __name__ == "__main__":
    raise SystemExit(main())
