"""Which square of a stored image the network sees, and what that does to the labels.

Both are exact, for any turn and mirror.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from prehend.conventions import MIRROR, SIDES
from prehend.geometry.control_points import MIRRORED_ORDER
from prehend.geometry.rotations import rotation_between
from prehend.pipeline.crops.crop import CropSpec, direction_of
from prehend.types import Box, FloatArray
from prehend_training.data.pixels.plans import IMAGES
from prehend_training.data.records import Record


@dataclass(frozen=True)
class ViewConfig:
    """How far the square may be from the one around the true box.

    Attributes:
        center: largest shift of the box along each axis, as a share of its longer side.
        scale: range of the box's size over the true one.
        aspect: largest |log| of a further change of width against height.
        scale_sigma: standard deviation of the size over the true one, cut off at `scale`; None for any size in that
            range alike.
        turn_p: probability of a turn by any angle; otherwise the turn is normal.
        turn_rad: standard deviation of the normal turn [rad].
        turn_limit_rad: where the normal turn is cut off [rad].
        still_p: probability of no turn at all, of those that would be normal.
        upright: turns count from the hand's own direction, as crops are cut (`pipeline.crops.crop.direction_of`);
            otherwise from the image as it is.
    """

    center: float = 0.14
    scale: tuple[float, float] = (0.72, 1.35)
    aspect: float = 0.08
    scale_sigma: float | None = None
    turn_p: float = 0.05
    turn_rad: float = 0.3
    turn_limit_rad: float = np.pi
    still_p: float = 0.0
    upright: bool = False


EXACT_VIEW = ViewConfig(center=0.0, scale=(1.0, 1.0), aspect=0.0, turn_p=0.0, turn_rad=0.0)


PLACE_SCALE = 2.4
"""Side of the image of a place without a hand over the longer side of its box: the crop after the largest shift and
growth of `ViewConfig`."""


def place_box(image_size: tuple[int, int]) -> Box:
    """The box in the middle of the image of a place, of this width and height, see `PLACE_SCALE`."""
    width, height = image_size
    half, x, y = max(width, height) / PLACE_SCALE / 2, (width - 1) / 2, (height - 1) / 2
    return Box(x - half, y - half, x + half, y + half)


@dataclass(frozen=True)
class CropView:
    """A square of an image that may have been turned.

    Attributes:
        spec: the pipeline's crop of the turned image; its boxes are inputs of the network.
        affine: (2, 3) takes pixels of the stored image to pixels of the crop.
        R_crop_camera: (3, 3) takes directions of the stored image's camera to the crop frame, the turn included.
    """

    spec: CropSpec
    affine: FloatArray
    R_crop_camera: FloatArray

    @property
    def resolution(self) -> float:
        """Pixels of the image for one of the crop along a side, 1 where there are more."""
        return min(1.0, float(abs(np.linalg.det(self.affine[:, :2])) ** -0.5))


def image_size(record: Record) -> tuple[int, int]:
    """Width and height of a record's image [px], wherever its pixels are."""
    if "image" in record:
        height, width = record["image"].shape[:2]
    else:
        width, height = (int(side) for side in record["image_size"])
    return width, height


def mirror_left(record: Record) -> Record:
    """A record whose first hand is a left one as its mirror image with a right hand; others stay as they are."""
    return mirror(record) if SIDES[int(record["side"][0])] == "left" else record


def mirror_right(record: Record) -> Record:
    """A record whose first hand is a right one as its mirror image with a left hand; others stay as they are."""
    return mirror(record) if SIDES[int(record["side"][0])] == "right" else record


def mirror(record: Record) -> Record:
    """The mirror image of a record, in which left hands are right hands.

    Pixels go `x -> W - 1 - x`, points `x -> -x`, rotations `R -> MIRROR R MIRROR`; shape coefficients stay.
    Control points are reordered (see `MIRRORED_ORDER`).
    """
    mirrored = dict(record)
    width, _ = image_size(record)
    for name in IMAGES:
        if name in record:
            mirrored[name] = np.asarray(cv2.flip(np.asarray(record[name]), 1), np.uint8)
    if "mirrored" in record:
        mirrored["mirrored"] = ~record["mirrored"]
    K = np.array(record["K"])
    K[0, 2] = width - 1 - K[0, 2]
    mirrored["K"] = K
    mirrored["side"] = 1 - record["side"]
    mirrored["rotations"] = (MIRROR @ record["rotations"] @ MIRROR).astype(np.float32)
    for name, flip, shift in (
        ("joints_m", [-1, 1, 1], 0),
        ("object_points_m", [-1, 1, 1], 0),
        ("keypoints_px", [-1, 1], [width - 1, 0]),
        ("object_keypoints_px", [-1, 1], [width - 1, 0]),
    ):
        mirrored[name] = (record[name] * np.array(flip) + np.array(shift)).astype(np.float32)
        if name.startswith("object"):
            mirrored[name] = mirrored[name][..., MIRRORED_ORDER, :]
    return mirrored


