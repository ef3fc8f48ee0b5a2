"""Which found box is which tracked hand, and which tracks are on one hand."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from prehend.conventions import Side
from prehend.pipeline.crops.regions import region_iou
from prehend.types import Box, FloatArray, FoundHand, Region

ASSOCIATION_IOU = 0.15
ASSOCIATION_DISTANCE = 0.4
ASSOCIATION_INSIDE = 0.7
"""A found hand may be a tracked one if their boxes overlap more than `ASSOCIATION_IOU`, or their centres are nearer
than `ASSOCIATION_DISTANCE` times the longer side, or this share of the hand's joints lies in the box (one of hand and
arm)."""

REACH_PER_S = 2.0
"""A hand out of sight may turn up further away: `ASSOCIATION_DISTANCE` grows by so much a second."""

DUPLICATE_DISTANCE = 0.2
"""Two tracks whose joints lie this near on average, in units of the longer side of their regions, are one hand."""

DUPLICATE_IOU = 0.65
"""Two tracks whose regions overlap more than this are one hand, unless each is sure to be the other side's."""

WITHIN_SHARE, WITHIN_DISTANCE = 0.8, 0.35
"""The same holds for a track of which this share of the joints lies in the other's region, near its middle."""

PART_INSIDE = 0.4
"""A hand that the detector is unsure of is a part of another one if this share of its joints lies in the other's
region: of a large hand with fingers apart, the bent ones are often taken for a hand of their own."""

KNOWN_IOU, KNOWN_INSIDE = 0.4, 0.8
"""A found hand is no new one if it overlaps a track by so much, or if this share of the track's joints lies in it: a
box around hand and forearm."""

KNOWN_SIZE = 4.0
"""For that, it is no longer than this many times the track's region: behind a hand close to the camera there may be
another one."""

_SIDE_BONUS = 0.3


class Tracked(Protocol):
    """What is known of a track when it is looked for."""

    @property
    def box_px(self) -> Box:
        """Where it should be in this frame."""

    @property
    def region(self) -> Region:
        """Where it is cut, or will be in the next frame."""

    @property
    def keypoints_px(self) -> FloatArray | None:
        """(21, 2) where its joints should be, None if it was never seen."""

    @property
    def side(self) -> Side:
        """Left or right."""

    @property
    def side_settled(self) -> bool:
        """Whether the side is beyond doubt."""

    @property
    def unseen_s(self) -> float:
        """For how long it was not seen [s]."""


def associate(tracks: Sequence[Tracked], found: Sequence[FoundHand]) -> list[tuple[int, int]]:
    """Pairs (track, found), each at most once, the most alike first."""
    alike: list[tuple[float, int, int]] = []
    for i, track in enumerate(tracks):
        for j, hand in enumerate(found):
            iou, distance = overlap(track, hand), box_distance(track.box_px, hand.box_px)
            inside = share_inside(track.keypoints_px, hand.box_px)
            near = distance < ASSOCIATION_DISTANCE + REACH_PER_S * track.unseen_s
            if iou > ASSOCIATION_IOU or near or inside > ASSOCIATION_INSIDE:
                bonus = _SIDE_BONUS if hand.side == track.side else 0.0
                alike.append((iou + max(0.0, 1 - distance) + 0.5 * inside + bonus, i, j))
    return best_pairs(alike)


def best_pairs(alike: Iterable[tuple[float, int, int]]) -> list[tuple[int, int]]:
    """Of (how alike, i, j) the pairs (i, j) in which each i and each j occurs at most once, the most alike first."""
    pairs: list[tuple[int, int]] = []
    for _, i, j in sorted(alike, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if all(i != row and j != column for row, column in pairs):
            pairs.append((i, j))
    return pairs


def box_distance(a: Box, b: Box) -> float:
    """Between the centres, in units of the longer side of the larger box."""
    longer = max(a.width, a.height, b.width, b.height)
    return float(np.hypot(*np.subtract(a.center, b.center))) / max(longer, 1e-6)


def overlap(track: Tracked, hand: FoundHand) -> float:
    """Intersection over union of a track and a found hand: of their boxes, or of their regions if that is more."""
    iou = track.box_px.iou(hand.box_px)
    return iou if hand.region is None else max(iou, region_iou(track.region, hand.region))


def is_known(track: Tracked, hand: FoundHand) -> bool:
    """Whether a found hand is one that is followed, or that one with its arm."""
    region = Region.of_box(hand.box_px) if hand.region is None else hand.region
    if overlap(track, hand) > KNOWN_IOU:
        return True
    inside = max(share_inside(track.keypoints_px, hand.box_px), share_in_region(track.keypoints_px, region))
    return inside > KNOWN_INSIDE and region.longer < KNOWN_SIZE * track.region.longer


def same_hand(a: Tracked, b: Tracked) -> bool:
    """Whether two tracks that were seen in this frame are on one hand."""
    if a.keypoints_px is None or b.keypoints_px is None:
        return False
    longer = max(a.region.longer, b.region.longer)
    if float(np.linalg.norm(a.keypoints_px - b.keypoints_px, axis=-1).mean()) < DUPLICATE_DISTANCE * longer:
        return True
    if a.side != b.side and a.side_settled and b.side_settled:
        return False
    inside = max(share_in_region(a.keypoints_px, b.region), share_in_region(b.keypoints_px, a.region))
    distance = float(np.hypot(*np.subtract(a.region.center_px, b.region.center_px))) / max(longer, 1e-6)
    within = inside > WITHIN_SHARE and distance < WITHIN_DISTANCE
    return within or region_iou(a.region, b.region) > DUPLICATE_IOU


def is_part(track: Tracked, other: Tracked) -> bool:
    """Whether a track of which the detector was unsure is on a part of the hand of another; both were seen in this
    frame."""
    return share_in_region(track.keypoints_px, other.region) > PART_INSIDE


def share_inside(keypoints_px: FloatArray | None, box: Box) -> float:
    """Share of the joints that lie in a box; 0 without joints."""
    return share_in_region(keypoints_px, Region.of_box(box))


def share_in_region(keypoints_px: FloatArray | None, region: Region) -> float:
    """Share of the joints that lie in a region; 0 without joints."""
    if keypoints_px is None:
        return 0.0
    offsets = np.abs((keypoints_px - region.center_px) @ region.axes.T)
    return float((offsets <= np.array([region.width, region.height]) / 2 + 1e-6).all(-1).mean())
