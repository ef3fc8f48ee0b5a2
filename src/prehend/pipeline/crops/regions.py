"""Where to cut a hand out of an image: the turned region that its joints call for, and when to cut once more."""

import math
from dataclasses import replace

import numpy as np

from prehend.pipeline.crops.crop import HAND_BASE, HAND_TOP, direction_of
from prehend.types import Box, FloatArray, Region

LOOK_AGAIN_RAD = math.radians(20)
LOOK_AGAIN_SCALE = 1.25
LOOK_AGAIN_SHIFT = 0.15
"""A crop is cut again if its hand is turned by more than this against it, if the hand's region is larger or smaller by
more than this factor, or off by more than this share of its longer side. Training turns, scales and shifts its crops by
about as much."""

MAX_SCALE, MAX_SHIFT = 1.7, 0.6
"""The second crop is larger or smaller than the first by this factor at most, and off by this share of its longer side:
beyond that lies another hand, or joints that fell in on a point."""

MIN_SIDE = 0.1
"""The shorter side of a second crop's region is at least this share of the longer one."""

MIN_PALM = 0.15
"""A hand whose palm is shorter than this share of its region points at the camera: it has no direction in the image."""


def upright_region(keypoints_px: FloatArray, turn_rad: float) -> Region:
    """The tight region of a hand's (21, 2) joints along its direction; turned by `turn_rad` where it has none [rad]."""
    points = np.asarray(keypoints_px, np.float64)
    region = Region.around(points, direction_of(points))
    palm = float(np.linalg.norm(points[HAND_TOP] - points[HAND_BASE]))
    return region if palm >= MIN_PALM * region.longer else Region.around(points, turn_rad)


def fit_to_box(keypoints_px: FloatArray, box: Box) -> FloatArray:
    """(21, 2) joints, moved and scaled until their box has the middle and the longer side of a given one."""
    own = Box.around(keypoints_px)
    scale = max(box.width, box.height) / max(own.width, own.height, 1e-6)
    return (np.asarray(keypoints_px, np.float64) - own.center) * scale + box.center


def turn_between(a: Region, b: Region) -> float:
    """Angle between the directions of two regions, 0 to pi [rad]."""
    return abs(math.remainder(a.turn_rad - b.turn_rad, 2 * math.pi))


def is_off(region: Region, cut: Region) -> bool:
    """Whether a hand's region differs so much from the one that was cut that it is worth another look."""
    scale = region.longer / max(cut.longer, 1e-6)
    shift = math.dist(region.center_px, cut.center_px) / max(cut.longer, 1e-6)
    return (
        turn_between(region, cut) > LOOK_AGAIN_RAD
        or not 1 / LOOK_AGAIN_SCALE <= scale <= LOOK_AGAIN_SCALE
        or shift > LOOK_AGAIN_SHIFT
    )


def near_to(region: Region, cut: Region) -> Region:
    """A hand's region, no further from the one that was cut than `MAX_SCALE` and `MAX_SHIFT`."""
    longer = min(max(region.longer, cut.longer / MAX_SCALE), cut.longer * MAX_SCALE)
    grow = longer / max(region.longer, 1e-6)
    way = np.subtract(region.center_px, cut.center_px)
    way = way * min(1.0, MAX_SHIFT * cut.longer / max(float(np.linalg.norm(way)), 1e-6))
    x, y = (np.array(cut.center_px) + way).tolist()
    width, height = (max(grow * side, MIN_SIDE * longer) for side in (region.width, region.height))
    if max(width, height) < longer:  # joints in one point
        width = height = longer
    return replace(region, center_px=(x, y), width=width, height=height)


def region_iou(a: Region, b: Region) -> float:
    """Intersection over union of two turned regions, 0 for regions without area."""
    areas = a.width * a.height, b.width * b.height
    if min(areas) <= 0:
        return 0.0
    shared = _shared_area(a, b)
    return float(np.clip(shared / max(sum(areas) - shared, 1e-9), 0.0, 1.0))


def _shared_area(a: Region, b: Region) -> float:
    """Area of the intersection: `b` clipped at the sides of `a` (Sutherland and Hodgman, 1974). OpenCV's own functions
    for this give 0 for some rectangles that are nearly the same."""
    half = np.array([b.width, b.height]) / 2
    polygon: FloatArray = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ b.axes + b.center_px
    polygon = (polygon - a.center_px) @ a.axes.T
    for axis, limit in ((0, a.width / 2), (1, a.height / 2)):
        for sign in (1, -1):
            polygon = _clipped(polygon, limit - sign * polygon[:, axis])
            if not len(polygon):
                return 0.0
    x, y = polygon.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def _clipped(polygon: FloatArray, inside: FloatArray) -> FloatArray:
    """The part of a polygon (N, 2) where a linear function, given (N,) at its corners, is not negative."""
    corners = []
    for p, q, here, there in zip(polygon, np.roll(polygon, -1, 0), inside, np.roll(inside, -1), strict=True):
        if here >= 0:
            corners.append(p)
        if here * there < 0:
            corners.append(p + (q - p) * here / (here - there))
    return np.array(corners).reshape(-1, 2)
