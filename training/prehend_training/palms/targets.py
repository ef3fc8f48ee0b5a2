"""What each anchor of the palm detector should answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prehend.conventions import SIDES, Side
from prehend.pipeline.detection.palms import (
    ANCHOR_CELLS,
    NUMBERS,
    REGION_SIDE,
    anchors_px,
    change_of_region,
    region_of_palm,
)
from prehend.types import Box, FloatArray, Region
from prehend_training.data.batch import ArrayDict

PALM_JOINTS = (0, 5, 9, 13, 17, 1, 2)
"""Joints that are the seven points of a palm, in `prehend.pipeline.detection.palms.POINTS`' order."""

ANCHOR_SIDES_PX = ((24.0, 34.0), (47.0, 61.0, 78.0, 95.0, 115.0, 140.0))
"""Sides of palms that the answers of a cell are for, as palm_detection_full's are: of 50 hands in photographs of subhi,
asl and gestures_hand each answer fired at palms of 0.7 to 1.4 times these (the first at all smaller ones too)."""

BEST_IOU = 0.65
"""A palm whose best anchor fits less is matched as if it fitted so much: small palms lie between all anchors."""
FROM_IOU, FULL_IOU = 0.3, 0.65
"""Overlaps from which an anchor is asked for a palm, and asked to be sure."""


@dataclass(frozen=True)
class PalmTarget:
    """A palm in the detector's input; what is not known is None.

    Attributes:
        points_px: (7, 2).
        counts: whether it must be found; if not, its region is neither right nor wrong.
        region, side, held, object_box_px: see `FoundHand`.
    """

    points_px: FloatArray
    counts: bool = True
    region: Region | None = None
    side: Side | None = None
    held: bool | None = None
    object_box_px: Box | None = None

    @property
    def center_px(self) -> FloatArray:
        """(2,) middle of the points' box, as palm_detection_full's boxes have it (within 0.08 of their side)."""
        return (self.points_px.min(0) + self.points_px.max(0)) / 2

    @property
    def side_px(self) -> float:
        """Longer side of the points' box: 1.0 of palm_detection_full's (0.91 to 1.17 in nine of ten of 102 hands)."""
        return float(np.ptp(self.points_px, 0).max())


def palm_targets(palms: Sequence[PalmTarget], ignore: Sequence[Box], size: int) -> ArrayDict:
    """Arrays over the A anchors of a square input.

    Returns:
        score, score_weight: (A,) target and how much it counts.
        numbers: (A, 28) as `prehend.pipeline.detection.palms.NUMBERS` has them, places from the anchor.
        palm_weight, region_weight, side_weight, held_weight, object_weight: (A,) what of them counts.
        palm_side: (A,) [px], what errors of places are measured by.
    """
    anchors = anchors_px(size)
    count = len(anchors)
    arrays: ArrayDict = {name: np.zeros(count, np.float32) for name in WEIGHTS}
    arrays |= {
        "score": np.zeros(count, np.float32),
        "score_weight": _outside(anchors, [*ignore, *(_area(palm) for palm in palms if not palm.counts)]),
        "numbers": np.zeros((count, NUMBERS), np.float32),
        "palm_side": np.ones(count, np.float32),
    }
    for palm in palms:
        if palm.counts:
            _draw(arrays, palm, anchors, size)
    return arrays


WEIGHTS = ("palm_weight", "region_weight", "side_weight", "held_weight", "object_weight")


def match(palm: PalmTarget, anchors: FloatArray, size: int) -> FloatArray:
    """(A,) how much each anchor is asked for a palm, 0 to 1."""
    sides = np.concatenate(
        [np.tile(own, (size // cell) ** 2) for (cell, _), own in zip(ANCHOR_CELLS, ANCHOR_SIDES_PX, strict=True)]
    )
    apart = np.abs(anchors - palm.center_px)
    along = ((sides + palm.side_px)[:, None] / 2 - apart).clip(0, np.minimum(sides, palm.side_px)[:, None])
    shared = along.prod(-1)
    iou = shared / (sides**2 + palm.side_px**2 - shared)
    iou = iou * (BEST_IOU / min(max(float(iou.max()), 1e-3), BEST_IOU))
    return ((iou - FROM_IOU) / (FULL_IOU - FROM_IOU)).clip(0, 1)


def _draw(arrays: ArrayDict, palm: PalmTarget, anchors: FloatArray, size: int) -> None:
    asked = match(palm, anchors, size)
    mine = asked > arrays["score"]
    arrays["score"][mine] = asked[mine]
    arrays["score_weight"][mine] = 1
    numbers = arrays["numbers"]
    numbers[mine, 0:2] = palm.center_px - anchors[mine]
    numbers[mine, 2:4] = palm.side_px
    numbers[mine, 4:18] = (palm.points_px[None] - anchors[mine, None]).reshape(-1, 14)
    arrays["palm_side"][mine] = max(palm.side_px, 4.0)
    known = {"palm": True, "region": palm.region, "side": palm.side, "held": palm.held, "object": palm.object_box_px}
    for name, value in known.items():
        arrays[f"{name}_weight"][mine] = asked[mine] if value is not None else 0
    numbers[mine, 18:28] = _further(palm)


def _further(palm: PalmTarget) -> FloatArray:
    """(10,) the numbers that palm_detection_full does not have."""
    plain = region_of_palm(palm.center_px, palm.side_px, palm.points_px)
    region = plain if palm.region is None else palm.region
    change = change_of_region(region, palm.center_px, palm.side_px, palm.points_px)
    right = 0.0 if palm.side is None else float(SIDES.index(palm.side))
    thing = np.zeros(4)
    if palm.object_box_px is not None:
        middle = np.tile(region.center_px, 2)
        thing = (palm.object_box_px.as_array() - middle) / (REGION_SIDE * max(palm.side_px, 4.0))
    return np.concatenate([change.clip(-1.5, 1.5), [right, float(bool(palm.held))], thing.clip(-6, 6)])


def _area(palm: PalmTarget) -> Box:
    """Where answers about a palm lie."""
    half = 0.75 * palm.side_px
    (x, y) = palm.center_px
    return Box(x - half, y - half, x + half, y + half)


def _outside(anchors: FloatArray, boxes: Sequence[Box]) -> FloatArray:
    """(A,) 0 for anchors in one of the boxes, 1 elsewhere."""
    weight = np.ones(len(anchors), np.float32)
    x, y = anchors.T
    for box in boxes:
        weight[(x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)] = 0
    return weight
