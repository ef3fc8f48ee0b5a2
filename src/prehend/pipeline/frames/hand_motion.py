"""What around a hand goes with it: each pixel went like the hand, or like what stands still behind it.

A window around the hand in the image before is laid over the one now in both ways, and what is left of it tells them
apart: what is held goes with the hand, a table and what lies on it do not. Everything is drawn upright as a right hand,
so that a small network (`pipeline.networks.grasp_motion`) can learn where things are that go along.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINT_PARENTS
from prehend.types import FloatArray, HandEstimate

SIZE = 64
"""Side of a patch [cells]."""

SPAN = 3.0
"""Side of what a patch shows, in lengths of the hand's box."""

LAYERS = 4
"""Of a patch: the image, which way explains it better, how much is left of both, the hand's bones."""

GAP_S = 0.1
"""Images farther apart are not compared [s]."""

FASTEST = 16.0
"""Hand's speeds above are alike, in hundredths of the window's side."""

Grey = NDArray[np.uint8]

_WINDOW = 2 * SIZE
_KNUCKLES, _WRIST = [5, 9, 13, 17], 0
_BONES = [(parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0]
_FEWEST, _AGREES_PX = 5, 1.0
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 15, 0.02)
_TURNED = (0.85, 1.15)
_SOFT, _DOUBT, _CLEAR = 8.0, 4.0, 12.0
"""Grey values: contrast of a flat image; differences that are noise, and that are none."""


class MotionPatch(NamedTuple):
    """What is seen of a hand's motion between two images.

    Attributes:
        layers: (LAYERS, SIZE, SIZE) float32, see `LAYERS`.
        speed: how far the hand went against what stands still, as a share of `FASTEST` (0..1).
    """

    layers: NDArray[np.float32]
    speed: float


class HandWatch:
    """One hand, look by look."""

    def __init__(self) -> None:
        self._keypoints_px: FloatArray | None = None
        self._at_s = -np.inf

    def step(
        self, hand: HandEstimate, now_s: float, now: Grey | None, before: Grey | None, M: FloatArray
    ) -> MotionPatch | None:
        """Take in a look.

        Args:
            hand: as it is seen.
            now_s: time on the teller's clock [s].
            now, before: (H, W) images of this look and of the one before, None where there is none.
            M: (2, 3) where what stands still went in between [px], see `camera_motion.CameraMotion.step`.

        Returns:
            What moved; None where the hand was not seen in the look before, or there is no image.
        """
        keypoints, then_s, then = hand.keypoints_px, self._at_s, self._keypoints_px
        self._keypoints_px, self._at_s = keypoints, now_s
        if then is None or now_s - then_s > GAP_S + 1e-6 or now is None or before is None or now.shape != before.shape:
            return None
        return motion_patch(now, before, M, keypoints, then, hand.side == "right")


def motion_patch(
    now: Grey, before: Grey, M: FloatArray, keypoints_px: FloatArray, before_px: FloatArray, right: bool
) -> MotionPatch | None:
    """What went with a hand between two images.

    Args:
        now, before: (H, W).
        M: (2, 3) where a point at rest went from the one before to the other [px].
        keypoints_px, before_px: (21, 2) of the hand in both.
        right: a left hand is mirrored.

    Returns:
        None of a hand without extent.
    """
    length = float(np.ptp(keypoints_px, axis=0).max())
    if not np.isfinite([keypoints_px, before_px]).all() or length < 1.0:
        return None
    to_window = _similarity(_WINDOW / (SPAN * length), keypoints_px.mean(0))
    pair = [np.asarray(_cut(one, to_window[:2]), np.uint8) for one in (now, before)]
    here, there = (one @ to_window[:2, :2].T + to_window[:2, 2] for one in (keypoints_px, before_px))
    by_hand = _hand_went(pair[0], pair[1], here, np.median(there - here, 0))
    at_rest = np.linalg.inv(to_window @ _square(M) @ np.linalg.inv(to_window))[:2]
    soft = [np.asarray(cv2.GaussianBlur(one.astype(np.float32), (0, 0), 1.0), np.float32) for one in pair]
    left = [_left(soft[0], soft[1], way) for way in (at_rest, by_hand)]
    middle = np.array([_WINDOW / 2, _WINDOW / 2, 1.0])
    gone = float(np.linalg.norm((by_hand - at_rest) @ middle)) * 100 / _WINDOW
    upright = _upright(here, right)
    shown = [_laid_upright(one, upright) for one in (pair[0].astype(np.float32), *left, _bones(here))]
    return MotionPatch(_layers(*shown), min(gone / FASTEST, 1.0))


