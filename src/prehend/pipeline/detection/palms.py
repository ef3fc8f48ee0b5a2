"""Hands in the answers of the palm detector (`models.detectors.palm`): palms with seven points, and the hands around them."""

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import Side
from prehend.pipeline.crops.letterbox import (
    HELD_THRESHOLD,
    SAME_HAND_IOU,
    Letterbox,
    cell_centers,
    probability,
    touches,
)
from prehend.types import Box, FloatArray, FoundHand, Region

NUMBERS = 28
"""Of an answer, besides its score. All [px of the square] but the last ten:
0:4 middle of the palm's box from the anchor and its width and height; 4:18 seven points from the anchor, x, y each;
18:20 middle of the hand's region from where a palm alone has it, in the turned frame, and 20:22 logarithms of its width
and height over what a palm alone gives, in units of `REGION_SIDE` palms; 22 logit of a right hand; 23 logit of holding
something; 24:28 corners of what is held from the middle of the region, in the same units."""

POINTS = ("wrist", "index_mcp", "middle_mcp", "ring_mcp", "little_mcp", "thumb_cmc", "thumb_mcp")
"""The seven points of a palm."""
_WRIST, _MIDDLE = POINTS.index("wrist"), POINTS.index("middle_mcp")

ANCHOR_CELLS = ((8, 2), (16, 6))
"""Pixels of each cell and answers in it, in the answers' order."""

REGION_SIDE = 2.6 / 1.6
"""Side of the region of a palm alone over the palm's: crops are 1.6 times a region, MediaPipe's are 2.6 palms."""
REGION_SHIFT = 0.5
"""From the palm's middle to the region's towards the fingers, in palms (MediaPipe's)."""

MERGED_IOU = 0.3
"""Boxes of palms that overlap the best one's as much are the same palm, and averaged with it by score."""
SAME_PLACE = 0.6
"""A palm's box that shares as much of its own area or of a better one's is no second hand: it is around a part of the
same hand, or around it and the forearm."""

LARGEST_WIDE = 0.5
"""Hands of which the region's longer side is more of the image's are not looked for with `wide`: it sees them in a
size that neither scenes nor photographs taught, and `detect` finds them. Hands that hold a carton close to the camera
are .4 to .45 of it: there it is the better of the two."""

SIDE_SURE = 0.75
"""Probability from which a side is claimed."""

_LOG_RANGE = 1.5


@lru_cache(maxsize=8)
def anchors_px(size: int) -> FloatArray:
    """(A, 2) points that answers count from, of a square input [px, pixel centres being whole numbers]."""
    rows = []
    for stride, answers in ANCHOR_CELLS:
        centers = cell_centers(size // stride, size)
        y, x = np.meshgrid(centers, centers, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], -1), answers, 0))
    return np.concatenate(rows)


class Palm(NamedTuple):
    """A palm in an image.

    Attributes:
        score: probability.
        center_px, side_px: (2,) middle of its box, and the longer side.
        points_px: (7, 2) `POINTS`.
        further: (10,) the last of `NUMBERS`.
    """

    score: float
    center_px: FloatArray
    side_px: float
    points_px: FloatArray
    further: FloatArray


def decode_palms(
    outputs: Mapping[str, NDArray[np.float32]],
    picture: Letterbox,
    threshold: float,
    max_hands: int,
    largest_px: float = math.inf,
) -> list[FoundHand]:
    """Hands in the answers of stage `detect` or `detect_wide`.

    Args:
        outputs: for one image: `scores` (1, A, 1) logits, `boxes` (1, A, 28) as `NUMBERS` says.
        image: what the detector saw.
        threshold: lowest score.
        max_hands: most hands.
        largest_px: longest side of a region that is believed [px of the image].

    Returns:
        Best first, each with a region; one hand a place. Answers with numbers that are not finite count as none.

    Raises:
        InvalidInput: the arrays do not fit together.
    """
    kept: list[FoundHand] = []
    for palm in palms_in(outputs, picture, threshold, 2 * max_hands):
        hand = hand_of(palm)
        assert hand.region is not None
        if hand.region.longer > largest_px or not touches(hand.box_px, picture.image_size):
            continue
        if all(hand.box_px.iou(other.box_px) <= SAME_HAND_IOU for other in kept):
            kept.append(hand)
    return kept[:max_hands]


