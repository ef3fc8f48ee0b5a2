"""Which answer is about which true hand, in one frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prehend.eval.truth.records import TrueFrame, TrueHand
from prehend.geometry.camera import project
from prehend.types import Box, Camera, FloatArray, HandEstimate

FOUND_BOX = 0.5
"""An answer is of a true hand if its keypoints are on the mean closer than this many longer sides of the hand's box."""
FOUND_IOU = 0.3
"""The same where only boxes are known."""
_FEWEST_FOR_BOX = 5


def in_picture(truth: TrueFrame, camera: Camera) -> tuple[TrueHand, ...]:
    """The true hands, with keypoints where only the joints are known."""
    return tuple(_with_keypoints(hand, camera) for hand in truth.hands)


def match(hands: Sequence[TrueHand], answers: Sequence[HandEstimate]) -> dict[int, int]:
    """Row of a true hand -> row of its answer, each at most once; the nearest pair first.

    Where two true hands are as near to an answer, the one of its side takes it.
    """
    pairs = []
    for i, hand in enumerate(hands):
        for j, answer in enumerate(answers):
            distance = _distance(hand, answer)
            if distance < 1:
                pairs.append((round(distance, 6), hand.side is not None and hand.side != answer.side, i, j))
    found: dict[int, int] = {}
    for _, _, i, j in sorted(pairs):
        if i not in found and j not in found.values():
            found[i] = j
    return found


def box_side_px(hand: TrueHand, answer: HandEstimate | None) -> float:
    """Longer side of a true hand's box [px]; the answer's where too few keypoints are known."""
    points = hand.keypoints_px[hand.known_px]
    if len(points) >= _FEWEST_FOR_BOX:
        return max(float(np.ptp(points, axis=0).max()), 1.0)
    box = hand.box_px or (None if answer is None else Box.around(np.asarray(answer.keypoints_px)))
    return 1.0 if box is None else max(box.width, box.height, 1.0)


def keypoint_errors(hand: TrueHand, answer: HandEstimate) -> FloatArray:
    """(21,) distances [px], NaN where the truth is unknown."""
    return np.asarray(np.linalg.norm(np.asarray(answer.keypoints_px, np.float64) - hand.keypoints_px, axis=-1))


def _with_keypoints(hand: TrueHand, camera: Camera) -> TrueHand:
    if hand.known_px.any() or not np.isfinite(hand.joints_m).any():
        return hand
    return replace(hand, keypoints_px=project(hand.joints_m, camera))


def _distance(hand: TrueHand, answer: HandEstimate) -> float:
    """Below 1 where the answer may be of the hand."""
    if hand.known_px.any():
        errors = keypoint_errors(hand, answer)[hand.known_px]
        mean = float(errors.mean())
        return mean / (FOUND_BOX * box_side_px(hand, answer)) if np.isfinite(mean) else float("inf")
    if hand.box_px is not None:
        overlap = hand.box_px.iou(answer.box_px)
        return (1 - overlap) / (1 - FOUND_IOU) if overlap > FOUND_IOU else float("inf")
    return float("inf")
