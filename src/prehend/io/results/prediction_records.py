"""One frame as it stands in a predictions file, and back: schema 2 has all that Python has, schema 1 a part of it."""

import math
from typing import Any, Literal, TypedDict, get_args

import numpy as np
from numpy.typing import ArrayLike

from prehend.conventions import NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS, SIDES, Side
from prehend.errors import InvalidInput, one_line
from prehend.geometry.rotations import quaternion_from_matrix
from prehend.io.frames import Frame
from prehend.io.results.hypothesis_records import hypotheses_of, hypotheses_record
from prehend.types import (
    Box,
    Camera,
    DistortionModel,
    EventKind,
    FloatArray,
    FrameResult,
    GraspEstimate,
    GraspState,
    HandEstimate,
    HandEvent,
    HandMotion,
    ObjectEstimate,
    TrackState,
)

Version = Literal[1, 2]

# decimals: a hundredth of a pixel, 10 micrometres, 1e-6 in rotations, 1e-4 in scores, a microsecond
_PX, _M, _ROTATION, _SCORE, _MS, _STAMP = 2, 5, 6, 4, 3, 9


class GraspRecord(TypedDict, total=False):
    """Whether something is held; `since` is of schema 2."""

    state: GraspState
    probability: float | None
    since: float | None


class ObjectRecord(TypedDict, total=False):
    """What is held; rotation and translation are None where its pose is unknown; what follows is of schema 2."""

    id: str
    score: float | None
    rotation: list[list[float]] | None
    translation_m: list[float] | None
    keypoints_px: list[list[float | None]]
    box_px: list[float | None]
    extents_m: list[float] | None
    extents_estimated: bool
    no_pose: str


class HandRecord(TypedDict, total=False):
    """One hand of a frame; numbers that are not finite are None; what follows `object` is of schema 2."""

    track_id: int
    side: str
    score: float | None
    box_px: list[float | None]
    keypoints_px: list[list[float | None]]
    joints_m: list[list[float | None]]
    visible: list[bool]
    grasp: GraspRecord
    object: ObjectRecord | None
    wrist: dict[str, list[float | None]]
    rotations: list[list[list[float | None]]]
    betas: list[float | None]
    position_std_m: float | None
    keypoint_std_px: list[float | None] | None
    fit_error_px: float | None
    side_score: float | None
    state: TrackState
    is_operator: bool
    validity: list[int] | None
    joint_std_m: list[float | None] | None
    motion: dict[str, Any] | None
    hypotheses: dict[str, Any]
    vertices_m: list[list[float | None]]


class CameraRecord(TypedDict, total=False):
    """The intrinsics used; `estimated` where they were assumed; the distortion is of schema 2."""

    K: list[list[float]]
    estimated: bool
    distortion: list[float]
    distortion_model: DistortionModel


class EventRecord(TypedDict):
    """One event; `stamp` is that of its onset, `late_s` how much later it was told; None where not known."""

    event: EventKind
    track_id: int
    side: str
    stamp: float | None
    late_s: float | None
    confidence: float | None
    object_id: str


class FrameRecord(TypedDict, total=False):
    """One image; `found` and what follows it are of schema 2; `lag_s` where results were held back alone."""

    source: str
    index: int
    stamp: float | None
    width: int
    height: int
    camera: CameraRecord
    hands: list[HandRecord]
    timing_ms: dict[str, float | None]
    found: bool
    events: list[EventRecord]
    lost: list[int]
    lag_s: float | None


def frame_record(frame: Frame, result: FrameResult, version: Version = 2, mesh: bool = False) -> FrameRecord:
    """One frame as it stands in the file.

    Args:
        frame: for its name, place and size.
        result: of this frame.
        version: of the schema.
        mesh: write each hand's vertices too (schema 2).
    """
    height, width = frame.image_rgb.shape[:2]
    record: FrameRecord = {
        "source": frame.source,
        "index": frame.index,
        "stamp": _number(frame.stamp, _STAMP),
        "width": width,
        "height": height,
        "camera": {"K": result.camera.K.tolist(), "estimated": result.camera.estimated},
        "hands": [_hand_record(hand, version, mesh) for hand in result.hands],
        "timing_ms": {stage: _number(duration, _MS) for stage, duration in result.timing_ms.items()},
    }
    if version == 2:
        record["camera"]["distortion"] = result.camera.distortion.tolist()
        record["camera"]["distortion_model"] = result.camera.distortion_model
        record["found"] = result.found
        record["lost"] = list(result.lost)
        record["events"] = [event_record(event) for event in result.events]
        if result.lag_s:
            record["lag_s"] = _number(result.lag_s, _STAMP)
    return record


