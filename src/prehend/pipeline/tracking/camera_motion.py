"""How the image moves behind the hands: a camera on a head goes on, and so does all that lies on a table.

Corners (Shi and Tomasi, CVPR 1994) are followed from one image to a later one (Lucas and Kanade, IJCAI 1981, in a
pyramid), and a similarity that most of them agree with (RANSAC, Fischler and Bolles, 1981) says what stood still.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.pipeline.frames.targets import Image
from prehend.types import Box, FloatArray

WIDTH_PX = 240
"""Longer side of the images that are compared: 1 ms of a core for one of them."""

AGREES_PX = 0.3
"""A corner agrees with a movement that leaves it no farther off than this, in images of `WIDTH_PX`."""

STILL_SHARE = 0.1
"""A movement counts where so many corners more agree with it than with none: arms move, and most cameras do not."""

AROUND = 0.3
"""Hands' boxes are left out, and this share of their longer side around them."""

_CORNERS, _QUALITY, _APART_PX, _FEWEST = 80, 0.005, 6, 8
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.02)

STILL: FloatArray = np.eye(2, 3)
"""The movement of a camera that stands still, (2, 3) like all others: `M @ (x, y, 1)` is where a point went [px]."""


class _Seen(NamedTuple):
    grey: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    scale: float


class CameraMotion:
    """Compares the images of one camera with each other, one after the other."""

    def __init__(self) -> None:
        self._before: _Seen | None = None

    def reset(self) -> None:
        """The next image follows none."""
        self._before = None

    def step(self, image: Image, hands: Sequence[Box]) -> FloatArray:
        """(2, 3) `STILL`, or where objects at rest went since the image before [px].

        Args:
            image: (H, W, 3) uint8 RGB.
            hands: boxes that hands move in.
        """
        now, before = _seen(image, hands), self._before
        self._before = now
        if before is None or before.grey.shape != now.grey.shape:
            return STILL
        found = _followed(before.grey, now.grey, _apart_from(before))
        moved = STILL if found is None else _agreed(*found)
        return np.column_stack([moved[:, :2], moved[:, 2] / now.scale])


def _seen(image: Image, hands: Sequence[Box]) -> _Seen:
    height, width = image.shape[:2]
    scale = min(WIDTH_PX / max(height, width), 1.0)
    step = max(1, int(0.5 / scale))  # INTER_AREA averages the rest
    green = np.ascontiguousarray(image[::step, ::step, 1])
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _Seen(np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8), tuple(hands), scale)


def _apart_from(seen: _Seen) -> NDArray[np.uint8]:
    """(H, W) uint8: 255 where no hand is."""
    mask = np.full(seen.grey.shape, 255, np.uint8)
    for box in seen.boxes:
        around = AROUND * max(box.width, box.height)
        corners = np.array([box.x0 - around, box.y0 - around, box.x1 + around, box.y1 + around]) * seen.scale
        x0, y0, x1, y1 = np.clip(corners, 0, 1 << 14).astype(int)
        mask[y0:y1, x0:x1] = 0
    return mask


def _followed(
    before: NDArray[np.uint8], now: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> tuple[FloatArray, FloatArray] | None:
    """(N, 2) corners of an image and where they are in a later one; None for too few."""
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _APART_PX, mask=mask, blockSize=3)
    if corners is None or len(corners) < _FEWEST:
        return None
    after, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, np.empty_like(corners), winSize=(13, 13), maxLevel=2, criteria=_CRITERIA
    )
    kept = found[:, 0] > 0
    return None if kept.sum() < _FEWEST else (corners[kept, 0], after[kept, 0])


def _agreed(before: FloatArray, after: FloatArray) -> FloatArray:
    """(2, 3) of the similarity that most corners agree with, `STILL` unless it explains more than standing still."""
    M, agree = cv2.estimateAffinePartial2D(
        before, after, ransacReprojThreshold=AGREES_PX, maxIters=100, confidence=0.98
    )
    still = float((np.linalg.norm(after - before, axis=1) < AGREES_PX).mean())
    if M is None or float(agree.mean()) < still + STILL_SHARE:
        return STILL
    return np.asarray(M, np.float64)
