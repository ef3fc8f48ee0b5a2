"""Where images come from: a file, a folder, a video, a camera or a rosbag, behind one iterator."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np

from prehend.errors import SourceError
from prehend.io.images import IMAGE_SUFFIXES, Image, read_image
from prehend.types import Camera

BAG_SUFFIXES = (".bag", ".db3", ".mcap")
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")

Kind = Literal["image", "folder", "video", "camera", "bag"]
ErrorHandler = Callable[[SourceError], None]

_MISSING_FRAMES = 0.02
"""Share of a video's announced frames that may be missing: some containers only estimate their number."""


@dataclass(frozen=True)
class Frame:
    """One image and where it came from.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        source: name for predictions: the path as given, or relative to the folder given.
        index: place in the source, from 0.
        stamp: [s]; of the message in a bag, since the start in a video, of the clock for a camera, else None.
        camera: intrinsics where the source knows them (bags).
        path: the file it came from, None for a camera.
    """

    image_rgb: Image
    source: str
    index: int
    stamp: float | None = None
    camera: Camera | None = None
    path: Path | None = None


class Source(ABC):
    """An opened source: iterate it once, use it as a context manager.

    Attributes:
        name: as given.
        kind: what it is.
        is_sequence: whether neighbouring frames follow each other in time, so that hands may be tracked.
        fps: frames a second, None where there is no such thing.
        length: number of frames, None where nobody knows before the end.
    """

    kind: Kind
    is_sequence = True

    def __init__(self, name: str, on_error: ErrorHandler | None):
        self.name = name
        self.fps: float | None = None
        self.length: int | None = None
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


class _Files(Source):
    """A source that holds nothing open."""

    def close(self) -> None:
        """Nothing to do."""


class ImageFile(_Files):
    """A single image."""

    kind: Kind = "image"
    is_sequence = False

    def __init__(self, name: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        self.length = 1

    def __iter__(self) -> Iterator[Frame]:
        path = Path(self.name)
        yield Frame(read_image(path), self.name, 0, path=path)


class Folder(_Files):
    """Every image below a folder, in natural order (2 before 10), hidden files left out.

    Its images count as unrelated: nothing in a folder says whether they follow each other. Frames are named
    relative to the folder, or with it in front where `prefixed`, when several sources could hold the same names.
    """

    kind: Kind = "folder"
    is_sequence = False

    def __init__(self, name: str, on_error: ErrorHandler | None = None, prefixed: bool = False):
        super().__init__(name, on_error)
        self._root, self._prefixed = Path(name), prefixed
        self._names = sorted(_images_below(self._root), key=natural_key)
        if not self._names:
            raise SourceError(f"{name}: {_why_no_images(self._root)}")
        self.length = len(self._names)

    def __iter__(self) -> Iterator[Frame]:
        for index, name in enumerate(self._names):
            path = self._root / name
            try:
                image = read_image(path)
            except SourceError as error:
                self._report(error)
                continue
            yield Frame(image, path.as_posix() if self._prefixed else name, index, path=path)


class Video(Source):
    """A video file, turned upright where its metadata say so."""

    kind: Kind = "video"

    def __init__(self, name: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        self._capture = cv2.VideoCapture(name)
        if not self._capture.isOpened():
            raise SourceError(
                f"{name}: not a video OpenCV can read, or corrupt; try `ffmpeg -i {name} -c:v libx264 new.mp4`"
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps if np.isfinite(fps) and fps > 0 else None
        self.length = count if count > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        path, index, last = Path(self.name), 0, -1.0
        while True:
            ok, image = self._capture.read()
            if not ok:
                break
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            if not stamp > last:  # containers without times repeat 0
                stamp = index / self.fps if self.fps else last + 1 / 30
            last = stamp
            yield Frame(
                np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), self.name, index, stamp, path=path
            )
            index += 1
        if index == 0:
            raise SourceError(f"{self.name}: the video has no frame that can be decoded")
        if self.length is not None and self.length - index > max(2, _MISSING_FRAMES * self.length):
            self._report(SourceError(f"{self.name}: the video breaks off after {index} of {self.length} frames"))

    def close(self) -> None:
        """Release the file."""
        self._capture.release()


class CameraDevice(Source):
    """A camera of this machine; it ends when the caller stops."""

    kind: Kind = "camera"

    def __init__(self, name: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        self._capture = cv2.VideoCapture(int(name) if name.isdigit() else name)
        if not self._capture.isOpened():
            found = ", ".join(camera_devices()) or "none"
            raise SourceError(f"camera {name} cannot be opened (devices found: {found}); is another program using it?")
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest image rather than every image
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if np.isfinite(fps) and fps > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            ok, image = self._capture.read()
            stamp = time.time()
            if not ok:
                raise SourceError(f"camera {self.name} stopped delivering images after {index}")
            yield Frame(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), self.name, index, stamp)
            index += 1

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def open_source(
    source: str, *, on_error: ErrorHandler | None = None, topic: str | None = None, prefixed: bool = False
) -> Source:
    """Open whatever `source` names.

    Args:
        source: an image, a folder of images, a video, a rosbag (folder, .db3, .mcap, .bag), or a camera
            (its number or /dev/videoN).
        on_error: called for a frame that cannot be read, after which the source goes on; None raises instead.
        topic: the image topic of a bag; None takes the only one.
        prefixed: name a folder's images with the folder in front.

    Raises:
        SourceError: there is nothing to read; the text names the file and the way out.
        MissingDependency: a bag, and no rosbags installed.
    """
    path = Path(source)
    if source.startswith("/dev/video") or (source.isdigit() and not path.exists()):
        return CameraDevice(source, on_error)
    if not path.exists():
        raise SourceError(f"{source}: no such file, folder or camera")
    if is_bag(path):
        from prehend.io.bag import Bag

        return Bag(source, on_error, topic)
    if path.is_dir():
        return Folder(source, on_error, prefixed)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFile(source, on_error)
    if path.stat().st_size == 0:
        raise SourceError(f"{source}: the file is empty")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return Video(source, on_error)
    raise SourceError(
        f"{source}: unknown kind of file '{path.suffix}'; known are images ({', '.join(IMAGE_SUFFIXES)}), "
        f"videos ({', '.join(VIDEO_SUFFIXES)}) and bags ({', '.join(BAG_SUFFIXES)})"
    )


def is_bag(path: Path) -> bool:
    """Whether a path is a rosbag: a folder with metadata.yaml, or a file of one of the storages."""
    return (path / "metadata.yaml").is_file() if path.is_dir() else path.suffix.lower() in BAG_SUFFIXES


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which frame2 comes before frame10."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name)]


def camera_devices() -> list[str]:
    """Paths of the video devices of this machine (Linux)."""
    return sorted((str(path) for path in Path("/dev").glob("video*")), key=natural_key)


def _images_below(root: Path) -> list[str]:
    names = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _why_no_images(root: Path) -> str:
    others = sorted(path.name for path in root.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES + BAG_SUFFIXES)
    if others:
        return f"the folder has no images; give its videos or bags by name, such as {root / others[0]}"
    return f"the folder has no images ({', '.join(IMAGE_SUFFIXES)})"
