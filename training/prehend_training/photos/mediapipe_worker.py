"""Runs MediaPipe Hands for `prehend-train label` in an environment of its own, which needs mediapipe alone.

It takes one JSON object a line on stdin and answers each with one on stdout:

    {"path": PICTURE, "views": [{"affine": [[a, b, c], [d, e, f]], "size": [width, height]}, ...]}
    {"answers": [[{"score": 0.98, "right": true, "points": [[x, y], ... 21]}, ...], ...]}    or {"error": WHY}

`affine` takes pixels of the image to pixels of the view; points are pixels of the view. The first line of stdout says
who answers. MediaPipe names sides as if the image were a mirror; here `right` is the side of the hand as the view
shows it.
"""

import json
import os
import sys
from typing import Any

os.environ.setdefault("GLOG_minloglevel", "3")

import cv2
import mediapipe
import numpy as np

MIN_SCORE = 0.4
MAX_HANDS = 6


def main() -> None:
    """Answer until stdin ends."""
    hands = mediapipe.solutions.hands.Hands(
        static_image_mode=True, max_num_hands=MAX_HANDS, model_complexity=1, min_detection_confidence=MIN_SCORE
    )
    say({"teacher": f"mediapipe {mediapipe.__version__} full"})
    path, image = None, None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["path"] != path:
            path, image = asked["path"], cv2.imread(asked["path"], cv2.IMREAD_COLOR)
        if image is None:
            say({"error": "cannot be read as an image"})
            continue
        say({"answers": [answers(hands, image, view) for view in asked["views"]]})


def say(what: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def answers(hands: Any, image: Any, view: dict[str, Any]) -> list[dict[str, Any]]:
    """What is found in one view of the image."""
    width, height = view["size"]
    found = hands.process(cv2.cvtColor(seen(image, np.array(view["affine"]), (width, height)), cv2.COLOR_BGR2RGB))
    if not found.multi_hand_landmarks:
        return []
    result = []
    for places, sides in zip(found.multi_hand_landmarks, found.multi_handedness, strict=True):
        side = sides.classification[0]
        points = [[round(p.x * width - 0.5, 2), round(p.y * height - 0.5, 2)] for p in places.landmark]
        result.append({"score": round(side.score, 4), "right": side.label == "Left", "points": points})
    return result


def seen(image: Any, affine: Any, size: tuple[int, int]) -> Any:
    """The view; where it is much smaller than the image, that is shrunk by the mean of blocks first."""
    shrink = int(1 / max(1e-3, abs(np.linalg.det(affine[:, :2])) ** 0.5))
    if shrink > 1:
        image = cv2.resize(image, (image.shape[1] // shrink, image.shape[0] // shrink), interpolation=cv2.INTER_AREA)
        affine = affine @ np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


if __name__ == "__main__":
    main()