def event_record(event: HandEvent) -> EventRecord:
    """An event as it stands in the file, and as a line of `prehend run --events`."""
    return {
        "event": event.kind,
        "track_id": event.track_id,
        "side": event.side,
        "stamp": _number(event.stamp, _STAMP),
        "late_s": _number(event.late_s, _STAMP),
        "confidence": _number(event.confidence, _SCORE),
        "object_id": event.object_id,
    }


def frame_result(record: FrameRecord) -> FrameResult:
    """A frame of a file as the estimator would give it; what schema 1 does not have is NaN, None or empty.

    Raises:
        InvalidInput: the record is not one; the text says what is wrong with it.
    """
    try:
        camera = _camera(record)
        hands = tuple(_hand(one) for one in record["hands"])
        timing = {str(stage): float(value) for stage, value in record.get("timing_ms", {}).items() if value is not None}
        events = tuple(_event(one) for one in record.get("events", ()))
        return FrameResult(
            camera,
            hands,
            _optional(record.get("stamp")),
            timing,
            bool(record.get("found", True)),
            events,
            tuple(int(number) for number in record.get("lost", ())),
            float(record.get("lag_s") or 0.0),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        said = one_line(error, 120)
        raise InvalidInput(f"no frame of a predictions file ({type(error).__name__}: {said})") from error


def _hand_record(hand: HandEstimate, version: Version, mesh: bool) -> HandRecord:
    record: HandRecord = {
        "track_id": hand.track_id,
        "side": hand.side,
        "score": _number(hand.score, _SCORE),
        "box_px": _rounded(hand.box_px.as_array(), _PX),
        "keypoints_px": _rounded(hand.keypoints_px, _PX),
        "joints_m": _rounded(hand.joints_m, _M),
        "visible": [bool(visible) for visible in hand.visible],
        "grasp": {"state": hand.grasp.state, "probability": _number(hand.grasp.probability, _SCORE)},
        "object": None if hand.held_object is None else _object_record(hand.held_object, version),
    }
    if version == 2:
        record["grasp"]["since"] = _number(hand.grasp.since, _STAMP)
        record |= {
            "wrist": {
                "position_m": _rounded(hand.joints_m[0], _M),
                "quaternion_xyzw": _rounded(_quaternion(np.asarray(hand.rotations[0])), _ROTATION),
            },
            "rotations": _rounded(hand.rotations, _ROTATION),
            "betas": _rounded(hand.betas, _SCORE),
            "position_std_m": _number(hand.position_std_m, _M),
            "keypoint_std_px": None if hand.keypoint_std_px is None else _rounded(hand.keypoint_std_px, _PX),
            "fit_error_px": _number(hand.fit_error_px, _PX),
            "side_score": _number(hand.side_score, _SCORE),
            "state": hand.state,
            "is_operator": hand.is_operator,
            "validity": None if hand.validity is None else hand.validity.tolist(),
            "joint_std_m": None if hand.joint_std_m is None else _rounded(hand.joint_std_m, _M),
            "motion": None if hand.motion is None else _motion_record(hand.motion),
        }
        if hand.hypotheses is not None:
            record["hypotheses"] = hypotheses_record(hand.hypotheses)
        if mesh:
            record["vertices_m"] = _rounded(hand.vertices_m, _M)
    return record


def _quaternion(R: FloatArray) -> FloatArray:
    """(4,) x, y, z, w; NaN of a turn that nobody knows, as that of a file of schema 1."""
    return quaternion_from_matrix(R) if np.isfinite(R).all() else np.full(4, np.nan)


def _motion_record(motion: HandMotion) -> dict[str, Any]:
    return {"joints_m_s": _rounded(motion.joints_m_s, _M), "wrist_rad_s": _rounded(motion.wrist_rad_s, _SCORE)}


def _object_record(held: ObjectEstimate, version: Version) -> ObjectRecord:
    pose = held.T_camera_object
    record: ObjectRecord = {
        "id": held.object_id,
        "score": _number(held.score, _SCORE),
        "rotation": None if pose is None else _rounded(pose[:3, :3], _ROTATION),
        "translation_m": None if pose is None else _rounded(pose[:3, 3], _M),
        "keypoints_px": _rounded(held.keypoints_px, _PX),
    }
    if version == 2:
        record |= {
            "box_px": _rounded(held.box_px.as_array(), _PX),
            "extents_m": None if held.extents_m is None else _rounded(held.extents_m, _M),
            "extents_estimated": held.extents_estimated,
            "no_pose": held.no_pose,
        }
    return record


def _camera(record: FrameRecord) -> Camera:
    said = record["camera"]
    return Camera(
        np.array(said["K"], np.float64),
        int(record["width"]),
        int(record["height"]),
        np.array(said.get("distortion", []), np.float64),
        said.get("distortion_model", "plumb_bob"),
        bool(said["estimated"]),
    )


def _side(name: str) -> Side:
    side: Side | None = next((side for side in SIDES if side == name), None)
    if side is None:
        raise ValueError(f"side is {name!r}")
    return side


def _event(record: EventRecord) -> HandEvent:
    if record["event"] not in get_args(EventKind):
        raise ValueError(f"the event is {record['event']!r}")
    return HandEvent(
        record["event"],
        int(record["track_id"]),
        _side(record["side"]),
        _optional(record["stamp"]),
        _float(record["late_s"]),
        _float(record.get("confidence")),
        str(record.get("object_id", "")),
    )


def _hand(record: HandRecord) -> HandEstimate:
    grasp, std, joint_std = record["grasp"], record.get("keypoint_std_px"), record.get("joint_std_m")
    motion, validity = record.get("motion"), record.get("validity")
    if grasp["state"] not in get_args(GraspState):
        raise ValueError(f"the grasp's state is {grasp['state']!r}")
    keypoints = _array(record["keypoints_px"], (NUM_JOINTS, 2))
    return HandEstimate(
        track_id=int(record["track_id"]),
        side=_side(record["side"]),
        score=_float(record["score"]),
        box_px=Box(*map(float, _array(record["box_px"], (4,)))),
        keypoints_px=keypoints,
        joints_m=_array(record["joints_m"], (NUM_JOINTS, 3)),
        vertices_m=_array(record.get("vertices_m") or np.zeros((0, 3)), (-1, 3)),
        rotations=_array(record.get("rotations"), (NUM_MANO_JOINTS, 3, 3)),
        betas=_array(record.get("betas"), (NUM_BETAS,)),
        visible=np.array(record["visible"], np.bool_).reshape(NUM_JOINTS),
        grasp=GraspEstimate(grasp["state"], _float(grasp["probability"]), _optional(grasp.get("since"))),
        held_object=None if record["object"] is None else _object(record["object"]),
        fit_error_px=_float(record.get("fit_error_px")),
        position_std_m=_float(record.get("position_std_m")),
        keypoint_std_px=None if std is None else _array(std, (NUM_JOINTS,)),
        side_score=_float(record.get("side_score")),
        state="coasting" if record.get("state") == "coasting" else "tracked",
        is_operator=bool(record.get("is_operator", False)),
        motion=None if motion is None else _motion(motion),
        validity=None if validity is None else np.array(validity, np.uint8).reshape(NUM_JOINTS),
        joint_std_m=None if joint_std is None else _array(joint_std, (NUM_JOINTS,)),
        hypotheses=None if (open_ := record.get("hypotheses")) is None else hypotheses_of(open_),
    )


def _motion(record: dict[str, Any]) -> HandMotion:
    return HandMotion(_array(record["joints_m_s"], (NUM_JOINTS, 3)), _array(record["wrist_rad_s"], (3,)))


def _object(record: ObjectRecord) -> ObjectEstimate:
    keypoints = _array(record["keypoints_px"], (-1, 2))
    pose = None
    if record["rotation"] is not None and record["translation_m"] is not None:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = _array(record["rotation"], (3, 3)), _array(record["translation_m"], (3,))
    box, extents = record.get("box_px"), record.get("extents_m")
    return ObjectEstimate(
        object_id=str(record["id"]),
        score=_float(record["score"]),
        keypoints_px=keypoints,
        box_px=Box.around(keypoints) if box is None else Box(*map(float, _array(box, (4,)))),
        T_camera_object=pose,
        extents_m=None if extents is None else _array(extents, (3,)),
        extents_estimated=bool(record.get("extents_estimated", False)),
        no_pose=str(record.get("no_pose", "")),
    )


def _array(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """An array of this shape, NaN where the file has null; all NaN where it has nothing."""
    if values is None:
        return np.full(shape, np.nan)
    array = np.array(values, np.float64)  # None becomes NaN
    if array.ndim != len(shape) and array.size:
        raise ValueError(f"shape {array.shape}, expected {shape}")
    return array.reshape(shape)


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _optional(value: float | None) -> float | None:
    return None if value is None else float(value)


def _number(value: float | None, decimals: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), decimals)


def _rounded(values: ArrayLike, decimals: int) -> Any:
    """Nested lists of rounded numbers; float64 first, or float32 would show its noise."""
    array = np.round(np.asarray(values, np.float64), decimals)
    if np.isfinite(array).all():
        return array.tolist()
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()
