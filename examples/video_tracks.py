"""Every hand of a video over time: `python examples/video_tracks.py my.mp4 --csv tracks.csv`.

One row for each hand in each frame: stamp, number of the track, side, wrist and index fingertip in metres, grasp. A
hand keeps its number while it is followed.
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from prehend.pipeline.load import load_estimator

WRIST, INDEX_TIP = 0, 8
COLUMNS = ("stamp_s", "track", "side", "wrist_x_m", "wrist_y_m", "wrist_z_m", "tip_x_m", "tip_y_m", "tip_z_m", "grasp")


def main() -> int:
    """Exit code 1 when no hand was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--csv", type=Path, help="write the rows there (default: standard output)")
    options = parser.parse_args()

    video = cv2.VideoCapture(str(options.video))
    if not video.isOpened():
        raise SystemExit(f"{options.video}: no video")
    rate = video.get(cv2.CAP_PROP_FPS) or 30.0
    paths: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    stream = options.csv.open("w", newline="") if options.csv else sys.stdout
    rows = csv.writer(stream)
    rows.writerow(COLUMNS)
    with load_estimator() as estimator:
        number = 0
        while (frame := video.read()[1]) is not None:
            rgb = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            stamp = number / rate  # tracks, grasps and sides are decided over time, so frames need stamps
            for hand in estimator.estimate(rgb, stamp=stamp).hands:
                places = hand.joints_m[[WRIST, INDEX_TIP]].round(4).ravel().tolist()
                rows.writerow([f"{stamp:.3f}", hand.track_id, hand.side, *places, hand.grasp.state])
                paths[hand.track_id, hand.side].append(hand.joints_m[WRIST])
            number += 1
    if options.csv:
        stream.close()
    for (track, side), wrists in sorted(paths.items()):
        length_m = float(np.linalg.norm(np.diff(wrists, axis=0), axis=-1).sum())
        print(f"track {track}, {side}: {len(wrists)} frames, the wrist went {length_m:.2f} m", file=sys.stderr)
    return 0 if paths else 1


if __name__ == "__main__":
    raise SystemExit(main())