def _cut(image: Grey, to_window: FloatArray) -> Any:
    return cv2.warpAffine(image, to_window, (_WINDOW, _WINDOW), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _laid_upright(window: NDArray[np.float32], upright: FloatArray) -> NDArray[np.float32]:
    laid = cv2.warpAffine(
        window, upright, (SIZE, SIZE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(laid, np.float32)


def _layers(
    image: NDArray[np.float32], at_rest: NDArray[np.float32], by_hand: NDArray[np.float32], bones: NDArray[np.float32]
) -> NDArray[np.float32]:
    both = at_rest + by_hand + _DOUBT
    better = (at_rest - by_hand) / both * np.minimum(both / _CLEAR, 1)
    even = (image - image.mean()) / (image.std() + _SOFT)
    return np.stack([even, better, np.log1p(both / _DOUBT) - 1, bones]).astype(np.float32)


def _hand_went(now: Grey, before: Grey, keypoints: FloatArray, guess: FloatArray) -> FloatArray:
    """(2, 3) from where the hand's skin is to where it was: by its corners, else by its keypoints."""
    mask = np.zeros(now.shape, np.uint8)
    hull = cv2.convexHull(np.round(keypoints[[_WRIST, 1, *_KNUCKLES]]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_AA)
    _draw_bones(mask, keypoints, 255, max(2, round(0.04 * _WINDOW)))
    plain = np.column_stack([np.eye(2), guess])
    corners = cv2.goodFeaturesToTrack(now, 40, 0.003, 3, mask=mask, blockSize=3)
    if corners is None or len(corners) < _FEWEST:
        return plain
    start = (corners + guess.astype(np.float32)).astype(np.float32)
    after, found, _ = cv2.calcOpticalFlowPyrLK(
        now,
        before,
        corners,
        start,
        winSize=(11, 11),
        maxLevel=2,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    kept = found[:, 0] > 0
    if kept.sum() < _FEWEST:
        return plain
    way, agree = cv2.estimateAffinePartial2D(
        corners[kept, 0], after[kept, 0], ransacReprojThreshold=_AGREES_PX, maxIters=100, confidence=0.98
    )
    if way is None or agree.sum() < _FEWEST or not _TURNED[0] < np.hypot(way[0, 0], way[0, 1]) < _TURNED[1]:
        return plain
    return np.asarray(way, np.float64)


def _left(now: NDArray[np.float32], before: NDArray[np.float32], way: FloatArray) -> NDArray[np.float32]:
    """(H, W) how far the image is from the one before, laid over it by a way back."""
    laid = cv2.warpAffine(
        before, way, now.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.boxFilter(np.abs(laid - now), -1, (5, 5)), np.float32)


def _bones(keypoints: FloatArray) -> NDArray[np.float32]:
    drawn = np.zeros((_WINDOW, _WINDOW), np.float32)
    _draw_bones(drawn, keypoints, 1.0, 4)
    return drawn


def _draw_bones(
    image: NDArray[np.uint8] | NDArray[np.float32], keypoints: FloatArray, value: float, width: int
) -> None:
    points = np.clip(np.round(keypoints * 8), -(1 << 14), 1 << 14).astype(int)
    for one, other in _BONES:
        cv2.line(image, points[one].tolist(), points[other].tolist(), value, width, cv2.LINE_AA, 3)


def _upright(keypoints: FloatArray, right: bool) -> FloatArray:
    """(2, 3) from cells of a patch to the window: the hand points to the right, its middle in the middle."""
    along = keypoints[_KNUCKLES].mean(0) - keypoints[_WRIST]
    cosine, sine = along / max(float(np.linalg.norm(along)), 1e-6)
    flip = 1.0 if right else -1.0
    scale = _WINDOW / SIZE
    R = scale * np.array([[cosine, -sine * flip], [sine, cosine * flip]])
    middle = (SIZE - 1) / 2
    return np.column_stack([R, keypoints.mean(0) - R @ [middle, middle]])


def _similarity(scale: float, middle: FloatArray) -> FloatArray:
    """(3, 3) that takes a point to the middle of the window."""
    half = _WINDOW / 2
    return np.array([[scale, 0, half - scale * middle[0]], [0, scale, half - scale * middle[1]], [0, 0, 1.0]])


def _square(M: FloatArray) -> FloatArray:
    return np.vstack([M, [0.0, 0.0, 1.0]])
