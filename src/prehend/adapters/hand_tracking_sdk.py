"""The topics of hand_tracking_sdk_ros2 (PyPI `hand-tracking-sdk`): what its headset bridge publishes, from a camera.

Source: the README of hand_tracking_sdk_ros2 (topics, frames) and the SDK's list of streamed joints. Per side
`/hands/<side>/wrist_pose` (geometry_msgs/PoseStamped) and `/hands/<side>/landmarks` (geometry_msgs/PoseArray), once
`/hands/joint_names` (std_msgs/String, comma-separated), TF `world` -> `<side>_wrist`. World: x forward, y left, z up
(`map_to_flu`); landmarks are in the world too (`landmarks_are_wrist_relative` says what comes in, not what goes out),
in metres; the 21 joints in our order. The wrist: x to the fingers, z out of the back of the hand, which is Unity's
wrist (z to the fingers, y out of the back) after the SDK's change of basis.
"""

from typing import NamedTuple

import numpy as np

from prehend.adapters.frames import T_BODY_CAMERA, checked_joints, joint_frames, moved
from prehend.check import check_shape
from prehend.conventions import Side
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.types import FloatArray

WORLD_FRAME = "world"
JOINT_NAMES_TOPIC = "/hands/joint_names"

JOINT_NAMES = (
    "Wrist",
    *(f"Thumb{part}" for part in ("Metacarpal", "Proximal", "Distal", "Tip")),
    *(
        f"{f}{part}"
        for f in ("Index", "Middle", "Ring", "Little")
        for part in ("Proximal", "Intermediate", "Distal", "Tip")
    ),
)

_XR_FROM_FLU = np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]])
"""Axes of the wrist (x forward, y left, z up) in those of OpenXR's (x right, y up, z backward)."""


class HandTopics(NamedTuple):
    """One hand, for its topics.

    Attributes:
        wrist_topic, landmarks_topic: names of the topics.
        wrist_frame: child frame of the transform from `WORLD_FRAME`.
        wrist_position_m: (3,).
        wrist_quaternion_xyzw: (4,).
        landmarks_m: (21, 3); the poses of the array have no orientation of their own.
    """

    wrist_topic: str
    landmarks_topic: str
    wrist_frame: str
    wrist_position_m: FloatArray
    wrist_quaternion_xyzw: FloatArray
    landmarks_m: FloatArray


def hand_topics(
    joints_m: FloatArray, rotations: FloatArray, side: Side, T_world_camera: FloatArray = T_BODY_CAMERA
) -> HandTopics:
    """What the bridge would publish for one hand.

    Args:
        joints_m: (21, 3) in the camera frame [m].
        rotations: (16, 3, 3) as in `HandEstimate`.
        side: of the hand.
        T_world_camera: (4, 4) from the optical frame to the world (x forward, y left, z up); by default the body frame
            of the camera itself.
    """
    joints = checked_joints(joints_m)
    check_shape("joints_m", joints, [21, 3])
    world = np.asarray(T_world_camera, np.float64)
    check_shape("T_world_camera", world, [4, 4])
    wrist = world[:3, :3] @ joint_frames(joints, rotations, side)[0] @ _XR_FROM_FLU
    landmarks = moved(world, joints)
    return HandTopics(
        f"/hands/{side}/wrist_pose",
        f"/hands/{side}/landmarks",
        f"{side}_wrist",
        landmarks[0],
        quaternion_from_matrix(wrist),
        landmarks,
    )


def joint_names_text() -> str:
    """The data of `/hands/joint_names`."""
    return ",".join(JOINT_NAMES)
