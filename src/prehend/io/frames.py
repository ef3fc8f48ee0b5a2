"""A frame, and what all sources of frames have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from prehend.errors import SourceError
from prehend.io.pixels.images import Image
from prehend.types import Camera

Kind = Literal["image", "folder", "video", "camera", "bag"]
ErrorHandler = Callable[[SourceError], None]


@dataclass(frozen=True)
class Frame:
    """One image and where it came from.

    Attributes:
        image_rgb: (H, W, 3) uint8, upright, with square pixels.
        source: name for predictions: the path as given, or relative to the folder given.
        index: place in the source, from 0.
        stamp: [s]; of the message in a bag, since the start in a video, of the clock for a camera, else None.
        camera: intrinsics where the source knows them (bags).
        path: the file it came from, None for a camera.
        stored_size: (width, height) as the file has it [px], where its pixels are not square.
    """

    image_rgb: Image
    source: str
    index: int
    stamp: float | None = None
    camera: Camera | None = None
    path: Path | None = None
    stored_size: tuple[int, int] | None = None


class Source(ABC):
    """An opened source: iterate it once, use it as a context manager.

    Attributes:
        name: as given.
        kind: what it is.
        is_sequence: whether neighbouring frames follow each other in time, so that hands may be tracked.
        fps: frames a second as their own times have it, None where there is no such thing.
        length: number of frames, None where nobody knows before the end.
        notes: lines for a person: what was chosen, left out or mended; more may come while it is iterated.
        left_out: number of files that were not read, because they are no images or of a kind that is not read.
    """

    kind: Kind
    is_sequence = True

    def __init__(self, name: str, on_error: ErrorHandler | None):
        self.name = name
        self.fps: float | None = None
        self.length: int | None = None
        self.notes: list[str] = []
        self.left_out = 0
        self._on_error = on_error

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    @abstractmethod
    def close(self) -> None:
        """Release files and devices."""

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _report(self, error: SourceError) -> None:
        """A frame is lost but the source goes on, if the caller wants that."""
        if self._on_error is None:
            raise error
        self._on_error(error)

    def _note(self, line: str) -> None:
        """Say something once."""
        line = f"{self.name}: {line}"
        if line not in self.notes:
            self.notes.append(line)
