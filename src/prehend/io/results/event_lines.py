"""Events as JSON lines, each written as soon as it is told: into a file, or to the standard output."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from prehend.errors import OutputError
from prehend.files import reason
from prehend.io.frames import Frame
from prehend.io.results.prediction_records import event_record
from prehend.io.results.predictions import STREAM
from prehend.types import FrameResult


class EventLines:
    """A line an event: `source` and `index` of the frame in which it was told, then its `EventRecord`.

    Args:
        path: of the file, which is begun anew; "-" is the standard output.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        self._stack = ExitStack()
        try:
            if path == STREAM:
                self._file = sys.stdout
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._stack.enter_context(path.open("w", encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Add the events of a frame."""
        for event in result.events:
            line = {"source": frame.source, "index": frame.index, **event_record(event)}
            try:
                self._file.write(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
                self._file.flush()
            except BrokenPipeError:  # the reader has left: no error of ours, see `cli.main`
                raise
            except OSError as error:
                raise self._error(error) from error
            self.count += 1

    def __enter__(self) -> "EventLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        except OSError as broken:
            raise self._error(broken) from broken

    def _error(self, error: OSError | ValueError) -> OutputError:
        why = reason(error) if isinstance(error, OSError) else "no file can have that name"
        return OutputError(f"{self.path} cannot be written: {why}")
