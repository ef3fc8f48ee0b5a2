"""The finder's picture and its answer: which hands are where, each once."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import SIDES
from prehend.types import Box, FloatArray, FoundHand

SAME_HAND_IOU = 0.45
"""Two boxes that overlap more than this are one hand, whatever side each of them claims."""

SAME_BOX_IOU = 0.5
"""Boxes of neighbouring cells that overlap as much say the same, and are averaged."""

HELD_THRESHOLD = 0.5
"""Probability from which a hand found is said to hold something, and its object box is used."""

MAPS = {"hand_heat": 1, "side_logit": 1, "hand_box": 4, "held_logit": 1, "object_box": 4}
"""The finder's maps and the channels of each."""


@dataclass(frozen=True)
class Letterbox:
    """An image shrunk or enlarged into a square without changing its proportions; black beside it.

    Attributes:
        image: (3, size, size) float32 RGB in [0, 1].
        scale: pixels of the square per pixel of the image.
        offset_px: (2,) where the image's pixel (0, 0) lies in the square.
        image_size: width, height of the image [px].
    """

    image: NDArray[np.float32]
    scale: FloatArray
    offset_px: FloatArray
    image_size: tuple[int, int]

    def to_square(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the image -> pixels of the square."""
        return np.asarray(points_px, np.float64) * self.scale + self.offset_px

    def to_image(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the square -> pixels of the image: the inverse of `to_square`."""
        return (np.asarray(points_px, np.float64) - self.offset_px) / self.scale


def letterbox(image: NDArray[np.uint8], size: int) -> Letterbox:
    """Fit an image into a square, centred; training imports this.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: side of the square [px].
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    inner_width, inner_height = (max(1, round(side * ratio)) for side in (width, height))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    inner = cv2.resize(image, (inner_width, inner_height), interpolation=method)
    x, y = (size - inner_width) // 2, (size - inner_height) // 2
    square = np.zeros((3, size, size), np.float32)
    square[:, y : y + inner_height, x : x + inner_width] = np.asarray(inner).transpose(2, 0, 1) / np.float32(255)
    scale = np.array([inner_width / width, inner_height / height])
    # pixel centres are whole numbers: the image's corner (-0.5, -0.5) falls on the corner of pixel (x, y)
    return Letterbox(square, scale, np.array([x, y]) + (scale - 1) / 2, (width, height))


def cell_centers(cells: int, size: int) -> FloatArray:
    """Centres of the finder's cells along one axis.

    Args:
        cells: G, cells along a side of the finder's maps.
        size: side of the finder's input [px].

    Returns:
        (G,) [px], pixel centres being whole numbers; offsets of boxes count from here.
    """
    stride = size / cells
    return (np.arange(cells) + 0.5) * stride - 0.5


def decode_hands(
    outputs: Mapping[str, NDArray[np.float32]], picture: Letterbox, threshold: float, max_hands: int
) -> list[FoundHand]:
    """Hands in the finder's maps.

    Args:
        outputs: of stage `find` for one picture: `hand_heat` (1, 1, G, G) logits, `side_logit` (1, 1, G, G) of a right
            hand, `hand_box` (1, 4, G, G) distances from the cell's centre to the box's left, top, right, bottom,
            `held_logit` (1, 1, G, G), `object_box` (1, 4, G, G) corners of the object's box as offsets from the cell's
            centre [px of the square].
        picture: what the finder saw.
        threshold: lowest score.
        max_hands: most hands.

    Returns:
        Best first, boxes in pixels of the image; of boxes that overlap only the best. Cells with numbers that are
        not finite, or with a box beside them, count as empty.

    Raises:
        InvalidInput: the maps do not fit together.
    """
    cells = outputs["hand_heat"].shape[-1]
    for name, channels in MAPS.items():
        check_shape(name, outputs[name], [1, channels, cells, cells])
    heat, sides, boxes, held, things = (outputs[name][0] for name in MAPS)
    usable = np.isfinite(heat[0]) & np.isfinite(sides[0]) & (np.isfinite(boxes) & (boxes > 0)).all(0)
    score = probability(np.where(usable, heat[0], -np.inf))
    peaks = np.argwhere((score >= threshold) & (score == _neighbourhood_max(score)))
    order = np.argsort(-score[tuple(peaks.T)], kind="stable")
    centers = cell_centers(cells, picture.image.shape[-1])
    x, y = np.meshgrid(centers, centers)
    corners = np.stack([x, y, x, y]) + np.where(usable, boxes, 1) * np.array([-1, -1, 1, 1])[:, None, None]
    kept: list[FoundHand] = []
    for row, column in peaks[order]:
        center = np.array([centers[column], centers[row]])
        agreed = _agreed_corners(corners, score, row, column)
        box = _box(picture, agreed[:2], agreed[2:])
        if not touches(box, picture.image_size) or any(box.iou(other.box_px) > SAME_HAND_IOU for other in kept):
            continue
        thing = None
        if probability(held[0, row, column]) > HELD_THRESHOLD and np.isfinite(things[:, row, column]).all():
            thing = _box(picture, center + things[:2, row, column], center + things[2:, row, column])
        side = SIDES[int(sides[0, row, column] > 0)]
        kept.append(FoundHand(box, side, float(score[row, column]), thing))
        if len(kept) == max_hands:
            break
    return kept


def probability(logit: NDArray[np.floating] | float) -> FloatArray:
    """The logistic function, without overflow; NaN stays NaN."""
    return 0.5 * (1 + np.tanh(np.asarray(logit, np.float64) / 2))


def _neighbourhood_max(score: FloatArray) -> FloatArray:
    """(G, G) -> largest of the 3 x 3 cells around each."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(score, 1, constant_values=-np.inf), (3, 3))
    return windows.max((-1, -2))


def _agreed_corners(corners: FloatArray, score: FloatArray, row: int, column: int) -> FloatArray:
    """(4, G, G) boxes and their (G, G) scores -> (4,) mean, by squared score, of the boxes of the 3 x 3 cells around a
    cell that agree with its own: one cell's is rougher."""
    rows, columns = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
    near, own = corners[:, rows, columns].reshape(4, -1), corners[:, row, column]
    shared = np.prod(np.maximum(np.minimum(near[2:], own[2:, None]) - np.maximum(near[:2], own[:2, None]), 0), axis=0)
    areas, area = np.prod(near[2:] - near[:2], axis=0), np.prod(own[2:] - own[:2])
    weight = score[rows, columns].ravel() ** 2 * (shared >= SAME_BOX_IOU * (areas + area - shared))
    return near @ weight / weight.sum()


def _box(picture: Letterbox, low: FloatArray, high: FloatArray) -> Box:
    (x0, y0), (x1, y1) = picture.to_image(np.stack([low, high]))
    return Box(float(x0), float(y0), float(x1), float(y1))


def touches(box: Box, image_size: tuple[int, int]) -> bool:
    """Whether a box has a size and overlaps the image."""
    width, height = image_size
    return box.area > 0 and box.x1 > 0 and box.y1 > 0 and box.x0 < width - 1 and box.y0 < height - 1
