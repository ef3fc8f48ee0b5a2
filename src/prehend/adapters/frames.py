"""Frames of the joints and of the worlds that consumers think in."""

from functools import lru_cache

import numpy as np

from prehend.check import check_finite, check_shape
from prehend.conventions import (
    JOINT_PARENTS,
    JOINTS_FROM_MANO,
    MANO_PARENTS,
    NUM_JOINTS,
    NUM_MANO_JOINTS,
    SIDES,
    Side,
)
from prehend.errors import InvalidInput, UnknownName
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model import load_hand_model
from prehend.types import FloatArray

_MIDDLE_MCP = 9
_LAST_OF_DIGIT = (15, 3, 6, 12, 9)  # MANO's joint that turns each tip, thumb first
_TURNED_BY = tuple(m if m < NUM_MANO_JOINTS else _LAST_OF_DIGIT[m - NUM_MANO_JOINTS] for m in JOINTS_FROM_MANO)
"""MANO's joint that turns each of the 21; a tip turns with the last joint of its digit."""


def _motion(*rows: tuple[int, int, int]) -> FloatArray:
    T = np.eye(4)
    T[:3, :3] = rows
    T.setflags(write=False)
    return T


T_BODY_CAMERA = _motion((0, 0, 1), (-1, 0, 0), (0, -1, 0))
"""From the optical frame to REP 103's body frame of the same camera: x forward, y left, z up."""

T_VIEW_CAMERA = _motion((1, 0, 0), (0, -1, 0), (0, 0, -1))
"""From the optical frame to OpenXR's view frame of the same camera: x right, y up, z backward."""

T_ZUP_CAMERA = _motion((1, 0, 0), (0, 0, 1), (0, -1, 0))
"""From the optical frame to x right, y forward, z up of the same camera."""


def moved(T_a_b: FloatArray, points_b: FloatArray) -> FloatArray:
    """(..., 3) points of frame b in frame a."""
    T = np.asarray(T_a_b, np.float64)
    check_shape("T_a_b", T, [4, 4])
    return np.asarray(points_b, np.float64) @ T[:3, :3].T + T[:3, 3]


def poses(rotations: FloatArray, positions: FloatArray) -> FloatArray:
    """(..., 4, 4) matrices of (..., 3, 3) rotations and (..., 3) positions."""
    T = np.zeros((*positions.shape[:-1], 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = rotations, positions, 1
    return T


def global_rotations(rotations: FloatArray) -> FloatArray:
    """Rotations of the joints from the rest pose to the camera frame.

    Args:
        rotations: (..., 16, 3, 3) of each joint relative to its parent, in MANO's order, as in `HandEstimate`.

    Returns:
        (..., 16, 3, 3) float64: what takes a direction at the joint in the zero pose to the camera frame.
    """
    R = np.asarray(rotations, np.float64)
    check_shape("rotations", R, ["...", NUM_MANO_JOINTS, 3, 3])
    check_finite("rotations", R)
    spin = R.copy()
    for joint, parent in enumerate(MANO_PARENTS[1:], start=1):
        spin[..., joint, :, :] = spin[..., parent, :, :] @ R[..., joint, :, :]
    return spin


def joint_frames(joints_m: FloatArray, rotations: FloatArray, side: Side) -> FloatArray:
    """A frame for each of the 21 joints: z back along the bone, y out of the back of the hand or the nail.

    The bones come from the joints, the turn about them from the rotations. These are OpenXR's axes
    (XR_EXT_hand_tracking: -Z points towards the fingertip, +Y out of the back, X = Y x Z); the other adapters rename
    them.

    Args:
        joints_m: (..., 21, 3) in the camera frame [m].
        rotations: (..., 16, 3, 3) as in `HandEstimate`.
        side: of the hand.

    Returns:
        (..., 21, 3, 3) float64, columns x, y, z in the camera frame. A joint's frame lies along the bone that leaves it
        outwards, a tip's along the bone that ends there, the wrist's along the line to the middle knuckle. x is the
        axis about which the joint stretches: on a right hand away from the thumb.

    Raises:
        InvalidInput: a shape is wrong, a value is not finite, or two joints of a bone coincide.
    """
    joints = checked_joints(joints_m)
    spin = global_rotations(rotations)[..., list(_TURNED_BY), :, :]
    forward = joints[..., list(_ends()), :] - joints[..., list(_starts()), :]
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    if not (length > 1e-6).all():
        raise InvalidInput("joints_m has two joints of a bone in one place: its direction is unknown")
    z = -forward / length
    sideways = (spin @ _stretch_axes(side)[..., None])[..., 0]
    y = np.cross(z, sideways)
    y = y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), 1e-9)
    return nearest_rotation(np.stack([np.cross(y, z), y, z], -1))


def checked_joints(joints_m: FloatArray) -> FloatArray:
    """(..., 21, 3) float64, or `InvalidInput` for another shape or values that are not finite."""
    joints = np.asarray(joints_m, np.float64)
    check_shape("joints_m", joints, ["...", NUM_JOINTS, 3])
    check_finite("joints_m", joints)
    return joints


def checked_side(side: str) -> Side:
    """The side, or `UnknownName` for another word."""
    for known in SIDES:
        if side == known:
            return known
    raise UnknownName("side", str(side), SIDES)


def _ends() -> tuple[int, ...]:
    """Where the bone of each joint ends: its child, the tip itself, the middle knuckle for the wrist."""
    child = {parent: joint for joint, parent in enumerate(JOINT_PARENTS)}
    return (_MIDDLE_MCP, *(child.get(joint, joint) for joint in range(1, NUM_JOINTS)))


def _starts() -> tuple[int, ...]:
    return tuple(JOINT_PARENTS[j] if j == end else j for j, end in enumerate(_ends()))


@lru_cache(maxsize=2)
def _stretch_axes(side: Side) -> FloatArray:
    """(21, 3) axes in the zero pose about which the joints stretch, from our hand's anatomy.

    MANO's zero pose has the same frame, so they serve a user's MANO as well.
    """
    model = load_hand_model(side=checked_side(side))
    flexion = np.asarray(model.flexion_axes, np.float64)
    axes = np.concatenate([[[0, 0, -1.0 if side == "right" else 1.0]], -flexion])[list(_TURNED_BY)]
    axes.setflags(write=False)
    return axes