def palms_in(
    outputs: Mapping[str, NDArray[np.float32]], picture: Letterbox, threshold: float, max_palms: int
) -> list[Palm]:
    """The palms in the answers, in pixels of the image, best first; arguments and errors as `decode_palms`."""
    anchors = anchors_px(picture.image.shape[-1])
    check_shape("scores", outputs["scores"], [1, len(anchors), 1])
    check_shape("boxes", outputs["boxes"], [1, len(anchors), NUMBERS])
    score = probability(outputs["scores"][0, :, 0])
    rows = np.flatnonzero(score >= threshold)
    rows = rows[np.isfinite(outputs["boxes"][0, rows]).all(-1) & (outputs["boxes"][0, rows, 2:4] > 0).all(-1)]
    rows = rows[np.argsort(-score[rows], kind="stable")]
    numbers = outputs["boxes"][0, rows].astype(np.float64)
    for columns in (slice(0, 2), slice(4, 18)):
        numbers[:, columns] += np.tile(anchors[rows], (columns.stop - columns.start) // 2)
    return [_palm(one, merged, picture) for one, merged in _merged(score[rows], numbers, max_palms)]


def _merged(score: FloatArray, numbers: FloatArray, most: int) -> Iterator[tuple[float, FloatArray]]:
    """Answers that are sorted by score, each with those that mean the same palm averaged in."""
    boxes = np.concatenate([numbers[:, :2] - numbers[:, 2:4] / 2, numbers[:, :2] + numbers[:, 2:4] / 2], -1)
    left, taken = np.ones(len(score), bool), list[FloatArray]()
    while left.any() and len(taken) < most:
        best = int(np.argmax(left))
        shared, area = _shared(boxes, boxes[best])
        same = left & (shared > MERGED_IOU * (area + area[best] - shared))
        same[best] = True
        left &= ~same
        if not any(_is_same_place(boxes[best], other) for other in taken):
            taken.append(boxes[best])
            yield float(score[best]), score[same] @ numbers[same] / score[same].sum()


def _is_same_place(one: FloatArray, other: FloatArray) -> bool:
    shared, area = _shared(np.stack([one, other]), other)
    return bool(shared[0] > SAME_PLACE * area.min())


def _shared(boxes: FloatArray, box: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(N, 4), (4,) -> (N,) shared areas, (N,) areas."""
    sides = (np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])).clip(0)
    return sides.prod(-1), (boxes[:, 2:] - boxes[:, :2]).prod(-1)


def _palm(score: float, numbers: FloatArray, picture: Letterbox) -> Palm:
    center, *points = picture.to_image(numbers[[0, 1, *range(4, 18)]].reshape(8, 2))
    return Palm(score, center, float(max(numbers[2:4] / picture.scale)), np.array(points), numbers[18:])


def hand_of(palm: Palm) -> FoundHand:
    """The hand of a palm."""
    region = region_of_palm(palm.center_px, palm.side_px, palm.points_px, palm.further[:4])
    thing = None
    if probability(palm.further[5]) > HELD_THRESHOLD:
        x0, y0, x1, y1 = np.tile(region.center_px, 2) + REGION_SIDE * palm.side_px * palm.further[6:]
        thing = Box(float(x0), float(y0), float(x1), float(y1)) if x1 > x0 and y1 > y0 else None
    return FoundHand(_box_of(region), _side(palm.further[4]), palm.score, thing, region)


def region_of_palm(
    center_px: FloatArray, palm_px: float, points_px: FloatArray, change: FloatArray | None = None
) -> Region:
    """Where the hand of a palm is; training turns a hand's joints into `change` with `change_of_region`.

    Args:
        center_px: (2,) middle of the palm's box [px].
        palm_px: its longer side [px].
        points_px: (7, 2) `POINTS`.
        change: (4,) by how much the region is another than MediaPipe's, see `NUMBERS`; None for not at all.

    Returns:
        Without `change` 1.6 times its longer side is the side of MediaPipe's hand crop.
    """
    dx, dy = points_px[_MIDDLE] - points_px[_WRIST]
    turn, side = math.atan2(dx, -dy), REGION_SIDE * palm_px
    along, log_sides = (np.zeros(2), np.zeros(2)) if change is None else (change[:2], change[2:])
    offset = _turned(side * along - np.array([0, REGION_SHIFT * palm_px]), turn)
    width, height = side * np.exp(log_sides.clip(-_LOG_RANGE, _LOG_RANGE))
    x, y = np.asarray(center_px) + offset
    return Region((float(x), float(y)), float(width), float(height), turn)


def change_of_region(region: Region, center_px: FloatArray, palm_px: float, points_px: FloatArray) -> FloatArray:
    """(4,) the `change` with which `region_of_palm` gives the middle and size of a region of the same turn."""
    plain = region_of_palm(center_px, palm_px, points_px)
    away = _turned(np.array(region.center_px) - np.array(plain.center_px), -plain.turn_rad) / plain.width
    sides = np.log(np.maximum([region.width, region.height], 1e-3) / plain.width)
    return np.concatenate([away, sides])


def _turned(vector: FloatArray, turn_rad: float) -> FloatArray:
    """A vector of an upright frame in the image, where the frame's up points `turn_rad` clockwise of up."""
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    return np.array([[cos, -sin], [sin, cos]]) @ vector


def _box_of(region: Region) -> Box:
    """The axis-aligned box of the ellipse in a region: hands do not fill its corners."""
    cos, sin = math.cos(region.turn_rad) ** 2, math.sin(region.turn_rad) ** 2
    half_width = math.sqrt(region.width**2 * cos + region.height**2 * sin) / 2
    half_height = math.sqrt(region.width**2 * sin + region.height**2 * cos) / 2
    x, y = region.center_px
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def _side(logit: float) -> Side | None:
    right = probability(logit)
    return "right" if right >= SIDE_SURE else "left" if right <= 1 - SIDE_SURE else None
