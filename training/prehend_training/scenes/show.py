"""Samples with their labels drawn over them, many on one sheet."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINT_PARENTS
from prehend.types import FloatArray
from prehend_training.scenes.sample import HandLabel, ObjectLabel, Sample

_FINGER_COLOURS = ((255, 80, 80), (255, 190, 40), (80, 220, 80), (60, 180, 255), (200, 110, 255))
_SUB = 4  # cv2 draws at a sixteenth of a pixel


def draw_labels(sample: Sample, scale: int = 2) -> NDArray[np.uint8]:
    """(scale H, scale W, 3) the picture, enlarged, with skeletons, boxes and words over it."""
    image = np.repeat(np.repeat(sample.image, scale, 0), scale, 1)
    for hand in sample.hands:
        _draw_hand(image, hand, sample.held(hand), scale)
    return image


def contact_sheet(samples: Sequence[Sample], columns: int, scale: int = 2, labels: bool = True) -> NDArray[np.uint8]:
    """One picture of many samples of equal size, row by row; the last row is filled up with black."""
    tiles = [
        draw_labels(sample, scale) if labels else cv2.resize(sample.image, None, fx=scale, fy=scale)
        for sample in samples
    ]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)])


def _draw_hand(image: NDArray[np.uint8], hand: HandLabel, held: ObjectLabel | None, scale: int) -> None:
    points = _drawn(hand.keypoints_px, scale)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            colour = _FINGER_COLOURS[(joint - 1) // 4]
            cv2.line(image, points[parent].tolist(), points[joint].tolist(), colour, 1, cv2.LINE_AA, _SUB)
    for point, visible in zip(points, hand.visible, strict=True):
        cv2.circle(image, point.tolist(), 2 << _SUB, (255, 255, 255), -1 if visible else 1, cv2.LINE_AA, _SUB)
    corners = _drawn(hand.box_px.reshape(2, 2), scale)
    cv2.rectangle(image, corners[0].tolist(), corners[1].tolist(), (255, 255, 0), 1, cv2.LINE_AA, _SUB)
    words = f"{hand.side} {'grasp' if hand.grasp else 'free'} {hand.visible_ratio:.2f}"
    if held is not None:
        words += f" {held.object_id}"
        _draw_box(image, held.keypoints_px[:8], scale)
    at = np.clip(corners[0] // 16 - [0, 4], [2, 10], [image.shape[1] - 60, image.shape[0] - 4])
    cv2.putText(image, words, at.tolist(), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, words, at.tolist(), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1, cv2.LINE_AA)


def _draw_box(image: NDArray[np.uint8], corners_px: FloatArray, scale: int) -> None:
    """The twelve edges between corners that differ in one bit of their number (x changes fastest)."""
    corners = _drawn(corners_px, scale)
    for a in range(8):
        for bit in (1, 2, 4):
            if not a & bit:
                cv2.line(image, corners[a].tolist(), corners[a | bit].tolist(), (0, 255, 255), 1, cv2.LINE_AA, _SUB)


def _drawn(points_px: FloatArray, scale: int) -> NDArray[np.int64]:
    """Places in the enlarged picture, in sixteenths of a pixel."""
    return np.round(np.clip((points_px + 0.5) * scale - 0.5, -4000, 4000) * 16).astype(np.int64)
