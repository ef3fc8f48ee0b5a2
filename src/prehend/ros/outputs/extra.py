"""Results in the messages of other programs, for those who ask for them with parameter `outputs` (docs/ADAPTERS.md)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rclpy.node import Node

from prehend.adapters.hand_tracking_sdk import JOINT_NAMES_TOPIC, HandTopics, hand_topics, joint_names_text
from prehend.adapters.joint_state import JointAngles, joint_angles
from prehend.adapters.vision_msgs import Detection3D, detections
from prehend.conventions import SIDES, Side
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.ros.conversion.convert import joint_orientations, pose_message
from prehend.ros.messages import DETECTIONS, JOINT_STATE, POSE_ARRAY, POSE_STAMPED, STRING, encode, make
from prehend.ros.topics.quality import LATCHED, publisher
from prehend.types import FloatArray, FrameResult, HandEstimate

_CENTRE = 20  # of an object's control points
_UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


class ExtraOutputs:
    """Publishers of the chosen outputs; `publish` is called from the worker's thread.

    Everything has the image's header. What needs metres is left out where there are none, and a side without a hand
    publishes nothing; detections come for every image, empty where nothing is held.
    """

    def __init__(self, node: Node, chosen: tuple[str, ...], objects: Mapping[str, FloatArray]) -> None:
        self._centers = {name: points[_CENTRE] for name, points in objects.items()}
        self._joints = _per_side(node, "~/joint_states/{}", JOINT_STATE) if "joint_states" in chosen else {}
        self._poses = _per_side(node, "~/joint_poses/{}", POSE_ARRAY) if "joint_poses" in chosen else {}
        self._wrists = _per_side(node, "/hands/{}/wrist_pose", POSE_STAMPED) if "hts" in chosen else {}
        self._landmarks = _per_side(node, "/hands/{}/landmarks", POSE_ARRAY) if "hts" in chosen else {}
        self._detections = publisher(node, DETECTIONS, "~/detections", 10) if "detections" in chosen else None
        if "hts" in chosen:
            self._names = publisher(node, STRING, JOINT_NAMES_TOPIC, LATCHED)
            self._names.publish(encode(make(STRING, data=joint_names_text())))

    def publish(self, header: Any, result: FrameResult) -> None:
        """One image's hands; of several of a side the one with the highest score."""
        for side in SIDES if self._joints or self._poses or self._wrists else ():
            hand = max((h for h in result.hands if h.side == side), key=lambda h: h.score, default=None)
            if hand is not None:
                self._publish_hand(header, hand)
        if self._detections is not None:
            found = detections(result.hands, self._centers)
            self._detections.publish(encode(detection_array_message(header, found)))

    def _publish_hand(self, header: Any, hand: HandEstimate) -> None:
        if self._joints:
            angles = joint_angles(hand.rotations, hand.side)
            self._joints[hand.side].publish(encode(joint_state_message(header, angles)))
        if not np.isfinite(hand.joints_m).all():
            return
        if self._poses:
            self._poses[hand.side].publish(encode(joint_poses_message(header, hand)))
        if self._wrists:
            topics = hand_topics(hand.joints_m, hand.rotations, hand.side, T_world_camera=np.eye(4))
            wrist, landmarks = hand_topic_messages(header, topics)
            self._wrists[hand.side].publish(encode(wrist))
            self._landmarks[hand.side].publish(encode(landmarks))


def joint_state_message(header: Any, angles: JointAngles) -> Any:
    """A sensor_msgs/JointState [rad]."""
    nothing = np.zeros(0)
    return make(
        JOINT_STATE,
        header=header,
        name=list(angles.names),
        position=np.asarray(angles.positions_rad, np.float64),
        velocity=nothing,
        effort=nothing,
    )


def joint_poses_message(header: Any, hand: HandEstimate) -> Any:
    """A geometry_msgs/PoseArray of the 21 joints, turned as the frames of the fingers are."""
    quaternions = quaternion_from_matrix(joint_orientations(hand.rotations))
    poses = [pose_message(place, turn) for place, turn in zip(hand.joints_m, quaternions, strict=True)]
    return make(POSE_ARRAY, header=header, poses=poses)


def hand_topic_messages(header: Any, topics: HandTopics) -> tuple[Any, Any]:
    """A geometry_msgs/PoseStamped of the wrist and a PoseArray of the 21 landmarks, both in the header's frame."""
    wrist = pose_message(topics.wrist_position_m, topics.wrist_quaternion_xyzw)
    places = [pose_message(place, _UPRIGHT) for place in topics.landmarks_m]
    return make(POSE_STAMPED, header=header, pose=wrist), make(POSE_ARRAY, header=header, poses=places)


def detection_array_message(header: Any, found: list[Detection3D]) -> Any:
    """A vision_msgs/Detection3DArray."""
    return make(DETECTIONS, header=header, detections=[_detection(header, item) for item in found])


def _detection(header: Any, item: Detection3D) -> Any:
    x, y, z = map(float, item.size_m)
    pose = pose_message(item.T_camera_object[:3, 3], item.quaternion_xyzw)
    hypothesis = make("vision_msgs/msg/ObjectHypothesis", class_id=item.class_id, score=item.score)
    unknown = make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36))
    center = pose_message(item.center_m, item.quaternion_xyzw)
    size = make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)
    return make(
        "vision_msgs/msg/Detection3D",
        header=header,
        results=[make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=unknown)],
        bbox=make("vision_msgs/msg/BoundingBox3D", center=center, size=size),
        id=str(item.track),
    )


def _per_side(node: Node, topic: str, type_name: str) -> dict[Side, Any]:
    return {side: publisher(node, type_name, topic.format(side), 10) for side in SIDES}
