"""Where images come from: a file, a folder, a video, a camera or a rosbag, behind one iterator."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from prehend.errors import SourceError
from prehend.io.films.reading import CameraDevice, Video, camera_devices
from prehend.io.frames import ErrorHandler, Frame, Kind, Source
from prehend.io.pixels.deep_grey import DeepGrey
from prehend.io.pixels.headers import foreign_kind, read_header
from prehend.io.pixels.images import IMAGE_SUFFIXES, MAX_PIXELS, ImageReader

__all__ = [
    "BAG_SUFFIXES",
    "VIDEO_SUFFIXES",
    "CameraDevice",
    "ErrorHandler",
    "Folder",
    "Frame",
    "ImageFile",
    "Kind",
    "Source",
    "Video",
    "camera_devices",
    "is_bag",
    "natural_key",
    "open_source",
]

BAG_SUFFIXES = (".bag", ".db3", ".mcap")
PACKED_SUFFIXES = (".zstd", ".zst", ".lz4", ".gz", ".bz2", ".xz", ".zip")
VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob",
    ".webm", ".wmv",
)  # fmt: skip

_HEAD_BYTES = 64


class _Files(Source):
    """A source of image files; it holds nothing open."""

    is_sequence = False

    def __init__(self, name: str, on_error: ErrorHandler | None, max_pixels: int):
        super().__init__(name, on_error)
        self._reader = ImageReader(max_pixels, self._note)

    def close(self) -> None:
        """Nothing to do."""


class ImageFile(_Files):
    """A single image."""

    kind: Kind = "image"

    def __init__(self, name: str, on_error: ErrorHandler | None = None, max_pixels: int = MAX_PIXELS):
        super().__init__(name, on_error, max_pixels)
        self.length = 1

    def __iter__(self) -> Iterator[Frame]:
        path = Path(self.name)
        yield Frame(self._reader.file(path), self.name, 0, path=path)


class Folder(_Files):
    """Every image below a folder, in natural order (2 before 10), hidden files left out.

    Its images count as unrelated: nothing in a folder says whether they follow each other. Frames are named
    relative to the folder, or with it in front where `prefixed`, when several sources could hold the same names.
    Files that are not read are counted by kind in a note.
    """

    kind: Kind = "folder"

    def __init__(
        self,
        name: str,
        on_error: ErrorHandler | None = None,
        prefixed: bool = False,
        max_pixels: int = MAX_PIXELS,
    ):
        super().__init__(name, on_error, max_pixels)
        self._root, self._prefixed = Path(name), prefixed
        names, others = _files_below(self._root)
        self._names = sorted(names, key=natural_key)
        if not self._names:
            raise SourceError(f"{name}: {_why_no_images(self._root, others)}")
        self.length, self.left_out = len(self._names), sum(others.values())
        if others:
            self._note(f"{_counted(others)} left out, which {'are' if self.left_out > 1 else 'is'} not read here")

    def __iter__(self) -> Iterator[Frame]:
        for index, name in enumerate(self._names):
            path = self._root / name
            try:
                self._reader.grey = DeepGrey()  # unrelated images
                image = self._reader.file(path)
            except SourceError as error:
                self._report(error)
                continue
            yield Frame(image, path.as_posix() if self._prefixed else name, index, path=path)


def open_source(
    source: str,
    *,
    on_error: ErrorHandler | None = None,
    topic: str | None = None,
    prefixed: bool = False,
    max_pixels: int = MAX_PIXELS,
    own_camera: bool = False,
) -> Source:
    """Open whatever `source` names.

    Args:
        source: an image, a folder of images, a video, a rosbag (folder, .db3, .mcap, .bag), or a camera
            (its number or /dev/videoN).
        on_error: called for a frame that cannot be read, after which the source goes on; None raises instead.
        topic: the image topic of a bag; None takes the one that has colour images, if there is one.
        prefixed: name a folder's images with the folder in front.
        max_pixels: larger images are refused before they are decoded.
        own_camera: the caller has a camera for every frame: a bag's camera_info is not looked at.

    Raises:
        SourceError: there is nothing to read; the text names the file and the way out.
        MissingDependency: a bag, and no rosbags installed.
    """
    path = Path(source)
    try:
        there = path.exists()
    except ValueError as error:  # a zero in the name
        raise SourceError(f"{source!r}: no file has that name") from error
    if source.startswith("/dev/video") or (source.isdecimal() and not there):
        return CameraDevice(source, on_error)
    if not there:
        raise SourceError(f"{source}: no such file, folder or camera")
    if is_bag(path):
        from prehend.io.bags.bag import Bag

        return Bag(source, on_error, topic, max_pixels, own_camera)
    if path.is_dir():
        return Folder(source, on_error, prefixed, max_pixels)
    if not path.is_file():
        raise SourceError(f"{source}: no regular file: give a file, a folder or a camera")
    return _open_file(source, path, on_error, max_pixels)


def _open_file(source: str, path: Path, on_error: ErrorHandler | None, max_pixels: int) -> Source:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return ImageFile(source, on_error, max_pixels)
    if path.stat().st_size == 0:
        raise SourceError(f"{source}: the file is empty")
    if suffix in VIDEO_SUFFIXES:
        return Video(source, on_error, max_pixels)
    if _looks_like_image(path):
        return ImageFile(source, on_error, max_pixels)
    if suffix in PACKED_SUFFIXES:
        raise SourceError(f"{source}: a packed file: unpack it first (a rosbag's folder can be given as it is)")
    if foreign := _foreign(path):
        raise SourceError(f"{source}: it is {foreign}, which is not read here; convert it")
    raise SourceError(
        f"{source}: unknown kind of file '{path.suffix}'; known are images ({', '.join(IMAGE_SUFFIXES)}), "
        f"videos ({', '.join(VIDEO_SUFFIXES)}) and bags ({', '.join(BAG_SUFFIXES)})"
    )


def is_bag(path: Path) -> bool:
    """Whether a path is a rosbag: a file of one of the storages, or a folder with metadata.yaml.

    A folder whose metadata.yaml was never written (the recorder was killed) is one if it holds the files of one bag.
    """
    if not path.is_dir():
        return path.suffix.lower() in BAG_SUFFIXES
    if (path / "metadata.yaml").is_file():
        return True
    files = [child for child in _children(path) if child.is_file() and not child.name.startswith(".")]
    stored = [child for child in files if child.suffix in (".db3", ".mcap")]
    recordings = {re.sub(r"_[0-9]+$", "", child.stem) for child in stored}
    return len(recordings) == 1 and not any(child.suffix.lower() in IMAGE_SUFFIXES for child in files)


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part)) if len(part) < 1000 and part.isdecimal() else (1, part.lower()) for part in parts]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: {(error.strerror or 'cannot be read').lower()}") from error


def _files_below(root: Path) -> tuple[list[str], Counter[str]]:
    """Relative names of the images below a folder, and how many other files there are of each kind."""
    names, others = [], Counter[str]()
    _children(root)
    for path in _walk(root):
        name = path.relative_to(root)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            names.append(name.as_posix())
        else:
            others[path.suffix.lower() or "without a suffix"] += 1
    return names, others


_NOT_PEOPLES = frozenset(("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found"))
"""Folders that systems and storage servers make among the files of people: thumbnails, and what was thrown away."""


def _walk(root: Path) -> Iterator[Path]:
    """Files below a folder, also behind links to folders, each folder once; hidden ones left out."""
    seen = set[str]()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_PEOPLES)
        yield from (Path(folder) / name for name in files if not name.startswith("."))


def _looks_like_image(path: Path) -> bool:
    """Whether a file starts as an image does, whatever its name."""
    try:
        with path.open("rb") as file:
            return read_header(file.read(_HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False


def _foreign(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return foreign_kind(file.read(_HEAD_BYTES))
    except OSError:
        return None


def _counted(others: Counter[str]) -> str:
    total = sum(others.values())
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
    return f"{total} {'file' if total == 1 else 'files'} ({kinds}{', ...' if len(others) > 8 else ''})"


def _why_no_images(root: Path, others: Counter[str]) -> str:
    films = [path.name for path in _children(root) if path.suffix.lower() in VIDEO_SUFFIXES + BAG_SUFFIXES]
    if films:
        return f"the folder has no images; give its videos or bags by name, such as {root / films[0]}"
    known = ", ".join(IMAGE_SUFFIXES)
    return f"the folder has no images ({known})" + (f", but {_counted(others)}" if others else "")
