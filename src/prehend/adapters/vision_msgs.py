"""Held objects as vision_msgs/Detection3DArray, in numpy and plain dicts: no ROS is needed to make them.

Source: vision_msgs 4 (Detection3D.msg, BoundingBox3D.msg, ObjectHypothesisWithPose.msg). `header` is the image's; `id`
is the track of the hand that holds; `bbox` is the object's own box, its centre and turn in the header's frame; the
hypothesis' `pose` is that of the object's frame. Every detection has a result with a score (an empty list crashes the
RViz plugin). The covariance is unknown: all zeros, as sensor_msgs says it. Objects without a pose are left out.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from prehend.geometry.rotations import quaternion_from_matrix
from prehend.types import FloatArray, HandEstimate


class Detection3D(NamedTuple):
    """One object that a hand holds.

    Attributes:
        track: of the hand.
        class_id: the object's id in the catalogue.
        score: 0..1.
        T_camera_object: (4, 4) pose of the object's frame.
        center_m: (3,) of its box in the camera frame [m].
        quaternion_xyzw: (4,) of the box and the object's frame.
        size_m: (3,) of its box [m], zeros where none is known.
    """

    track: int
    class_id: str
    score: float
    T_camera_object: FloatArray
    center_m: FloatArray
    quaternion_xyzw: FloatArray
    size_m: FloatArray


def detections(
    hands: Iterable[HandEstimate], box_centers_m: Mapping[str, FloatArray] | None = None
) -> list[Detection3D]:
    """What hands hold, one entry for each pose.

    Args:
        hands: of one frame.
        box_centers_m: (3,) centre of the box in the object's frame [m] by object id (`center_m` of the catalogue);
            objects that are not in it have it in the origin of their frame.
    """
    centers = box_centers_m or {}
    found = []
    for hand in hands:
        held = hand.held_object
        if held is None or held.T_camera_object is None:
            continue
        T = np.asarray(held.T_camera_object, np.float64)
        center = np.asarray(centers.get(held.object_id, np.zeros(3)), np.float64)
        size = np.zeros(3) if held.extents_m is None else np.asarray(held.extents_m, np.float64)
        turn = quaternion_from_matrix(T[:3, :3])
        found.append(
            Detection3D(hand.track_id, held.object_id, float(held.score), T, T[:3, :3] @ center + T[:3, 3], turn, size)
        )
    return found


def detection_array(found: Iterable[Detection3D], frame_id: str, stamp: float | None) -> dict[str, Any]:
    """The fields of a Detection3DArray as nested dicts and lists, named as in the message.

    Args:
        found: of `detections`.
        frame_id: the camera's optical frame.
        stamp: of the image [s], None for 0.
    """
    header = {"stamp": _time(stamp), "frame_id": frame_id}
    return {"header": header, "detections": [_detection(item, header) for item in found]}


def _detection(item: Detection3D, header: dict[str, Any]) -> dict[str, Any]:
    hypothesis = {"class_id": item.class_id, "score": item.score}
    pose = {"pose": _pose(item.T_camera_object[:3, 3], item.quaternion_xyzw), "covariance": np.zeros(36)}
    return {
        "header": header,
        "results": [{"hypothesis": hypothesis, "pose": pose}],
        "bbox": {"center": _pose(item.center_m, item.quaternion_xyzw), "size": _vector(item.size_m)},
        "id": str(item.track),
    }


def _pose(position: FloatArray, quaternion: FloatArray) -> dict[str, Any]:
    x, y, z, w = (float(value) for value in quaternion)
    return {"position": _vector(position), "orientation": {"x": x, "y": y, "z": z, "w": w}}


def _vector(values: FloatArray) -> dict[str, float]:
    x, y, z = (float(value) for value in values)
    return {"x": x, "y": y, "z": z}


def _time(stamp: float | None) -> dict[str, int]:
    """builtin_interfaces/Time; rounded to the nanosecond so that 0.1 s stays 0.1 s."""
    whole = math.floor(stamp or 0.0)
    nanoseconds = round(((stamp or 0.0) - whole) * 1e9)
    return {"sec": whole + nanoseconds // 1_000_000_000, "nanosec": nanoseconds % 1_000_000_000}