def draw_box(box: Box, config: ViewConfig, rng: np.random.Generator) -> Box:
    """A tight box, off by as much as a detector's box may be."""
    side = max(box.width, box.height)
    x, y = np.array(box.center) + rng.uniform(-config.center, config.center, 2) * side
    if config.scale_sigma is None:
        scale = rng.uniform(*config.scale)
    else:
        scale = float(np.clip(rng.normal(1, config.scale_sigma), *config.scale))
    stretch = np.exp(rng.uniform(-config.aspect, config.aspect))
    half_width, half_height = box.width / 2 * scale * stretch, box.height / 2 * scale / stretch
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def draw_turn(
    image_size: tuple[int, int], config: ViewConfig, rng: np.random.Generator, direction_rad: float = 0.0
) -> FloatArray:
    """(2, 3) affine map that turns an image of this width and height about its middle.

    Args:
        image_size: width, height [px].
        config: how far it is turned.
        rng: draws the angle.
        direction_rad: of the hand in the image, see `pipeline.crops.crop.direction_of`; `config.upright` turns it up.
    """
    middle = (np.array(image_size) - 1) / 2
    angle = _draw_angle(config, rng) - (direction_rad if config.upright else 0.0)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, middle - turn @ middle])


def draw_hand(record: Record, config: ViewConfig, rng: np.random.Generator) -> tuple[FloatArray, Box]:
    """A turn of the image, see `draw_turn`, and the first hand's box in the turned image as a detector gives it."""
    points = record["keypoints_px"][0]
    # of a hand that is known by its box alone the direction is not known either
    direction = direction_of(points) if record["has_keypoints"][0] else rng.uniform(-np.pi, np.pi)
    turn = draw_turn(image_size(record), config, rng, direction)
    return turn, draw_box(Box.around(apply_affine(turn, points)), config, rng)


def _draw_angle(config: ViewConfig, rng: np.random.Generator) -> float:
    if rng.random() < config.turn_p:
        return float(rng.uniform(-np.pi, np.pi))
    angle = np.clip(rng.normal(0, 1) * config.turn_rad, -config.turn_limit_rad, config.turn_limit_rad)
    return 0.0 if config.still_p and rng.random() < config.still_p else float(angle)


def apply_affine(affine: FloatArray, points_px: FloatArray) -> FloatArray:
    """(2, 3) map, (..., 2) pixels -> (..., 2) pixels."""
    return points_px @ affine[:, :2].T + affine[:, 2]


def view_of(
    turn: FloatArray,
    hand_box: Box,
    object_box: Box | None,
    image_size: tuple[int, int],
    K: FloatArray,
    size_px: int,
) -> CropView:
    """What the pipeline would cut out of an image after it was turned.

    Turning an image is turning the camera about its optical axis, and the least rotation from that axis to the
    crop's ray turns along with it; hence `R_crop_camera = Rz R_camera_crop^T`, without approximation.

    Args:
        turn: (2, 3) see `draw_turn`.
        hand_box, object_box: in the turned image, as the detector would give them.
        image_size: width, height [px].
        K: (3, 3) intrinsics of the image, with square pixels.
        size_px: side of the crop.

    Raises:
        InvalidInput: the hand's box does not touch the image.
    """
    spec = CropSpec.from_box(hand_box, "right", image_size, object_box, size_px)
    affine = np.column_stack([spec.affine[:, :2] @ turn[:, :2], apply_affine(spec.affine, turn[:, 2])])
    center = turn[:, :2].T @ (spec.center_px - turn[:, 2])
    ray = np.linalg.solve(np.asarray(K, np.float64), np.array([center[0], center[1], 1.0]))
    Rz = np.eye(3)
    Rz[:2, :2] = turn[:, :2]
    R_camera_crop = rotation_between(np.array([0.0, 0.0, 1.0]), ray / np.linalg.norm(ray))
    return CropView(spec, affine, Rz @ R_camera_crop.T)


def crop_projection(K: FloatArray, view: CropView) -> FloatArray:
    """(3, 3) that takes points in the crop frame to homogeneous pixels of the crop."""
    return np.concatenate([view.affine, [[0, 0, 1]]]) @ K @ view.R_crop_camera.T
