"""Grasp labels from object poses, by the papers' rule.

A frame counts as a grasp once the object has left the pose it had in the sequence's first frame, seen by the same
camera. HandBooster (CVPR 2024) states 5 degrees or 10 mm; the released script of UniHOPE (CVPR 2025) takes 5 degrees or
50 mm, and its paper gives no number. HO-3D's published labels were made by hand: in its sequences the object is often
held from the first frame on, and the rule then says no until it moves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.geometry.rotations import geodesic_angle
from prehend.types import FloatArray
from prehend_training.sample import ObjectLabel


@dataclass(frozen=True)
class GraspRule:
    """How far an object has to have moved: by more than either number.

    Attributes:
        rotation_deg: angle of the rotation from the first frame (RRE).
        translation_m: distance of the object's origin from where it was (RTE).
    """

    rotation_deg: float = 5.0
    translation_m: float = 0.01


HANDBOOSTER = GraspRule()
UNIHOPE_SCRIPT = GraspRule(translation_m=0.05)

NEAR_M = 0.02
"""A hand is near an object if one of its points is at most this far from the object's box. Joints lie about a
centimetre under the skin."""


def displaced(
    T_camera_object: FloatArray, T_camera_first: FloatArray, rule: GraspRule = HANDBOOSTER
) -> NDArray[np.bool_]:
    """Whether an object has left its first pose.

    Args:
        T_camera_object: (..., 4, 4) poses.
        T_camera_first: (4, 4) pose in the sequence's first frame, in the same camera.
        rule: thresholds.

    Returns:
        (...) bool.
    """
    poses, first = np.asarray(T_camera_object, np.float64), np.asarray(T_camera_first, np.float64)
    check_shape("T_camera_object", poses, ["...", 4, 4])
    check_shape("T_camera_first", first, [4, 4])
    turned = np.degrees(geodesic_angle(poses[..., :3, :3], first[:3, :3]))
    moved = np.linalg.norm(poses[..., :3, 3] - first[:3, 3], axis=-1)
    return np.asarray((turned > rule.rotation_deg) | (moved > rule.translation_m))


def near(points_m: FloatArray, thing: ObjectLabel, reach_m: float = NEAR_M) -> bool:
    """Whether one of the points is at, or in, the object's box.

    Args:
        points_m: (N, 3) joints or vertices of a hand in the camera frame.
        thing: the object in the same frame.
        reach_m: distance up to which a point counts.
    """
    T = thing.T_camera_object
    inside = (np.asarray(points_m) - T[:3, 3]) @ T[:3, :3] - thing.center_m
    gap = np.maximum(np.abs(inside) - np.asarray(thing.extents_m) / 2, 0)
    return bool((np.linalg.norm(gap, axis=-1) <= reach_m).any())


def grasps(points_m: FloatArray, thing: ObjectLabel, T_camera_first: FloatArray, rule: GraspRule) -> tuple[bool, bool]:
    """`grasp` and `displaced` of a `HandLabel`: datasets do not tell contact, so being near stands for it."""
    moved = bool(displaced(thing.T_camera_object, T_camera_first, rule))
    return moved and near(points_m, thing), moved
