"""Finger angles as sensor_msgs/JointState has them: names and radians, with the limits of a human hand.

Axes and limits are those of our hand model (`flexion_axes`, `abduction_axes`, `twist_axes`, `limits_rad`): positive
flexion closes, positive abduction moves a finger towards the thumb, twist is about the bone. A joint's rotation is
taken apart as flexion, then abduction, then twist about the turned axes (R = F A T), so mirrored hands have the same
angles. Zero is the flat hand.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.adapters.frames import checked_side
from prehend.check import check_shape
from prehend.conventions import FINGERS, MANO_JOINT_NAMES, NUM_MANO_JOINTS, Side
from prehend.errors import InvalidInput, UnknownName
from prehend.geometry.rotations import matrix_from_axis_angle, nearest_rotation
from prehend.hand_model import load_hand_model
from prehend.types import FloatArray

MOTIONS = ("flexion", "abduction", "twist")

_FREE = {
    "thumb_cmc": MOTIONS,
    "thumb_mcp": MOTIONS[:2],
    "thumb_ip": MOTIONS[:1],
    **{f"{f}_{part}": MOTIONS[: 2 if part == "mcp" else 1] for f in FINGERS[1:] for part in ("mcp", "pip", "dip")},
}
"""What a hand can do at each joint; the other angles of an estimate are small."""

ANGLE_NAMES = tuple(f"{joint}_{motion}" for joint, free in _FREE.items() for motion in free)
"""The 22 angles of `joint_angles`, thumb first, without the side."""

ALL_ANGLE_NAMES = tuple(f"{joint}_{motion}" for joint in _FREE for motion in MOTIONS)
"""All 45 angles, from which the rotations come back exactly."""


class JointAngles(NamedTuple):
    """Fields of a JointState, and the limits.

    Attributes:
        names: such as "right_index_mcp_flexion".
        positions_rad: (N,).
        limits_rad: (N, 2) lower and upper limit of a human hand; an estimate may be a little outside.
    """

    names: tuple[str, ...]
    positions_rad: FloatArray
    limits_rad: FloatArray


def joint_angles(rotations: FloatArray, side: Side, every: bool = False) -> JointAngles:
    """The angles of a hand's finger joints.

    Args:
        rotations: (16, 3, 3) as in `HandEstimate`; the first one, the wrist's, is not looked at.
        side: of the hand.
        every: all 45 angles (`ALL_ANGLE_NAMES`) and not the 22 that a hand moves by itself (`ANGLE_NAMES`).

    Raises:
        InvalidInput: `rotations` has another shape.
        UnknownName: there is no such side.
    """
    R = np.asarray(rotations, np.float64)
    check_shape("rotations", R, [NUM_MANO_JOINTS, 3, 3])
    axes, limits = _anatomy(checked_side(side))
    M = np.swapaxes(axes, -1, -2) @ R[1:] @ axes
    angles = np.stack(
        [
            np.arctan2(-M[:, 1, 2], M[:, 2, 2]),
            np.arcsin(np.clip(M[:, 0, 2], -1, 1)),
            np.arctan2(-M[:, 0, 1], M[:, 0, 0]),
        ],
        -1,
    )
    rows = _rows(every)
    names = tuple(f"{side}_{name}" for name in (ALL_ANGLE_NAMES if every else ANGLE_NAMES))
    return JointAngles(names, angles.ravel()[rows], limits.reshape(-1, 2)[rows])


def rotations_from_angles(
    names: tuple[str, ...], positions_rad: FloatArray, wrist: FloatArray | None = None
) -> FloatArray:
    """The inverse of `joint_angles`; angles that are not given are 0.

    Args:
        names: of one side, in any order.
        positions_rad: (N,).
        wrist: (3, 3) rotation of the wrist, None for the identity.

    Returns:
        (16, 3, 3) float64.

    Raises:
        InvalidInput: names are of two sides or their number is not that of the positions.
        UnknownName: a name is none.
    """
    positions = np.asarray(positions_rad, np.float64)
    check_shape("positions_rad", positions, [len(names)])
    sides = {name.partition("_")[0] for name in names}
    if len(sides) != 1:
        raise InvalidInput(f"names are of the sides {', '.join(sorted(sides)) or '(none)'}: give those of one hand")
    side = checked_side(sides.pop())
    known = {f"{side}_{name}": row for row, name in zip(_rows(True), ALL_ANGLE_NAMES, strict=True)}
    angles = np.zeros(3 * (NUM_MANO_JOINTS - 1))
    for name, position in zip(names, positions, strict=True):
        if name not in known:
            raise UnknownName("joint", name, known)
        angles[known[name]] = position
    axes, _ = _anatomy(side)
    steps = matrix_from_axis_angle(np.swapaxes(axes, -1, -2) * angles.reshape(-1, 3)[..., None])
    return np.concatenate([np.eye(3)[None] if wrist is None else wrist[None], steps[:, 0] @ steps[:, 1] @ steps[:, 2]])


@lru_cache(maxsize=2)
def _anatomy(side: Side) -> tuple[FloatArray, FloatArray]:
    """(15, 3, 3) axes, one a column, and (15, 3, 2) limits, in MANO's order."""
    model = load_hand_model(side=side)
    parts = (model.flexion_axes, model.abduction_axes, model.twist_axes)
    axes = nearest_rotation(np.stack([np.asarray(part, np.float64) for part in parts], -1))
    return axes, np.asarray(model.limits_rad, np.float64)


@lru_cache(maxsize=2)
def _rows(every: bool) -> NDArray[np.int64]:
    """Rows of the 45 angles in MANO's order for the names in ours."""
    parts = {"thumb": ("cmc", "mcp", "ip")}
    rows = []
    for finger in FINGERS:
        for n, part in enumerate(parts.get(finger, ("mcp", "pip", "dip")), start=1):
            joint = MANO_JOINT_NAMES.index(f"{finger}{n}") - 1
            free = MOTIONS if every else _FREE[f"{finger}_{part}"]
            rows += [3 * joint + MOTIONS.index(motion) for motion in free]
    return np.array(rows)
