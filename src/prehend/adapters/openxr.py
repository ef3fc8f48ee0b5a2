"""OpenXR's 26 hand joints with orientations and radii (extension XR_EXT_hand_tracking).

Source: the OpenXR specification, XrHandJointEXT (order), "Conventions of hand joints" (axes: +Z backward along the
bone, away from the tip; +Y out of the back of the hand or the nail; X = Y x Z; the palm joint in the middle of the
middle metacarpal) and XrHandJointLocationEXT (radius in metres, positive). Base space: right-handed, y up, -z forward.

The hand model has no metacarpal joints. Those of index, middle, ring and little finger are put on the line from wrist
to knuckle, `METACARPAL_SHARE` of the way, and the palm joint with them; `estimated` marks the five.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.adapters.frames import T_VIEW_CAMERA, checked_joints, joint_frames, moved
from prehend.check import check_shape
from prehend.conventions import Side
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.types import FloatArray

JOINT_NAMES = (
    "palm",
    "wrist",
    *(f"thumb_{part}" for part in ("metacarpal", "proximal", "distal", "tip")),
    *(
        f"{finger}_{part}"
        for finger in ("index", "middle", "ring", "little")
        for part in ("metacarpal", "proximal", "intermediate", "distal", "tip")
    ),
)
"""XrHandJointEXT without prefix and suffix, in its order."""

METACARPALS = (6, 11, 16, 21)
JOINTS21 = tuple(j for j in range(1, 26) if j not in METACARPALS)
"""Rows of the 26 that are our 21 joints, in our order."""

METACARPAL_SHARE = 0.3
"""Where a metacarpal begins between wrist and knuckle: the carpal bones take about the first third."""

_TIPS, _DISTALS = (5, 10, 15, 20, 25), (4, 9, 14, 19, 24)
_TIP_RADIUS, _LEAST_RADIUS_M = 0.8, 1e-3
_SLAB_M, _SECTORS = 0.006, 8
_KNUCKLES = (5, 9, 13, 17)


class OpenXRHand(NamedTuple):
    """The 26 joints of one hand in a base space.

    Attributes:
        positions_m: (26, 3).
        orientations: (26, 3, 3), columns are the axes of the joint.
        radii_m: (26,) half the thickness of the hand about the joint, estimated; None without a mesh.
        estimated: (26,) bool, True where the joint is no joint of the hand model.
    """

    positions_m: FloatArray
    orientations: FloatArray
    radii_m: FloatArray | None
    estimated: NDArray[np.bool_]

    @property
    def quaternions_xyzw(self) -> FloatArray:
        """(26, 4) orientations in the order of XrQuaternionf."""
        return quaternion_from_matrix(self.orientations)


def openxr_hand(
    joints_m: FloatArray,
    rotations: FloatArray,
    side: Side,
    vertices_m: FloatArray | None = None,
    T_base_camera: FloatArray = T_VIEW_CAMERA,
) -> OpenXRHand:
    """One hand as `xrLocateHandJointsEXT` tells it.

    Args:
        joints_m: (21, 3) in the camera frame [m].
        rotations: (16, 3, 3) as in `HandEstimate`.
        side: of the hand.
        vertices_m: (V, 3) mesh in the camera frame, for the radii.
        T_base_camera: (4, 4) from the optical frame to the base space; by default the view space of the camera itself.

    Raises:
        InvalidInput: a shape is wrong or a value not finite.
    """
    joints = checked_joints(joints_m)
    check_shape("joints_m", joints, [21, 3])
    frames = joint_frames(joints, rotations, side)
    positions, orientations = np.empty((26, 3)), np.empty((26, 3, 3))
    positions[list(JOINTS21)], orientations[list(JOINTS21)] = joints, frames
    knuckles = joints[list(_KNUCKLES)]
    positions[list(METACARPALS)] = joints[0] + METACARPAL_SHARE * (knuckles - joints[0])
    orientations[list(METACARPALS)] = _along(knuckles - joints[0], frames[0, :, 1])
    middle = METACARPALS[1]
    positions[0] = (positions[middle] + joints[9]) / 2
    orientations[0] = orientations[middle]
    base = np.asarray(T_base_camera, np.float64)
    return OpenXRHand(
        moved(base, positions),
        base[:3, :3] @ orientations,
        None if vertices_m is None else _radii(positions, orientations, vertices_m),
        np.isin(np.arange(26), (0, *METACARPALS)),
    )


def joints21(positions: FloatArray) -> FloatArray:
    """(..., 26, n) of the 26 joints -> (..., 21, n) of ours."""
    array = np.asarray(positions, np.float64)
    check_shape("positions", array, ["...", 26, "n"])
    return array[..., list(JOINTS21), :]


def _along(directions: FloatArray, back: FloatArray) -> FloatArray:
    """(N, 3, 3) frames with -z along the directions and y as close to `back` as it can be."""
    z = -directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    x = np.cross(back, z)
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], -1)


def _radii(positions: FloatArray, orientations: FloatArray, vertices_m: FloatArray) -> FloatArray:
    """How thick the hand is about a joint: over directions about the bone, the middle distance of the nearest skin.

    A tip of ours lies on the skin, so it takes a share of its neighbour's radius.
    """
    vertices = np.asarray(vertices_m, np.float64)
    check_shape("vertices_m", vertices, ["V", 3])
    local = np.einsum("jvk,jki->jvi", vertices - positions[:, None], orientations)
    beside = np.linalg.norm(local[..., :2], axis=-1)
    beside[np.abs(local[..., 2]) > _SLAB_M] = np.inf
    sector = np.floor((np.arctan2(local[..., 1], local[..., 0]) / np.pi + 1) / 2 * _SECTORS).astype(int) % _SECTORS
    nearest = np.stack([np.where(sector == k, beside, np.inf).min(1) for k in range(_SECTORS)], 1)
    radii = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in nearest])
    radii[list(_TIPS)] = _TIP_RADIUS * radii[list(_DISTALS)]
    return np.maximum(radii, _LEAST_RADIUS_M)
