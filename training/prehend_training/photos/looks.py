"""The views in which a teacher sees an image, and the way back.

A look is first at the whole image and its mirror image (at tiles, where nothing is found and hands may be small),
then at each place where a hand may be: as it is, mirrored, turned both ways, and from farther away.
"""

from dataclasses import dataclass

import numpy as np

from prehend.types import Box, FloatArray

MAX_WHOLE_PX = 1280
"""Longer side of the view of a whole image; larger ones are shrunk."""
TURN_RAD = np.deg2rad(25.0)
NEAR, FAR = 2.2, 3.5
"""Side of a view of one hand over the longer side of the hand's box; the far one is 1.6 times the near one."""
NEAR_PX = 384
MAX_ENLARGED = 6.0
TILE_SHARE = 0.4
"""Side of a tile over the shorter side of the image; tiles overlap by half."""
_TILE_PX = 320


@dataclass(frozen=True)
class Look:
    """A view of an image.

    Attributes:
        affine: (2, 3) pixels of the image -> pixels of the view.
        size: width and height of the view [px].
    """

    affine: FloatArray
    size: tuple[int, int]

    @property
    def mirrored(self) -> bool:
        """Whether left hands look like right ones in it."""
        return bool(np.linalg.det(self.affine[:, :2]) < 0)

    def back(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the view -> pixels of the image."""
        return (np.asarray(points_px) - self.affine[:, 2]) @ np.linalg.inv(self.affine[:, :2]).T


def whole_looks(size: tuple[int, int]) -> list[Look]:
    """The image of this width and height, and its mirror image."""
    scale = min(1.0, MAX_WHOLE_PX / max(size))
    view = round(size[0] * scale), round(size[1] * scale)
    middle = (np.array(size) - 1) / 2
    return [look_at(middle, scale, view, mirrored=mirrored) for mirrored in (False, True)]


def tile_looks(size: tuple[int, int]) -> list[Look]:
    """Squares that overlap by half and cover the image."""
    side = TILE_SHARE * min(size)
    scale = min(_TILE_PX / side, MAX_ENLARGED)
    view = round(side * scale)
    counts = [max(1, int(np.ceil((length - side) / (side / 2))) + 1) for length in size]
    x, y = (np.linspace(side / 2, length - side / 2, count) - 0.5 for length, count in zip(size, counts, strict=True))
    return [look_at(np.array([i, j]), scale, (view, view)) for j in y for i in x]


def hand_looks(box: Box) -> list[Look]:
    """The views of one place that have to agree."""
    side, middle = max(box.width, box.height), np.array(box.center)
    near, far = (min(NEAR_PX / (times * side), MAX_ENLARGED) for times in (NEAR, FAR))
    near_px, far_px = round(NEAR * side * near), round(FAR * side * far)
    choices = ((0.0, False), (0.0, True), (TURN_RAD, False), (-TURN_RAD, True))
    looks = [look_at(middle, near, (near_px, near_px), turn, mirrored) for turn, mirrored in choices]
    return [*looks, look_at(middle, far, (far_px, far_px))]


def look_at(
    middle_px: FloatArray, scale: float, size: tuple[int, int], turn_rad: float = 0.0, mirrored: bool = False
) -> Look:
    """A view of this width and height whose middle shows `middle_px` (2,) of the image, turned and then mirrored."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    if mirrored:
        turn = np.diag([-1.0, 1.0]) @ turn
    return Look(np.column_stack([turn, (np.array(size) - 1) / 2 - turn @ middle_px]), size)
