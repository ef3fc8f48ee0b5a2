"""Joint order, sides, frames and units: the one place where they are written down.

Units are metres, radians and pixels; the centre of the first pixel is (0, 0).

Frames:

- camera: optical frame of REP 103: x right, y down, z forward.
- crop: a virtual camera at the same place as `camera`, turned so that its z axis goes through the centre of the crop.
  The networks answer in this frame; `T_camera_crop` takes the answer to `camera`.
- hand: frame of the hand model, MANO's for a right hand: fingers along -x, back of the hand +y, thumb +z.
- object: frame of the object's model, at the centre of its axis-aligned box unless its file says otherwise.

A transform `T_a_b` takes points from frame b to frame a: `p_a = T_a_b @ p_b`.
"""

from typing import Literal

import numpy as np

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
"""Class index of a side wherever a network answers with one: 0 left, 1 right."""

FINGERS = ("thumb", "index", "middle", "ring", "little")

JOINT_NAMES = (
    "wrist",
    *(f"thumb_{part}" for part in ("cmc", "mcp", "ip", "tip")),
    *(f"{finger}_{part}" for finger in FINGERS[1:] for part in ("mcp", "pip", "dip", "tip")),
)
"""The 21 joints, from the palm outwards, thumb first (the order of OpenPose, DexYCB and FreiHAND)."""

NUM_JOINTS = len(JOINT_NAMES)

JOINT_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Parent of each of the 21 joints, -1 of the wrist."""

BONES = tuple((parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0)
"""The 20 bones of the skeleton, as pairs (parent, joint)."""

TIP_JOINTS = (4, 8, 12, 16, 20)
"""Fingertips among the 21 joints, thumb first."""

MANO_JOINT_NAMES = (
    "wrist",
    *(f"{finger}{n}" for finger in ("index", "middle", "little", "ring", "thumb") for n in (1, 2, 3)),
)
"""The 16 joints that rotate, in MANO's order (Romero et al., SIGGRAPH Asia 2017)."""

MANO_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)

NUM_MANO_JOINTS = len(MANO_JOINT_NAMES)
NUM_BETAS = 10

JOINTS_FROM_MANO = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""`joints21 = concat(mano16, tips5)[JOINTS_FROM_MANO]` with the tips thumb, index, middle, ring, little."""

MIRROR = np.diag([-1.0, 1.0, 1.0])
"""Reflection that makes a left hand of a right one and back: in 3D `x -> -x`, in a W pixels wide image
`x -> W - 1 - x`, for rotations `R -> MIRROR @ R @ MIRROR`."""

NUM_CONTROL_POINTS = 21
"""Control points of an object: 8 corners of its axis-aligned box, 12 edge middles, the centre (see
`prehend.geometry.control_points.control_points` for their order)."""

KIND_UNIT_M = 0.1
"""Extents are told to a network, and answered by it, as the log of their ratio to this [m]."""

OBJECT_KIND_SIZE = 10
"""Numbers that tell a network what is known of an object (`prehend.object_catalogue.object_kind`): whether anything is,
the log of its three extents over `KIND_UNIT_M`, half turns about x, y, z that change nothing, axes of any turn."""

GRASP_DEFINITION = (
    "the object moves with the hand: its pose has left its resting pose by more than 5 degrees or 10 mm "
    "and hand and object are in contact"
)
