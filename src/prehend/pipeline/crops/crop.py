"""The one preprocessing of training and robot: from where a hand is to what the network sees, and back.

The crop is a square around the hand's region, `CROP_SCALE` times its longer side, turned so that the hand points up. It
depends on the hand's place, direction and side alone, never on whether something is held, so that the zoom gives no
answer away. Left hands are mirrored: the network sees right hands only. It stays ours: training and robot have to agree
on every pixel.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Window
from prehend.conventions import Side
from prehend.errors import InvalidInput
from prehend.types import Box, FloatArray, Region

CROP_SIZE = 128
"""Side of the crop [px]."""

CROP_SCALE = 1.6
"""Side of the crop over the longer side of the tight box of the 21 joints: room for skin, motion and what is held."""

MIN_OBJECT_PX = 4.0
"""An object box of which less than this is left inside the crop, in either direction, counts as not given [px]."""

_MAX_SHRINK = 64


HAND_BASE, HAND_TOP = 0, 9
"""Joints that tell a hand's direction: wrist and middle knuckle."""


def direction_of(keypoints_px: FloatArray) -> float:
    """Direction of a hand in the image, wrist to middle knuckle of its (21, 2) joints, as `Region.turn_rad` [rad]."""
    dx, dy = np.asarray(keypoints_px, np.float64)[HAND_TOP] - np.asarray(keypoints_px, np.float64)[HAND_BASE]
    return float(np.arctan2(dx, -dy))


def region_of(keypoints_px: FloatArray) -> Region:
    """The tight region of a hand's (21, 2) joints, turned along its direction."""
    return Region.around(keypoints_px, direction_of(keypoints_px))


def crop_affine(region: Region, size: int = CROP_SIZE) -> FloatArray:
    """(2, 3) float64 that takes pixels of the image to those of the crop of a right hand in this tight region."""
    linear = size / (CROP_SCALE * region.longer) * region.axes
    return np.column_stack([linear, (size - 1) / 2 - linear @ np.array(region.center_px)])


def box_in_crop(box: Box, affine: FloatArray) -> NDArray[np.float32]:
    """(4,) x0, y0, x1, y1 [crop px], the box around a box of the image under a (2, 3) affine map."""
    corners = np.array([[x, y] for x in (box.x0, box.x1) for y in (box.y0, box.y1)])
    mapped = corners @ affine[:, :2].T + affine[:, 2]
    return np.concatenate([mapped.min(0), mapped.max(0)]).astype(np.float32)


def from_box(points: FloatArray, box: FloatArray) -> FloatArray:
    """(..., 2) in units of a (4,) box of the crop, 0 left and top, 1 right and bottom -> (..., 2) [crop px]."""
    return box[:2] + np.asarray(points, np.float64) * (box[2:] - box[:2])


def whole_crop(size: int = CROP_SIZE) -> NDArray[np.float32]:
    """(4,) all of the crop, up to the outer edges of its pixels: the object's box where none is known [crop px]."""
    return np.array([-0.5, -0.5, size - 0.5, size - 0.5], np.float32)


