"""Apple's hand skeleton as VisionProTeleop's `avp_stream` gives it: 25 poses in the wrist's frame, and its pose.

Order: wrist; thumb knuckle, intermediate base, intermediate tip, tip; for index, middle, ring and little finger
metacarpal, knuckle, intermediate base, intermediate tip, tip (ARKit's HandSkeleton.JointName without the forearm).
Axes, from the matrices between the operator's and this frame that teleoperation programs use (OPERATOR2AVP, see
`dex_retargeting` for the operator's): on a right hand x points to the wrist, y out of the back, z to the thumb; on a
left hand x points to the fingertips, y out of the palm, z to the little finger. World: x right, y forward, z up, in
metres.
"""

import numpy as np

from prehend.adapters.frames import T_ZUP_CAMERA, joint_frames, poses
from prehend.adapters.openxr import openxr_hand
from prehend.check import check_shape
from prehend.conventions import Side
from prehend.types import FloatArray

JOINT_NAMES = (
    "wrist",
    *(f"thumb{part}" for part in ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")),
    *(
        f"{finger}Finger{part}"
        for finger in ("index", "middle", "ring", "little")
        for part in ("Metacarpal", "Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
    ),
)

JOINTS21 = tuple(j for j in range(25) if j not in (5, 10, 15, 20))
"""Rows of the 25 that are our 21 joints, in our order."""

_XR_FROM_APPLE = {
    "right": np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]),
    "left": np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]]),
}


def finger_matrices(joints_m: FloatArray, rotations: FloatArray, side: Side) -> FloatArray:
    """`right_fingers` or `left_fingers`.

    Args:
        joints_m: (21, 3) in the camera frame [m].
        rotations: (16, 3, 3) as in `HandEstimate`.
        side: of the hand.

    Returns:
        (25, 4, 4) float64: poses of the joints in the frame of the wrist; the first one is the identity. The four
        metacarpals are estimated (see `openxr`).
    """
    hand = openxr_hand(joints_m, rotations, side, T_base_camera=np.eye(4))
    T = poses(hand.orientations[1:] @ _XR_FROM_APPLE[side], hand.positions_m[1:])
    return np.linalg.inv(T[0]) @ T


def T_world_wrist(
    joints_m: FloatArray, rotations: FloatArray, side: Side, T_world_camera: FloatArray = T_ZUP_CAMERA
) -> FloatArray:
    """`right_wrist[0]` or `left_wrist[0]`: (4, 4) float64.

    Args:
        joints_m, rotations, side: as for `finger_matrices`.
        T_world_camera: (4, 4) from the optical frame to a world with z up; by default one that stands in the camera.
    """
    world = np.asarray(T_world_camera, np.float64)
    check_shape("T_world_camera", world, [4, 4])
    wrist = joint_frames(joints_m, rotations, side)[0]
    return world @ poses(wrist @ _XR_FROM_APPLE[side], np.asarray(joints_m, np.float64)[0])


def pinch_distance(joints_m: FloatArray) -> float:
    """`right_pinch_distance` or `left_pinch_distance`: between the tips of thumb and index finger [m]."""
    joints = np.asarray(joints_m, np.float64)
    check_shape("joints_m", joints, [21, 3])
    return float(np.linalg.norm(joints[4] - joints[8]))
