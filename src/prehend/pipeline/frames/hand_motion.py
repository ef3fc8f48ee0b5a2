"""What around a hand goes with it: each pixel went like the hand, or like what stands still behind it.

A window around the hand in an image before is laid over the one now in both ways, and what is left of it tells them
apart: what is held goes with the hand, a table and what lies on it do not. That is done with two images before: with
the last one, which says what is so at this moment, and with one since which the hand has gone far enough to see it, for
a slow hand. Everything is drawn upright as a right hand, so that a small network (`pipeline.networks.grasp_motion`) can
learn where things are that go along.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import BONES
from prehend.types import FloatArray, HandEstimate

SIZE = 64
"""Side of a patch [cells]."""

SPAN = 3.0
"""Side of what a patch shows, in lengths of the hand's box."""

LAYERS = 6
"""Of a patch: the image; for the near image before and the far one, which way explains it better and how much is left
of both; the hand's bones."""

GAP_S, FAR_S = 0.1, 0.4
"""The near image is no longer ago than the first, the far one than the second [s]."""

FAR_GONE = 5.0
"""The far image is the last one since which the hand went so far over what stands still, in hundredths of the window's
side; the oldest where it did not."""

FASTEST = 16.0
"""Hand's speeds above are alike, in hundredths of the window's side."""

Grey = NDArray[np.uint8]

_WINDOW = 2 * SIZE
_KNUCKLES, _WRIST = [5, 9, 13, 17], 0
_FEWEST, _AGREES_PX = 5, 1.0
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 15, 0.02)
_TURNED = (0.85, 1.15)
_EPS = 1e-6
_SOFT, _DOUBT, _CLEAR = 8.0, 4.0, 12.0
"""Grey values: contrast of a flat image; differences that are noise, and that are none."""


class MotionPatch(NamedTuple):
    """What is seen of a hand's motion.

    Attributes:
        layers: (LAYERS, SIZE, SIZE) float32, see `LAYERS`.
        speeds: (2,) float32, how far the hand went against what stands still since the near image and since the far
            one, as a share of `FASTEST` (0..1).
    """

    layers: NDArray[np.float32]
    speeds: NDArray[np.float32]


class PastImage(NamedTuple):
    """An image of before.

    Attributes:
        at_s: when it was looked at [s].
        image: (H, W).
        M: (2, 3) where what stands still went since then [px].
    """

    at_s: float
    image: Grey
    M: FloatArray


class HandBefore(NamedTuple):
    """A hand in an image before: (H, W) image, (2, 3) as in `PastImage`, (21, 2) keypoints [px]."""

    image: Grey
    M: FloatArray
    keypoints_px: FloatArray


