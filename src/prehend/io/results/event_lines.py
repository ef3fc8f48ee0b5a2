"""Events as JSON lines, each written as soon as it is told: into a file, or to the standard output."""

import json
import os
import sys
from pathlib import Path
from types import TracebackType

from prehend.errors import OutputError
from prehend.files import final_target, is_special, open_claimed, reason
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import event_record
from prehend.io.results.predictions import STREAM
from prehend.types import FrameResult


class EventLines:
    """A line an event: `source` and `index` of the frame in which it was told, then its `EventRecord`.

    The file is begun anew with the first frame: a run that sees none leaves what was there before. A line that cannot
    be written whole is taken back.

    Args:
        path: of the file; "-" is the standard output.

    Raises:
        OutputError: the file cannot be written, or another process writes it.
    """

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        self._descriptor, self._end, self._made = -1, -1, False
        if path == STREAM:
            return
        self._through = is_special(path)
        try:
            self._target = path if self._through else final_target(path)
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._made = not self._target.exists()
            if self._through:
                self._descriptor = os.open(self._target, os.O_WRONLY)
            else:
                self._descriptor = open_claimed(self._target, os.O_WRONLY | os.O_CREAT, path)
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add the events of a frame."""
        self._begin()
        for event in result.events:
            line = {"source": frame.source, "index": frame.index, **event_record(event)}
            self._put(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
            self.count += 1

    def _begin(self) -> None:
        """Empty the file before the first frame."""
        if self._descriptor >= 0 and self._end < 0:
            self._end = 0
            if not self._through:
                os.ftruncate(self._descriptor, 0)

    def _put(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            if self._descriptor < 0:
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            left = data
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BrokenPipeError:  # the reader has left: no error of ours, see `cli.main`
            raise
        except OSError as error:
            self._take_back()
            raise self._error(error) from error
        self._end += len(data)

    def _take_back(self) -> None:
        """Leave whole lines alone."""
        if self._descriptor >= 0 and not self._through:
            os.ftruncate(self._descriptor, self._end)

    def __enter__(self) -> "EventLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            os.close(descriptor)
            if self._made and self._end < 0:
                self._target.unlink(missing_ok=True)
        except OSError as broken:
            raise self._error(broken) from broken

    def _error(self, error: OSError | ValueError) -> OutputError:
        why = reason(error) if isinstance(error, OSError) else "no file can have that name"
        return OutputError(f"{self.path} cannot be written: {why}")
