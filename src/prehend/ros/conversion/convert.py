"""Results of the pipeline as ROS messages. Nothing here knows a node: values in, messages out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend import __version__
from prehend.conventions import (
    BONES,
    GRASP_DEFINITION,
    JOINT_NAMES,
    JOINT_PARENTS,
    JOINTS_FROM_MANO,
    MANO_JOINT_NAMES,
    MANO_PARENTS,
    NUM_JOINTS,
    SIDES,
    TIP_JOINTS,
    Side,
)
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.ros.messages import HAND_ARRAY, HAND_EVENT, HAND_TIMING, HAND_TRACKS, MODEL_INFO, TF, make
from prehend.types import EventKind, FloatArray, FrameResult, GraspEstimate, HandEstimate, HandEvent, ObjectEstimate

_GRASP_STATES = ("unknown", "not_grasping", "grasping")
_TRACK_STATES = ("tracked", "coasting", "lost")
_EVENT_KINDS: tuple[EventKind, ...] = (
    "found",
    "lost",
    "left_view",
    "regained",
    "grasped",
    "released",
    "object_changed",
)
_LAST_SECOND = 2**31 - 2
"""What builtin_interfaces/Time can hold [s], with room for rounding."""


@dataclass(frozen=True)
class ModelFacts:
    """What `HandModelInfo` says about the parts in use.

    Attributes:
        faces: (F, 3) triangles of each side's mesh.
        num_vertices: of one hand.
        hand_model, weights: name, sha256 and licence of each.
        backend: what runs the network.
        objects: (21, 3) control points [m] of the known objects by their id.
        lag_s: how long results are held back [s].
    """

    faces: Mapping[Side, NDArray[np.integer]]
    num_vertices: int
    hand_model: tuple[str, str, str]
    weights: tuple[str, str, str]
    backend: str
    objects: Mapping[str, FloatArray] = field(default_factory=dict)
    lag_s: float = 0.0


def seconds(stamp: Any) -> float:
    """A builtin_interfaces/Time or Duration in seconds (a float: good to a microsecond for today's dates)."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def time_message(stamp_s: float | None) -> Any:
    """A builtin_interfaces/Time of seconds, zero for None, the nearest it can hold for what is out of its range."""
    stamp_s = min(max(stamp_s or 0.0, -_LAST_SECOND), _LAST_SECOND)
    whole = math.floor(stamp_s)  # the fraction alone, or a float would not hold the nanoseconds
    nanoseconds = round((stamp_s - whole) * 1e9)
    return make("builtin_interfaces/msg/Time", sec=whole + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def valid_stamp(stamp: Any) -> Any:
    """The same builtin_interfaces/Time, or the nearest that ROS takes: no second before 1970, nanoseconds below 1e9."""
    if stamp.sec >= 0 and stamp.nanosec < 10**9:
        return stamp
    return time_message(min(max(seconds(stamp), 0.0), float(_LAST_SECOND)))


def header_message(stamp_s: float, frame_id: str) -> Any:
    """A std_msgs/Header."""
    return make("std_msgs/msg/Header", stamp=time_message(stamp_s), frame_id=frame_id)


def pose_message(position_m: FloatArray, quaternion: FloatArray) -> Any:
    """A geometry_msgs/Pose of (3,) metres and (4,) x y z w."""
    x, y, z = map(float, position_m)
    qx, qy, qz, qw = map(float, quaternion)
    return make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
    )


def without_metres(result: FrameResult) -> FrameResult:
    """The same result with everything that needs a measured camera taken out: joints NaN, no mesh, no object pose."""
    hands = tuple(
        replace(
            hand,
            joints_m=np.full_like(hand.joints_m, np.nan),
            vertices_m=np.zeros((0, 3), np.float32),
            held_object=None if hand.held_object is None else replace(hand.held_object, T_camera_object=None),
            position_std_m=float("nan"),
            motion=None,
            joint_std_m=None,
            hypotheses=None,
        )
        for hand in result.hands
    )
    return replace(result, hands=hands)


def hand_array(
    header: Any, result: FrameResult, *, mesh: bool = True, latency_ms: float = 0.0, dropped: int = 0
) -> Any:
    """A prehend_ros/HandArray.

    Args:
        header: of the image, copied as it is.
        result: of the image.
        mesh: whether to fill `vertices_m`.
        latency_ms: from the image's stamp to now.
        dropped: images dropped since the start.
    """
    taken = with_hypotheses(result.timing_ms)
    timing = {f"{stage}_ms": float(taken.get(stage, 0.0)) for stage in _STAGES}
    return make(
        HAND_ARRAY,
        header=header,
        hands=[hand_message(hand, result.camera.estimated, mesh) for hand in result.hands],
        width=result.camera.width,
        height=result.camera.height,
        k=result.camera.K.ravel(),
        camera_estimated=result.camera.estimated,
        found=result.found,
        latency_ms=latency_ms,
        dropped=dropped,
        **timing,
    )


def with_hypotheses(timing_ms: Mapping[str, float]) -> dict[str, float]:
    """Times of stages in which that of the hypotheses counts to what they belong to."""
    rest = dict(timing_ms)
    extra = rest.pop("hypotheses", 0.0)
    return rest | {"decode": rest.get("decode", 0.0) + extra} if extra else rest


_STAGES = ("find", "crop", "infer", "decode", "total")


def hand_message(hand: HandEstimate, camera_estimated: bool, mesh: bool) -> Any:
    """A prehend_ros/Hand."""
    quaternions = quaternion_from_matrix(hand.rotations)
    return make(
        "prehend_ros/msg/Hand",
        track_id=hand.track_id,
        side=SIDES.index(hand.side),
        score=float(hand.score),
        box_px=hand.box_px.as_array(),
        keypoints_px=_flat(hand.keypoints_px),
        joints_m=_flat(hand.joints_m),
        visible=np.asarray(hand.visible, np.bool_),
        joint_orientations=_flat(quaternions),
        betas=_flat(hand.betas),
        wrist=pose_message(hand.joints_m[0], quaternions[0]),
        vertices_m=_flat(hand.vertices_m) if mesh else np.zeros(0, np.float32),
        metric_position_valid=not camera_estimated and bool(np.isfinite(hand.joints_m).all()),
        position_std_m=float(hand.position_std_m),
        fit_error_px=float(hand.fit_error_px),
        grasp=grasp_message(hand.grasp),
        held_object=[] if hand.held_object is None else [object_message(hand.held_object)],
    )


def grasp_message(grasp: GraspEstimate) -> Any:
    """A prehend_ros/Grasp."""
    return make(
        "prehend_ros/msg/Grasp",
        state=_GRASP_STATES.index(grasp.state),
        probability=float(grasp.probability),
        since=time_message(grasp.since),
    )


def event_message(header: Any, event: HandEvent) -> Any:
    """A prehend_ros/HandEvent, told with the image of this header; its onset is on the header's clock."""
    return make(
        HAND_EVENT,
        header=header,
        kind=_EVENT_KINDS.index(event.kind),
        track_id=event.track_id,
        side=SIDES.index(event.side),
        object_id=event.object_id,
        onset=_earlier(header.stamp, event.late_s),
        late_s=float(event.late_s),
        confidence=float(event.confidence),
    )


def track_array(header: Any, result: FrameResult) -> Any:
    """A prehend_ros/HandTrackArray."""
    tracks = [_track_message(hand.track_id, hand) for hand in result.hands]
    tracks += [_track_message(number, None) for number in result.lost]
    tracks.sort(key=lambda track: track.track_id)
    return make(HAND_TRACKS, header=header, tracks=tracks, lag_s=float(result.lag_s))


def _track_message(number: int, hand: HandEstimate | None) -> Any:
    """A prehend_ros/HandTrack; of a hand that is None only its number is known."""
    motion = None if hand is None else hand.motion
    validity, std = (None, None) if hand is None else (hand.validity, hand.joint_std_m)
    return make(
        "prehend_ros/msg/HandTrack",
        track_id=number,
        state=_TRACK_STATES.index("lost" if hand is None else hand.state),
        side=0 if hand is None else SIDES.index(hand.side),
        is_operator=hand is not None and hand.is_operator,
        validity=np.zeros(NUM_JOINTS, np.uint8) if validity is None else validity,
        joint_std_m=np.full(NUM_JOINTS, np.nan, np.float32) if std is None else _flat(std),
        joint_velocities_m_s=np.full(63, np.nan, np.float32) if motion is None else _flat(motion.joints_m_s),
        wrist_rad_s=np.full(3, np.nan, np.float32) if motion is None else _flat(motion.wrist_rad_s),
    )


def _earlier(stamp: Any, by_s: float) -> Any:
    """A builtin_interfaces/Time before another one, to the nanosecond; zero at the earliest."""
    total = max(stamp.sec * 10**9 + stamp.nanosec - round(by_s * 1e9), 0)
    return make("builtin_interfaces/msg/Time", sec=total // 10**9, nanosec=total % 10**9)


def object_message(held: ObjectEstimate) -> Any:
    """A prehend_ros/ObjectPose."""
    T = np.eye(4) if held.T_camera_object is None else held.T_camera_object
    return make(
        "prehend_ros/msg/ObjectPose",
        id=held.object_id,
        score=float(held.score),
        pose=pose_message(T[:3, 3], quaternion_from_matrix(T[:3, :3])),
        pose_valid=held.T_camera_object is not None,
        keypoints_px=_flat(held.keypoints_px),
        box_px=held.box_px.as_array(),
    )


TIMING = ("arrival", "wait", "read", "sync", *_STAGES[:-1], "publish")
"""Stages of an image's way through the node, in their order; keys of `FrameResult.timing_ms` there."""


def timing_message(header: Any, stages_ms: Mapping[str, float], latency_ms: float) -> Any:
    """A prehend_ros/HandTiming; a stage that is missing did not run, an arrival that is missing is not known."""
    times = {f"{name}_ms": float(stages_ms.get(name, math.nan if name == "arrival" else 0.0)) for name in TIMING}
    return make(HAND_TIMING, header=header, latency_ms=latency_ms, **times)


def transforms(header: Any, result: FrameResult, prefix: str = "", fingers: bool = False) -> Any:
    """A tf2_msgs/TFMessage: `<side>_hand_<track>` and `held_object_<track>`; of the operator's hands `<side>_hand`,
    `<side>_hand_object` and `held_object`, of two objects the one that was grasped first; all below the image's frame.

    Empty unless the camera is calibrated (/tf has no place to say that a position is a guess) and the image's frame has
    a name. A hand that fades out is left out once none of its joints counts as carried over.

    Args:
        header: of the image.
        result: of the image.
        prefix: put before the names of all frames.
        fingers: also `<side>_<joint>` of the operator's hands, see `_finger_frames`.
    """
    if result.camera.estimated or not header.frame_id:
        return make(TF, transforms=[])
    entries: list[_Frame] = []
    holder = _longest_holder(result.hands)
    for hand in result.hands:
        gone = hand.state == "coasting" and hand.validity is not None and not hand.validity.any()
        if gone or not np.isfinite(hand.joints_m).all():
            continue
        own, side = hand.is_operator, hand.side
        names = [f"{side}_hand_{hand.track_id}", *([f"{side}_hand"] if own else [])]
        entries += [_Frame(header, prefix + name, hand.joints_m[0], hand.rotations[0]) for name in names]
        entries += _finger_frames(header, hand, prefix) if fingers and own else []
        T = None if hand.held_object is None else hand.held_object.T_camera_object
        if T is not None:
            names = [f"held_object_{hand.track_id}", *([f"{side}_hand_object"] if own else [])]
            names += ["held_object"] if hand is holder else []
            entries += [_Frame(header, prefix + name, T[:3, 3], T[:3, :3]) for name in names]
    return make(TF, transforms=_transforms(entries))


def _longest_holder(hands: Sequence[HandEstimate]) -> HandEstimate | None:
    """The operator's hand that has grasped for longest; where none grasps, one that an object was seen in.

    Its object need not have a pose in this image: no frame is better than one that goes over to another one and back.
    """

    def order(hand: HandEstimate) -> tuple[bool, float, int]:
        since = hand.grasp.since
        return hand.grasp.state != "grasping", math.inf if since is None else since, hand.track_id

    own = [hand for hand in hands if hand.is_operator]
    return min((h for h in own if h.grasp.state == "grasping" or h.held_object is not None), key=order, default=None)


def _finger_frames(header: Any, hand: HandEstimate, prefix: str) -> "list[_Frame]":
    """The 20 finger joints, each below the one before it in its finger, the first below `<side>_hand`:
    `<side>_thumb_cmc` to `<side>_little_tip`, by `JOINT_NAMES`.

    Their axes are those of the hand model: with a flat hand parallel to the wrist's (fingers along -x of a right hand
    and +x of a left one, back of the hand +y, thumb side +z), and turned with the bone beyond the joint. Of MANO's 16
    joints that rotate the wrist is `<side>_hand`; the five tips are turned like their last bones.
    """
    R = joint_orientations(hand.rotations)
    joints = np.asarray(hand.joints_m, np.float64)
    entries = []
    for parent, joint in BONES:
        names = [f"{prefix}{hand.side}_{JOINT_NAMES[k] if k else 'hand'}" for k in (parent, joint)]
        above = make("std_msgs/msg/Header", stamp=header.stamp, frame_id=names[0])
        step = R[parent].T @ (joints[joint] - joints[parent])
        entries.append(_Frame(above, names[1], step, R[parent].T @ R[joint]))
    return entries


def joint_orientations(rotations: FloatArray) -> FloatArray:
    """(21, 3, 3) of all joints against the camera, from MANO's (16, 3, 3) against their parents."""
    mano = np.asarray(rotations, np.float64).copy()
    for joint, parent in enumerate(MANO_PARENTS):
        if parent >= 0:
            mano[joint] = mano[parent] @ mano[joint]
    own = np.concatenate([mano, np.zeros((5, 3, 3))])[list(JOINTS_FROM_MANO)]
    for tip in TIP_JOINTS:
        own[tip] = own[tip - 1]
    return own


class _Frame(NamedTuple):
    """A frame `child` below that of the header: its place (3,) [m] and rotation (3, 3)."""

    header: Any
    child: str
    position_m: FloatArray
    rotation: FloatArray


def _transforms(frames: Sequence[_Frame]) -> list[Any]:
    """A geometry_msgs/TransformStamped for each; the quaternions come from one call, which costs as much as for one."""
    if not frames:
        return []
    quaternions = quaternion_from_matrix(np.stack([frame.rotation for frame in frames]))
    return [_transform(frame, quaternion) for frame, quaternion in zip(frames, quaternions, strict=True)]


def _transform(frame: _Frame, quaternion: FloatArray) -> Any:
    pose = pose_message(frame.position_m, quaternion)
    translation = make("geometry_msgs/msg/Vector3", x=pose.position.x, y=pose.position.y, z=pose.position.z)
    return make(
        "geometry_msgs/msg/TransformStamped",
        header=frame.header,
        child_frame_id=frame.child,
        transform=make("geometry_msgs/msg/Transform", translation=translation, rotation=pose.orientation),
    )


def model_info(facts: ModelFacts) -> Any:
    """A prehend_ros/HandModelInfo."""
    return make(
        MODEL_INFO,
        prehend_version=__version__,
        joint_names=list(JOINT_NAMES),
        joint_parents=np.array(JOINT_PARENTS, np.int32),
        orientation_names=list(MANO_JOINT_NAMES),
        orientation_parents=np.array(MANO_PARENTS, np.int32),
        num_vertices=facts.num_vertices,
        faces_right=np.asarray(facts.faces["right"], np.uint32).ravel(),
        faces_left=np.asarray(facts.faces["left"], np.uint32).ravel(),
        **_named("hand_model", facts.hand_model),
        **_named("weights", facts.weights),
        backend=facts.backend,
        grasp_definition=GRASP_DEFINITION,
        temporal_lag_s=float(facts.lag_s),
    )


def _named(kind: str, values: Sequence[str]) -> dict[str, str]:
    name, sha256, licence = values
    return {kind: name, f"{kind}_sha256": sha256, f"{kind}_license": licence}


def _flat(array: FloatArray) -> FloatArray:
    return np.ascontiguousarray(array, np.float32).ravel()