class HandWatch:
    """One hand, look by look."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, FloatArray]] = deque()

    def step(self, hand: HandEstimate, now_s: float, now: Grey | None, past: Sequence[PastImage]) -> MotionPatch | None:
        """Take in a look.

        Args:
            hand: as it is seen.
            now_s: time on the teller's clock [s].
            now: (H, W) image of this look, None where there is none.
            past: images of looks before, the oldest first.

        Returns:
            What moved; None where the hand was not seen just before, or there is no image.
        """
        while self._seen and now_s - self._seen[0][0] > FAR_S + _EPS:
            self._seen.popleft()
        images = {one.at_s: one for one in past}
        known = [
            HandBefore(images[at_s].image, images[at_s].M, keypoints)
            for at_s, keypoints in self._seen
            if at_s in images and now is not None and images[at_s].image.shape == now.shape
        ]
        is_near = bool(known) and now_s - self._seen[-1][0] <= GAP_S + _EPS
        self._seen.append((now_s, hand.keypoints_px))
        if now is None or not is_near:
            return None
        far = far_enough(hand.keypoints_px, known)
        return motion_patch(now, hand.keypoints_px, known[-1], far, hand.side == "right")


def far_enough(keypoints_px: FloatArray, known: Sequence[HandBefore]) -> HandBefore:
    """The last look since which a hand went far, see `FAR_GONE`.

    Args:
        keypoints_px: (21, 2) of the hand now.
        known: looks before, the oldest first, one at least.
    """
    side = SPAN * max(float(np.ptp(keypoints_px, axis=0).max()), 1.0)
    for one in reversed(known):
        at_rest = one.keypoints_px @ one.M[:, :2].T + one.M[:, 2]
        if np.linalg.norm(np.median(keypoints_px - at_rest, 0)) * 100 >= FAR_GONE * side:
            return one
    return known[0]


def motion_patch(
    now: Grey, keypoints_px: FloatArray, near: HandBefore, far: HandBefore, right: bool
) -> MotionPatch | None:
    """What went with a hand.

    Args:
        now: (H, W).
        keypoints_px: (21, 2) of the hand in it.
        near, far: the hand before.
        right: a left hand is mirrored.

    Returns:
        None of a hand without extent.
    """
    length = float(np.ptp(keypoints_px, axis=0).max())
    if not np.isfinite([keypoints_px, near.keypoints_px, far.keypoints_px]).all() or length < 1.0:
        return None
    to_window = _similarity(_WINDOW / (SPAN * length), keypoints_px.mean(0))
    window, here = _cut(now, to_window[:2]), _placed(keypoints_px, to_window)
    upright = _upright(here, right)
    seen = [_went(window, here, one, to_window) for one in ((near,) if far is near else (near, far))]
    explained = [layer for left, _ in seen for layer in _explained(*(_laid_upright(one, upright) for one in left))]
    image = _laid_upright(window.astype(np.float32), upright)
    even = (image - image.mean()) / (image.std() + _SOFT)
    layers = [even, *explained[:2], *explained[-2:], _laid_upright(_bones(here), upright)]
    speeds = np.array([seen[0][1], seen[-1][1]], np.float32)
    return MotionPatch(np.stack(layers).astype(np.float32), np.minimum(speeds / FASTEST, 1).astype(np.float32))


def _went(
    window: Grey, here: FloatArray, before: HandBefore, to_window: FloatArray
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], float]:
    """Twice (H, W) what is left of the window now, laid over the one before as what stands still went, and as the hand
    went; how far the one went from the other, in hundredths of the window's side."""
    pair = window, _cut(before.image, to_window[:2])
    there = _placed(before.keypoints_px, to_window)
    by_hand = _hand_went(*pair, here, np.median(there - here, 0))
    at_rest = np.linalg.inv(to_window @ _square(before.M) @ np.linalg.inv(to_window))[:2]
    soft = [np.asarray(cv2.GaussianBlur(one.astype(np.float32), (0, 0), 1.0), np.float32) for one in pair]
    middle = np.array([_WINDOW / 2, _WINDOW / 2, 1.0])
    gone = float(np.linalg.norm((by_hand - at_rest) @ middle)) * 100 / _WINDOW
    return (_left(soft[0], soft[1], at_rest), _left(soft[0], soft[1], by_hand)), gone


def _placed(points: FloatArray, to_window: FloatArray) -> FloatArray:
    return np.asarray(points @ to_window[:2, :2].T + to_window[:2, 2])


def _cut(image: Grey, to_window: FloatArray) -> Grey:
    cut: Any = cv2.warpAffine(
        image, to_window, (_WINDOW, _WINDOW), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _laid_upright(window: NDArray[np.float32], upright: FloatArray) -> NDArray[np.float32]:
    laid = cv2.warpAffine(
        window, upright, (SIZE, SIZE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(laid, np.float32)


def _explained(at_rest: NDArray[np.float32], by_hand: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Which way explains what is seen better (-1 at rest .. 1 with the hand), and how much is left of both."""
    both = at_rest + by_hand + _DOUBT
    return (at_rest - by_hand) / both * np.minimum(both / _CLEAR, 1), np.log1p(both / _DOUBT) - 1


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
    for one, other in BONES:
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
