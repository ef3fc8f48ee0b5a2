"""One rendered picture with everything known about it: the typed sample of training, evaluation and viewing."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import Side

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class ObjectLabel:
    """A rigid thing in the scene.

    Attributes:
        object_id: name in the catalogue.
        T_camera_object: (4, 4) pose.
        extents_m, center_m: (3,) size and centre of the model's axis-aligned box in the object frame.
        control_points_m: (21, 3) in the camera frame, order of `prehend.geometry.pnp.control_points`.
        keypoints_px: (21, 2) their projections.
        box_px: (4,) box of the projections.
    """

    object_id: str
    T_camera_object: FloatArray
    extents_m: FloatArray
    center_m: FloatArray
    control_points_m: FloatArray
    keypoints_px: FloatArray
    box_px: FloatArray


@dataclass(frozen=True)
class HandLabel:
    """A hand in the scene, as it is (a left hand is a left hand here).

    Attributes:
        side: left or right.
        rotations: (16, 3, 3) of the hand model of that side; the first takes the hand to the camera frame.
        betas: (10,) shape.
        joints_m: (21, 3) camera frame.
        vertices_m: (V, 3) camera frame, hand without forearm.
        keypoints_px: (21, 2) projections of the joints.
        box_px: (4,) tight box of the joints.
        visible: (21,) bool: in the image and not hidden by anything (the hand's own skin over the joint is no
            hindrance).
        visible_ratio: visible pixels of the hand over the pixels it would cover alone (0..1).
        grasp: hand and object in contact and the object moves with the hand.
        held_object: what is grasped, None for an empty hand.
    """

    side: Side
    rotations: FloatArray
    betas: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    keypoints_px: FloatArray
    box_px: FloatArray
    visible: NDArray[np.bool_]
    visible_ratio: float
    grasp: bool
    held_object: ObjectLabel | None


class Sample(NamedTuple):
    """A picture and its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        segmentation: (H, W) uint8: 0 background, 1 + 2 i hand i (with its arm), 2 + 2 i the object that hand i holds,
            255 any other thing in front.
        K: (3, 3) intrinsics of this picture (crops have theirs: the principal point is then off the centre).
        hands: labels, in the order of the segmentation's numbers.
        seed, index: the picture comes from these two alone.
    """

    image: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    K: FloatArray
    hands: tuple[HandLabel, ...]
    seed: int
    index: int  # type: ignore[assignment]
