"""The predictions file, schema `prehend.predictions/1`: one JSON object, frames in the order they were seen."""

import json
import math
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from prehend.errors import OutputError, SourceError
from prehend.io.sources import Frame
from prehend.types import FrameResult, GraspState, HandEstimate, ObjectEstimate

SCHEMA = "prehend.predictions/1"

# decimals: a hundredth of a pixel, 10 micrometres, 1e-6 in rotations, 1e-4 in scores, a microsecond
_PX, _M, _ROTATION, _SCORE, _MS, _STAMP = 2, 5, 6, 4, 3, 9


class ModelRecord(TypedDict):
    """Which weights made the predictions."""

    name: str
    weights_sha256: str


class GraspRecord(TypedDict):
    """Whether something is held."""

    state: GraspState
    probability: float | None


class ObjectRecord(TypedDict):
    """What is held; rotation and translation are None where its pose is unknown."""

    id: str
    score: float | None
    rotation: list[list[float]] | None
    translation_m: list[float] | None
    keypoints_px: list[list[float | None]]


class HandRecord(TypedDict):
    """One hand of a frame; numbers that are not finite are None."""

    track_id: int
    side: str
    score: float | None
    box_px: list[float | None]
    keypoints_px: list[list[float | None]]
    joints_m: list[list[float | None]]
    visible: list[bool]
    grasp: GraspRecord
    object: ObjectRecord | None


class CameraRecord(TypedDict):
    """The intrinsics used; `estimated` where they were assumed."""

    K: list[list[float]]
    estimated: bool


class FrameRecord(TypedDict):
    """One image."""

    source: str
    index: int
    stamp: float | None
    width: int
    height: int
    camera: CameraRecord
    hands: list[HandRecord]
    timing_ms: dict[str, float | None]


class Predictions(TypedDict):
    """A whole file."""

    schema: str
    model: ModelRecord
    frames: list[FrameRecord]


class PredictionsWriter:
    """Writes frames one by one, so that a long video needs no memory; the file appears whole, at `close`.

    As a context manager it keeps the file when the block ends or is interrupted from the keyboard, and drops
    it on any other error.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, model: ModelRecord):
        self.path, self._part = path, path.with_name(path.name + ".part")
        self._separator = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        head = json.dumps({"schema": SCHEMA, "model": model}, allow_nan=False)
        self._append(head[:-1] + ', "frames": [')

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add one frame."""
        record = json.dumps(frame_record(frame, result), allow_nan=False, separators=(",", ":"))
        self._append(f"{self._separator}\n{record}")
        self._separator = ","

    def close(self) -> None:
        """Finish the file and put it in its place."""
        self._append("\n]}\n")
        self._file.close()
        self._part.replace(self.path)

    def discard(self) -> None:
        """Leave no file, and the one that was there before as it was."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _append(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:  # such as a full disk
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> "PredictionsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.discard()


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file.

    Raises:
        SourceError: it is missing, no JSON, or of another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except ValueError as error:
        raise SourceError(f"{path}: no JSON ({error})") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise SourceError(f"{path}: schema is {schema!r}, expected '{SCHEMA}'")
    if not isinstance(content.get("frames"), list) or not isinstance(content.get("model"), dict):
        raise SourceError(f"{path}: 'frames' or 'model' is missing")
    predictions: Predictions = content
    return predictions


def frame_record(frame: Frame, result: FrameResult) -> FrameRecord:
    """One frame as it stands in the file."""
    height, width = frame.image_rgb.shape[:2]
    return {
        "source": frame.source,
        "index": frame.index,
        "stamp": _number(frame.stamp, _STAMP),
        "width": width,
        "height": height,
        "camera": {"K": result.camera.K.tolist(), "estimated": result.camera.estimated},
        "hands": [_hand_record(hand) for hand in result.hands],
        "timing_ms": {stage: _number(duration, _MS) for stage, duration in result.timing_ms.items()},
    }


def _hand_record(hand: HandEstimate) -> HandRecord:
    return {
        "track_id": hand.track_id,
        "side": hand.side,
        "score": _number(hand.score, _SCORE),
        "box_px": _rounded([hand.box_px.x0, hand.box_px.y0, hand.box_px.x1, hand.box_px.y1], _PX),
        "keypoints_px": _rounded(hand.keypoints_px, _PX),
        "joints_m": _rounded(hand.joints_m, _M),
        "visible": [bool(visible) for visible in hand.visible],
        "grasp": {"state": hand.grasp.state, "probability": _number(hand.grasp.probability, _SCORE)},
        "object": None if hand.held_object is None else _object_record(hand.held_object),
    }


def _object_record(held: ObjectEstimate) -> ObjectRecord:
    pose = held.T_camera_object
    return {
        "id": held.object_id,
        "score": _number(held.score, _SCORE),
        "rotation": None if pose is None else _rounded(pose[:3, :3], _ROTATION),
        "translation_m": None if pose is None else _rounded(pose[:3, 3], _M),
        "keypoints_px": _rounded(held.keypoints_px, _PX),
    }


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