@dataclass(frozen=True)
class CropSpec:
    """Where a crop comes from and what it shows.

    Attributes:
        affine: (2, 3) float64, pixels of the image -> pixels of the crop, mirrored for a left hand.
        size: side of the crop [px].
        mirrored: whether the crop shows the mirror image.
        center_px: (2,) the image's point in the middle of the crop [px].
        hand_box: (4,) float32 x0, y0, x1, y1: the hand's box in the crop [px]; margins are the network's affair.
        object_box: (4,) float32 the object's box in the crop [px]; it may reach beyond the crop, but not by more
            than the crop's side. The whole crop where no object box is known (training shows both).
        turn_rad: direction of the hand in the image, which is up in the crop: see `Region.turn_rad` [rad].
    """

    affine: FloatArray
    size: int
    mirrored: bool
    center_px: FloatArray
    hand_box: FloatArray
    object_box: FloatArray
    turn_rad: float = 0.0

    @classmethod
    def from_region(
        cls,
        region: Region,
        side: Side,
        image_size: tuple[int, int],
        object_box: Box | None = None,
        size: int = CROP_SIZE,
    ) -> "CropSpec":
        """The crop of a hand.

        Args:
            region: tight region of the joints in the image [px].
            side: left hands are mirrored.
            image_size: width, height of the image [px].
            object_box: of what may be held, in the image [px].
            size: side of the crop [px].

        Raises:
            InvalidInput: the region is not finite, has no size, or does not touch the image.
        """
        numbers = (*region.center_px, region.width, region.height, region.turn_rad)
        if not np.isfinite(numbers).all():
            raise InvalidInput(f"hand region {numbers} is not finite")
        check_box(region.box, image_size)
        affine = crop_affine(region, size)
        if side == "left":
            affine = _mirrored(affine, size)
        half = size / CROP_SCALE / 2 * np.array([region.width, region.height]) / region.longer
        middle = (size - 1) / 2
        hand = np.concatenate([middle - half, middle + half]).astype(np.float32)
        thing = _object_box(affine, size, object_box)
        return cls(affine, size, side == "left", np.array(region.center_px), hand, thing, region.turn_rad)

    @classmethod
    def from_box(
        cls,
        hand_box: Box,
        side: Side,
        image_size: tuple[int, int],
        object_box: Box | None = None,
        size: int = CROP_SIZE,
    ) -> "CropSpec":
        """The crop of a hand of which only an axis-aligned box is known: upright as the image. See `from_region`."""
        return cls.from_region(Region.of_box(hand_box), side, image_size, object_box, size)

    def for_other_side(self) -> "CropSpec":
        """The same crop for a hand of the other side."""
        hand, thing = (
            np.array([self.size - 1 - box[2], box[1], self.size - 1 - box[0], box[3]], np.float32)
            for box in (self.hand_box, self.object_box)
        )
        affine = _mirrored(self.affine, self.size)
        return replace(self, affine=affine, mirrored=not self.mirrored, hand_box=hand, object_box=thing)

    @property
    def scale(self) -> float:
        """Pixels of the crop per pixel of the image."""
        return float(np.sqrt(abs(np.linalg.det(self.affine[:, :2]))))

    def to_crop(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the image -> (..., 2) pixels of the crop."""
        return np.asarray(points_px, np.float64) @ self.affine[:, :2].T + self.affine[:, 2]

    def to_image(self, points_crop: FloatArray) -> FloatArray:
        """(..., 2) pixels of the crop -> (..., 2) pixels of the image: the inverse of `to_crop`."""
        return (np.asarray(points_crop, np.float64) - self.affine[:, 2]) @ np.linalg.inv(self.affine[:, :2]).T


@dataclass(frozen=True)
class Crop:
    """What the network sees of one hand.

    Attributes:
        spec: where it comes from.
        image: (3, size, size) float32 RGB in [0, 1]; black beyond the image.
    """

    spec: CropSpec
    image: NDArray[np.float32]

    @property
    def uncut(self) -> None:
        """What a device could cut itself: nothing, it is cut (see `uncut.UncutCrop`)."""

    def for_other_side(self) -> "Crop":
        """What the network would see were it a hand of the other side: the mirror image."""
        return Crop(self.spec.for_other_side(), np.ascontiguousarray(self.image[:, :, ::-1]))


def cut(image: NDArray[np.uint8], spec: CropSpec) -> Crop:
    """Cut a crop out of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        spec: for an image of this size.

    Returns:
        The crop, averaged over the pixels that fall on one of its own where the image has more of them.
    """
    window = window_of(spec, (image.shape[1], image.shape[0]))
    part = image[window.rows, window.columns]
    if not part.size:
        return Crop(spec, np.zeros((3, spec.size, spec.size), np.float32))
    part = _shrink(part, window.shrink)
    warped = cv2.warpAffine(part, window.affine, (spec.size, spec.size), flags=cv2.INTER_LINEAR)
    planes = np.empty((3, spec.size, spec.size), np.float32)
    for plane, colour in zip(planes, cv2.split(warped), strict=True):
        np.divide(colour, np.float32(255), out=plane)
    return Crop(spec, planes)


def window_of(spec: CropSpec, image_size: tuple[int, int]) -> Window:
    """What a crop is made of, in an image of this width and height."""
    shrink = int(np.clip(1 / spec.scale, 1, _MAX_SHRINK))
    edge = np.array([-0.5, spec.size - 0.5])
    corners = spec.to_image(np.array([[x, y] for x in edge for y in edge]))
    # two pixels of the shrunk image more on every side, for the interpolation
    x0, y0 = np.clip(np.floor(corners.min(0)) - 2 * shrink, 0, image_size).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0)) + 2 * shrink, 0, image_size).astype(int)
    # a pixel of the shrunk part is the mean of shrink x shrink pixels; its centre lies in their middle
    offset = np.array([x0, y0]) + (shrink - 1) / 2
    affine = np.column_stack([spec.affine[:, :2] * shrink, spec.to_crop(offset)])
    return Window(slice(int(y0), int(y1)), slice(int(x0), int(x1)), shrink, affine)


def check_box(box: Box, image_size: tuple[int, int]) -> None:
    """Raise `InvalidInput` unless the box is finite, has a size and touches the image of this width and height."""
    values = box.as_array()
    text = f"box ({', '.join(f'{value:g}' for value in values)})"
    if not np.isfinite(values).all():
        raise InvalidInput(f"{text} is not finite")
    if box.width < 0 or box.height < 0 or max(box.width, box.height) < 1e-3:
        raise InvalidInput(f"{text} has no size: expected x0 < x1 and y0 < y1")
    width, height = image_size
    if box.x1 < -0.5 or box.y1 < -0.5 or box.x0 > width - 0.5 or box.y0 > height - 0.5:
        raise InvalidInput(f"{text} does not touch the image of {width} x {height}")


def _mirrored(affine: FloatArray, size: int) -> FloatArray:
    """(2, 3) map to the mirror image of a crop."""
    return np.array([[-affine[0, 0], -affine[0, 1], size - 1 - affine[0, 2]], affine[1]])


def _object_box(affine: FloatArray, size: int, box: Box | None) -> NDArray[np.float32]:
    """(4,) square around a box in the crop, so that angles stay what they are; the whole crop where there is none or
    next to nothing of it is in the crop."""
    if box is None or not np.isfinite(box.as_array()).all():
        return whole_crop(size)
    inside = box_in_crop(box, affine)
    seen = np.clip(inside, -0.5, size - 0.5)
    if (seen[2:] - seen[:2]).min() < MIN_OBJECT_PX:
        return whole_crop(size)
    middle, half = (inside[:2] + inside[2:]) / 2, (inside[2:] - inside[:2]).max() / 2
    return np.clip(np.concatenate([middle - half, middle + half]), -size, 2 * size).astype(np.float32)


def _shrink(part: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """(H, W, 3) -> (ceil(H / factor), ceil(W / factor), 3), the mean of blocks; the last ones of what there is."""
    if factor == 1:
        return part
    height, width = part.shape[:2]
    bottom, right = -height % factor, -width % factor
    padded = cv2.copyMakeBorder(part, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // factor, padded.shape[0] // factor)
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.uint8)
