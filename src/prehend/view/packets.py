"""Frames as the page gets them: JSON with a JPEG, and meshes as base64 of small whole numbers."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINT_PARENTS, SIDES, Side
from prehend.errors import OutputError
from prehend.geometry.camera import project
from prehend.io.pixels.images import Image
from prehend.types import Camera, FloatArray, HandEstimate, ObjectEstimate
from prehend.view.seen import BOX_EDGES, HeldBoxes, Seen

LONGEST_SIDE_PX = 960
"""Larger images are reduced for the page; their numbers stay those of the image."""
JPEG_QUALITY = 80
UNIT_M, UNIT_PX = 1e-4, 0.125
"""Steps of mesh vertices, counted from the wrist."""

_LIMIT = 2**15 - 1


def constants(faces: Mapping[Side, NDArray[np.integer]]) -> dict[str, Any]:
    """What the page needs once: who is whose parent, and the faces of both hands."""
    return {
        "parents": JOINT_PARENTS,
        "edges": BOX_EDGES,
        "unit_m": UNIT_M,
        "unit_px": UNIT_PX,
        "faces": {side: _packed(np.asarray(one).ravel(), "<u2") for side, one in faces.items()},
    }


def frame_packet(seen: Seen, boxes: HeldBoxes) -> str:
    """A frame as one line of JSON; NaN is null.

    Keys: `n`, `t` [s], `stamp` [s], `index`, `width`, `height` [px], `camera` (`f` and `c` [px], `estimated`), `timing`
    [ms], `found`, `jpeg` (base64) and `hands`.
    """
    image, result = seen.frame.image_rgb, seen.result
    height, width = image.shape[:2]
    K = result.camera.K
    packet = {
        "n": seen.number,
        "t": round(seen.time_s, 4),
        "stamp": _number(result.stamp, 6),
        "index": seen.frame.index,
        "width": width,
        "height": height,
        "camera": {"f": _list(K[[0, 1], [0, 1]], 2), "c": _list(K[:2, 2], 2), "estimated": result.camera.estimated},
        "timing": {stage: _number(ms, 2) for stage, ms in result.timing_ms.items()},
        "found": result.found,
        "hands": [_hand(hand, result.camera, boxes) for hand in result.hands],
        "jpeg": base64.b64encode(jpeg_of(image)).decode("ascii"),
    }
    return json.dumps(packet, allow_nan=False, separators=(",", ":"))


def row_packet(seen: Seen) -> str:
    """What the timeline keeps of a frame: time, milliseconds; of each hand id, side, probability of a grasp, state."""
    hands = [
        [hand.track_id, SIDES.index(hand.side), _number(hand.grasp.probability, 3), hand.grasp.state]
        for hand in seen.result.hands
    ]
    row = [round(seen.time_s, 4), _number(seen.result.timing_ms.get("total"), 2), hands]
    return json.dumps(row, allow_nan=False, separators=(",", ":"))


def jpeg_of(image_rgb: Image, longest_px: int = LONGEST_SIDE_PX) -> bytes:
    """An image as a JPEG of at most this many pixels a side.

    Raises:
        OutputError: no such image can be a JPEG.
    """
    height, width = image_rgb.shape[:2]
    scale = longest_px / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image_rgb = np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OutputError(f"an image of {width} x {height} pixels cannot be shown")
    return data.tobytes()


def _hand(hand: HandEstimate, camera: Camera, boxes: HeldBoxes) -> dict[str, Any]:
    wrist_m, wrist_px = hand.joints_m[0], hand.keypoints_px[0]
    return {
        "id": hand.track_id,
        "side": hand.side,
        "score": _number(hand.score, 3),
        "side_score": _number(hand.side_score, 3),
        "state": hand.grasp.state,
        "grasp": _number(hand.grasp.probability, 3),
        "since": _number(hand.grasp.since, 3),
        "joints": _list(hand.joints_m, 4),
        "keypoints": _list(hand.keypoints_px, 1),
        "visible": hand.visible.astype(int).tolist(),
        "std": _number(hand.position_std_m, 4),
        "fit": _number(hand.fit_error_px, 2),
        "mesh": _steps(hand.vertices_m - wrist_m, UNIT_M),
        "mesh_px": _steps(project(hand.vertices_m, camera) - wrist_px, UNIT_PX),
        "held": None if hand.held_object is None else _held(hand.held_object, boxes),
    }


def _held(held: ObjectEstimate, boxes: HeldBoxes) -> dict[str, Any]:
    corners, pose = boxes.corners_m(held), held.T_camera_object
    return {
        "id": held.object_id,
        "score": _number(held.score, 3),
        "keypoints": _list(held.keypoints_px, 1),
        "corners": None if corners is None else _list(corners, 4),
        "pose": None if pose is None else _list(pose[:3], 5),
        "extents": None if held.extents_m is None else _list(held.extents_m, 4),
        "estimated": held.extents_estimated,
        "no_pose": held.no_pose,
    }


def _steps(values: FloatArray, unit: float) -> str:
    """Differences as int16; what is too far away, or nowhere, lies at the limit."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.nan_to_num(np.asarray(values, np.float64) / unit, nan=_LIMIT, posinf=_LIMIT, neginf=-_LIMIT)
    return _packed(np.clip(np.round(steps), -_LIMIT, _LIMIT).ravel(), "<i2")


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")


def _list(values: FloatArray, digits: int) -> Any:
    """Nested lists, None for what is no number."""
    rounded = np.round(np.asarray(values, np.float64), digits)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    return np.where(np.isfinite(rounded), rounded, None).tolist()  # type: ignore[call-overload]


def _number(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
