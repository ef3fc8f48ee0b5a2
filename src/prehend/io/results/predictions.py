"""The predictions file: one JSON object, frames in the order they were seen, or the same as JSON lines on a stream.

Schema `prehend.predictions/2` has all that Python has; `prehend.predictions/1` is a part of it. Both are read.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.documents import read_text
from prehend.errors import OutputError, PrehendError, SourceError, one_line
from prehend.files import beside, final_target, has_room, is_special, open_claimed, reason
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import FrameRecord, Version, frame_record, frame_result
from prehend.types import FrameResult

__all__ = [
    "SCHEMA",
    "SCHEMAS",
    "STREAM",
    "FrameRecord",
    "ModelRecord",
    "Predictions",
    "PredictionsStream",
    "PredictionsWriter",
    "Version",
    "frame_record",
    "frame_result",
    "read_predictions",
]

SCHEMAS: dict[Version, str] = {1: "prehend.predictions/1", 2: "prehend.predictions/2"}
SCHEMA = SCHEMAS[2]
"""Of what is written unless somebody asks for the older one."""

STREAM = Path("-")
"""The name of the standard output."""

Faces = Mapping[Side, NDArray[np.integer]]

_TAIL = '\n], "complete": {}}}\n'
_LARGEST_FILE = 8 << 30


class ModelRecord(TypedDict):
    """Which weights made the predictions."""

    name: str
    weights_sha256: str


class _Predictions(TypedDict):
    schema: str
    model: ModelRecord
    frames: list[FrameRecord]


class Predictions(_Predictions, total=False):
    """A whole file.

    `complete` is False where the run was stopped before its sources ended: every frame in it is whole all the same.
    `faces` are the triangles of each side's mesh, where the vertices are written.
    """

    complete: bool
    faces: dict[Side, list[list[int]]]


class PredictionsWriter:
    """Writes frames one by one, so that a long video needs no memory.

    From the first frame on the file stands under its name and is valid JSON at every moment, with `complete` false
    until `close`: a process that is killed leaves all frames that were done. Where something stands that is no file (a
    FIFO, /dev/stdout), it is written through; a link's target is written and the link stays.

    As a context manager it keeps the file when the block ends or is interrupted; any other error gives back the file
    that was there before, or, where there was none, keeps the frames that were written if the error is one of ours.

    Args:
        path: of the file.
        model: which weights.
        version: of the schema.
        faces: (F, 3) of each side's mesh, to write each hand's vertices; None to leave them out.

    Raises:
        OutputError: the file cannot be written, or its disk is full.
    """

    def __init__(self, path: Path, model: ModelRecord, version: Version = 2, faces: Faces | None = None):
        self.path, self._version, self._mesh = path, version, faces is not None
        self._through = is_special(path)
        self._target = path if self._through else final_target(path)
        self._part = beside(self._target, "", ".part")
        self._before = beside(self._target, ".", ".before")
        self._published, self._position, self._frames = self._through, 0, 0
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY) if self._through else self._claimed()
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {_why(error)}") from error
        self._append(_head(model, version, faces)[:-1] + ', "frames": [')

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add one frame."""
        self.write_record(frame_record(frame, result, self._version, self._mesh))

    def write_record(self, content: FrameRecord) -> None:
        """Add one frame as it stands in a file."""
        if not self._through and not has_room(self._target.parent):
            raise OutputError(f"{self.path} cannot be written: the disk is full")
        self._append(f"{',' if self._frames else ''}\n{_line(content)}")
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

    def _claimed(self) -> int:
        """The part, empty, which no other process has; nor does one write what stands under the name."""
        if self._target.is_file() and os.access(self._target, os.R_OK):
            os.close(open_claimed(self._target, os.O_RDONLY, self.path))
        descriptor = open_claimed(self._part, os.O_RDWR | os.O_CREAT, self.path)
        try:
            self._before.unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _publish(self) -> None:
        """Put the file under its name, with the one before kept aside."""
        try:
            if self._target.exists():
                self._keep_before()
            self._part.replace(self._target)
        except OSError:  # then it gets its name at the end
            with suppress(OSError):
                self._before.replace(self._target)
            return
        self._published = True

    def _keep_before(self) -> None:
        try:
            os.link(self._target, self._before)
        except OSError:  # a disk without links, or the file of another user
            self._target.replace(self._before)

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


class PredictionsStream:
    """Writes frames to the standard output as JSON lines: the head, a line a frame as soon as it is done, and
    `{"complete": true}` (false where it was stopped).

    Args:
        model, version, faces: see `PredictionsWriter`.
    """

    def __init__(self, model: ModelRecord, version: Version = 2, faces: Faces | None = None):
        self._version, self._mesh = version, faces is not None
        self._put(_head(model, version, faces))

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add one frame."""
        self.write_record(frame_record(frame, result, self._version, self._mesh))

    def write_record(self, content: FrameRecord) -> None:
        """Add one frame as it stands in a file."""
        self._put(_line(content))

    def __enter__(self) -> "PredictionsStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, (KeyboardInterrupt, PrehendError)):
            self._put(json.dumps({"complete": kind is None}))

    def _put(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _head(model: ModelRecord, version: Version, faces: Faces | None) -> str:
    head: dict[str, Any] = {"schema": SCHEMAS[version], "model": model}
    if faces is not None:
        head["faces"] = {side: np.asarray(triangles).tolist() for side, triangles in faces.items()}
    return json.dumps(head, allow_nan=False)


def _line(content: FrameRecord) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file of either schema, or its JSON lines; one whose writer was killed in the middle of a frame
    is read up to it.

    Raises:
        SourceError: it is missing, no JSON, or of another schema.
    """
    text = read_text(path, limit=_LARGEST_FILE)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        content = _recovered(text)
        if content is None:
            raise SourceError(f"{path}: no JSON ({one_line(error)})") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in SCHEMAS.values():
        raise SourceError(f"{path}: schema is {schema!r}, expected '{SCHEMAS[1]}' or '{SCHEMAS[2]}'")
    if not isinstance(content.get("frames"), list) or not isinstance(content.get("model"), dict):
        raise SourceError(f"{path}: 'frames' or 'model' is missing")
    predictions: Predictions = content
    return predictions


def _recovered(text: str) -> dict[str, Any] | None:
    """The head and the whole frames, one a line, of JSON lines or of a file that breaks off; None where there is no
    head."""
    head, *lines = text.split("\n")
    try:
        content: dict[str, Any] = json.loads(head if head.endswith("}") else head + "]}")
    except (ValueError, RecursionError):
        return None
    content["frames"], content["complete"] = [], False
    for line in lines:
        try:
            one = json.loads(line.removesuffix(","))
        except (ValueError, RecursionError):
            break
        if isinstance(one, dict) and one.keys() == {"complete"}:
            content["complete"] = bool(one["complete"])
            break
        content["frames"].append(one)
    return content


def _why(error: OSError | ValueError) -> str:
    return reason(error) if isinstance(error, OSError) else "no file can have that name"
