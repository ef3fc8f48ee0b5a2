"""Hands in the maps of the older detector (`models.detectors.centers`): one box a centre, each hand once."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import SIDES
from prehend.pipeline.crops.letterbox import (
    HELD_THRESHOLD,
    SAME_HAND_IOU,
    Letterbox,
    cell_centers,
    probability,
    touches,
)
from prehend.types import Box, FloatArray, FoundHand

SAME_BOX_IOU = 0.5
"""Boxes of neighbouring cells that overlap as much say the same, and are averaged."""

MAPS = {"hand_heat": 1, "side_logit": 1, "hand_box": 4, "held_logit": 1, "object_box": 4}
"""The detector's maps and the channels of each."""


def decode_hands(
    outputs: Mapping[str, NDArray[np.float32]], picture: Letterbox, threshold: float, max_hands: int
) -> list[FoundHand]:
    """Hands in the detector's maps.

    Args:
        outputs: of stage `find` for one image: `hand_heat` (1, 1, G, G) logits, `side_logit` (1, 1, G, G) of a right
            hand, `hand_box` (1, 4, G, G) distances from the cell's centre to the box's left, top, right, bottom,
            `held_logit` (1, 1, G, G), `object_box` (1, 4, G, G) corners of the object's box as offsets from the cell's
            centre [px of the square].
        image: what the detector saw.
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
