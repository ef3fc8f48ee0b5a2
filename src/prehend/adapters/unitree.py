"""Unitree's xr_teleoperate: 25 points per hand in its hand frame, and the wrist's pose for the arm.

Source: the conventions at the head of televuer's `tv_wrapper` (unitreerobotics/xr_teleoperate). Points: the order of
WebXR, which is OpenXR's without the palm; metres, from the wrist, in the frame of the robot hand's URDF: x from the
palm to the back of the hand, y from the middle finger to the wrist, z from the index to the little finger on a right
hand and from the little finger to the index on a left one. Arm: x from the wrist to the middle finger; y out of the
back of a left hand and out of the palm of a right one; z from the little finger to the index; in the robot's basis (x
front, y left, z up). Both hands go into shared memory as 75 doubles; all zeros mean that there is no hand.
"""

import numpy as np

from prehend.adapters.frames import T_BODY_CAMERA, joint_frames, poses
from prehend.adapters.openxr import JOINT_NAMES as OPENXR_NAMES
from prehend.adapters.openxr import openxr_hand
from prehend.check import check_shape
from prehend.conventions import Side
from prehend.types import FloatArray

JOINT_NAMES = OPENXR_NAMES[1:]

_XR_FROM_ARM = {
    "right": np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]]),
    "left": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
}
"""Axes of the arm in those of OpenXR's wrist."""


def hand_points(joints_m: FloatArray, rotations: FloatArray, side: Side) -> FloatArray:
    """`left_hand_pos` or `right_hand_pos` of its TeleData.

    Args:
        joints_m: (21, 3) in the camera frame [m].
        rotations: (16, 3, 3) as in `HandEstimate`.
        side: of the hand.

    Returns:
        (25, 3) float64 [m], the wrist at the origin.
    """
    hand = openxr_hand(joints_m, rotations, side)
    from_wrist = (hand.positions_m[1:] - hand.positions_m[1]) @ hand.orientations[1]
    return from_wrist[:, [1, 2, 0]]


def T_base_arm(
    joints_m: FloatArray, rotations: FloatArray, side: Side, T_base_camera: FloatArray = T_BODY_CAMERA
) -> FloatArray:
    """Pose of the wrist with the axes of the arm's URDF.

    Args:
        joints_m, rotations, side: as for `hand_points`.
        T_base_camera: (4, 4) from the optical frame to the robot's base (x front, y left, z up); by default the body
            frame of the camera itself. xr_teleoperate wants it relative to the waist: that offset is the caller's.

    Returns:
        (4, 4) float64.
    """
    base = np.asarray(T_base_camera, np.float64)
    check_shape("T_base_camera", base, [4, 4])
    wrist = joint_frames(joints_m, rotations, side)[0]
    return base @ poses(wrist @ _XR_FROM_ARM[side], np.asarray(joints_m, np.float64)[0])


def shared_array(points: FloatArray | None) -> FloatArray:
    """(75,) float64 for the shared memory: x, y, z of one joint after the other, zeros for None."""
    if points is None:
        return np.zeros(75)
    array = np.asarray(points, np.float64)
    check_shape("points", array, [25, 3])
    return array.ravel()
