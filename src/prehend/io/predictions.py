"""The predictions file, schema `prehend.predictions/1`: one JSON object, frames in the order they were seen."""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from prehend.documents import read_text
from prehend.errors import OutputError, PrehendError, SourceError
from prehend.files import final_target, has_room, is_special, reason
from prehend.io.frames import Frame
from prehend.types import FrameResult, GraspState, HandEstimate, ObjectEstimate

SCHEMA = "prehend.predictions/1"

_TAIL = '\n], "complete": {}}}\n'
_LARGEST_FILE = 8 << 30

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


class _HandRecord(TypedDict):
    track_id: int
    side: str
    score: float | None
    box_px: list[float | None]
    keypoints_px: list[list[float | None]]
    joints_m: list[list[float | None]]
    visible: list[bool]
    grasp: GraspRecord
    object: ObjectRecord | None


class HandRecord(_HandRecord, total=False):
    """One hand of a frame; numbers that are not finite are None. Older files lack `side_score`."""

    side_score: float | None


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


class _Predictions(TypedDict):
    schema: str
    model: ModelRecord
    frames: list[FrameRecord]


class Predictions(_Predictions, total=False):
    """A whole file.

    `complete` is False where the run was stopped before its sources ended: every frame in it is whole all the same.
    """

    complete: bool


class PredictionsWriter:
    """Writes frames one by one, so that a long video needs no memory.

    From the first frame on the file stands under its name and is valid JSON at every moment, with `complete` false
    until `close`: a process that is killed leaves all frames that were done. Where something stands that is no file (a
    FIFO, /dev/stdout), it is written through; a link's target is written and the link stays.

    As a context manager it keeps the file when the block ends or is interrupted; any other error gives back the file
    that was there before, or, where there was none, keeps the frames that were written if the error is one of ours.

    Raises:
        OutputError: the file cannot be written, or its disk is full.
    """

    def __init__(self, path: Path, model: ModelRecord):
        self.path = path
        self._through = is_special(path)
        self._target = path if self._through else final_target(path)
        self._part = self._target.with_name(f"{self._target.name}.part")
        self._before = self._target.with_name(f".{self._target.name}.before")
        self._published, self._position, self._frames = self._through, 0, 0
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if not self._through:
                self._before.unlink(missing_ok=True)
            flags = os.O_WRONLY if self._through else os.O_RDWR | os.O_CREAT | os.O_TRUNC
            self._descriptor = os.open(self._target if self._through else self._part, flags, 0o666)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {_why(error)}") from error
        head = json.dumps({"schema": SCHEMA, "model": model}, allow_nan=False)
        self._append(head[:-1] + ', "frames": [')

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add one frame."""
        if not self._through and not has_room(self._target.parent):
            raise OutputError(f"{self.path} cannot be written: the disk is full")
        record = json.dumps(frame_record(frame, result), allow_nan=False, separators=(",", ":"))
        self._append(f"{',' if self._frames else ''}\n{record}")
        self._frames += 1
        if not self._published:
            self._publish()

    def close(self, complete: bool = True) -> None:
        """Finish the file; `complete` is what it says of itself."""
        if self._descriptor < 0:
            return
        try:
            self._put(_TAIL.format("true" if complete else "false").encode())
            if not self._through:
                os.fsync(self._descriptor)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {_why(error)}") from error
        finally:
            self._release()
        try:
            if not self._published:
                self._part.replace(self._target)
            if not self._through:
                self._before.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {_why(error)}") from error

    def discard(self) -> None:
        """Leave no file, and the one that was there before as it was."""
        self._release()
        if self._through:
            return
        try:
            if self._published and self._before.exists():
                self._before.replace(self._target)
            elif self._published:
                self._target.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be taken back: {_why(error)}") from error

    def _publish(self) -> None:
        """Put the file under its name, with the one before kept aside; where links cannot be, at the end."""
        try:
            if self._target.exists():
                os.link(self._target, self._before)
            self._part.replace(self._target)
        except OSError:
            self._before.unlink(missing_ok=True)
            return
        self._published = True

    def _append(self, text: str) -> None:
        """Write in front of the tail; what cannot be written whole leaves the file as it was."""
        data, tail = text.encode(), _TAIL.format("false").encode()
        try:
            self._put(data if self._through else data + tail)
        except OSError as error:
            self._mend(tail)
            raise OutputError(f"{self.path} cannot be written: {_why(error)}") from error
        self._position += len(data)

    def _put(self, data: bytes) -> None:
        written = 0
        while written < len(data):
            rest = data[written:]
            if self._through:
                written += os.write(self._descriptor, rest)
            else:
                written += os.pwrite(self._descriptor, rest, self._position + written)
        if not self._through:
            os.ftruncate(self._descriptor, self._position + len(data))

    def _mend(self, tail: bytes) -> None:
        if self._through:
            return
        try:
            os.ftruncate(self._descriptor, self._position)
            os.pwrite(self._descriptor, tail, self._position)
        except OSError:  # the caller hears of the first error
            return

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> "PredictionsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif issubclass(kind, KeyboardInterrupt):
            self.close(complete=False)
        elif issubclass(kind, PrehendError) and self._frames and not self._before.exists():
            with suppress(OutputError):  # the first error is the one to tell
                self.close(complete=False)
        else:
            self.discard()


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file; one whose writer was killed in the middle of a frame is read up to it.

    Raises:
        SourceError: it is missing, no JSON, or of another schema.
    """
    text = read_text(path, limit=_LARGEST_FILE)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        content = _recovered(text)
        if content is None:
            raise SourceError(f"{path}: no JSON ({' '.join(str(error).split())[:160]})") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise SourceError(f"{path}: schema is {schema!r}, expected '{SCHEMA}'")
    if not isinstance(content.get("frames"), list) or not isinstance(content.get("model"), dict):
        raise SourceError(f"{path}: 'frames' or 'model' is missing")
    predictions: Predictions = content
    return predictions


def _recovered(text: str) -> dict[str, Any] | None:
    """The head and the whole frames, one a line, of a file that breaks off; None where there is no head."""
    head, *lines = text.split("\n")
    try:
        content: dict[str, Any] = json.loads(head + "]}")
    except (ValueError, RecursionError):
        return None
    content["frames"], content["complete"] = [], False
    for line in lines:
        try:
            content["frames"].append(json.loads(line.removesuffix(",")))
        except (ValueError, RecursionError):
            break
    return content


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
        "side_score": _number(hand.side_score, _SCORE),
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


def _why(error: OSError | ValueError) -> str:
    return reason(error) if isinstance(error, OSError) else "no file can have that name"
