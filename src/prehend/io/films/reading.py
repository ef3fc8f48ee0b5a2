"""Video files and cameras through OpenCV."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prehend.documents import disguise_of
from prehend.errors import SourceError, one_line
from prehend.io.films.containers import FilmIndex, counts_frames, is_cut_off
from prehend.io.frames import ErrorHandler, Frame, Kind, Source
from prehend.io.pixels.images import MAX_PIXELS, Image
from prehend.io.plain_names import PlainName
from prehend.io.quiet import silent_opencv
from prehend.io.rates import FrameTimes, believed_rate, measured_rate

_FIRST_FRAMES = 30
_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_FILES_ONLY = "protocol_whitelist;file"
"""A playlist under a video's name must not open the network."""
_QUARTER_TURNS = (90, 270)
_MIRRORED: dict[str, Callable[[Image], Any]] = {
    "across": lambda image: image[:, ::-1],
    "down": lambda image: image[::-1],
    "transpose": lambda image: image.transpose(1, 0, 2),
    "transverse": lambda image: image[::-1, ::-1].transpose(1, 0, 2),
}
_LEAST_BYTES = 8
"""No frame of a counted container takes fewer, with its entry in the index."""
_OTHER_SPEED = 1.5
_ABSURD = 3.0
"""A claimed rate that is farther off than this is told; a rate that varies is no news."""


class Video(Source):
    """A video file, turned upright and with square pixels where its metadata say so.

    Stamps are the frames' own times; `fps` is the container's rate only where they bear it out.
    """

    kind: Kind = "video"

    def __init__(self, name: str, on_error: ErrorHandler | None = None, max_pixels: int = MAX_PIXELS):
        super().__init__(name, on_error)
        self._file = PlainName(Path(name))
        self._capture = _opened(self._file.name)
        if not self._capture.isOpened():
            self.close()
            raise SourceError(f"{name}: {_why_not(name)}")
        index = FilmIndex(Path(name))
        self._mirroring = index.mirroring()
        if self._mirroring:  # OpenCV takes the matrix for a turn by 0, 90 or 180 degrees
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
            self._note(
                "its metadata mirror the images, as selfies are: shown as players do; --mirrored turns them back"
            )
        width, height = (int(self._value(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > max_pixels:
            self.close()
            raise SourceError(
                f"{name}: {width} x {height} pixels are more than {max_pixels / 1e6:.0f} megapixels, "
                "the limit (--max-megapixels)"
            )
        self._square = self._square_size(width, height)
        nominal, count = self._value(cv2.CAP_PROP_FPS), self._value(cv2.CAP_PROP_FRAME_COUNT)
        first = _first_stamps(self._file.name)
        self.fps = believed_rate(nominal if nominal > 0 else None, first)
        self._times = FrameTimes(self.fps, timed=measured_rate(first) is not None)
        if nominal > 0 and self.fps and not 1 / _ABSURD <= self.fps / nominal <= _ABSURD:
            self._note(
                f"the file says {nominal:g} frames a second, its frames come at {self.fps:.3g}: their times count"
            )
        self._note_what_it_was(index)
        most = Path(name).stat().st_size / _LEAST_BYTES
        self.length = int(count) if counts_frames(Path(name)) and 0 < count <= most else None

    def __iter__(self) -> Iterator[Frame]:
        path, index = Path(self.name), 0
        while (image := self._next(index)) is not None:
            stamp = self._times.next(self._value(cv2.CAP_PROP_POS_MSEC) / 1e3)
            stored = None if self._square is None else (image.shape[1], image.shape[0])
            yield Frame(self._upright(image), self.name, index, stamp, path=path, stored_size=stored)
            index += 1
        if index == 0:
            raise SourceError(f"{self.name}: the video has no frame that can be decoded")
        if is_cut_off(path):
            of = f" of {self.length}" if self.length is not None and self.length > index else ""
            self._report(
                SourceError(f"{self.name}: the video breaks off after {index}{of} frames: the file is cut off")
            )

    def close(self) -> None:
        """Release the file."""
        self._capture.release()
        self._file.close()

    def _note_what_it_was(self, index: FilmIndex) -> None:
        """Say where the film is not what the camera saw: another speed, another projection."""
        taken = index.capture_rate()
        if taken and self.fps and not 1 / _OTHER_SPEED < taken / self.fps < _OTHER_SPEED:
            self._note(f"taken at {taken:.3g} images a second, it plays at {self.fps:.3g}: times are those of the film")
        if (tracks := index.picture_tracks() or 1) > 1:
            self._note(f"{tracks} tracks of images, of which one is read: take the others out (ffmpeg -map 0:v:1)")
        if index.is_spherical():
            self._note("a spherical video: no pinhole camera took it, distances and shapes are wrong; cut a view out")

    def _value(self, key: int) -> float:
        value = float(self._capture.get(key))
        return value if np.isfinite(value) else 0.0

    def _next(self, index: int) -> Image | None:
        try:
            ok, image = self._capture.read()
        except (cv2.error, MemoryError) as error:
            raise SourceError(f"{self.name}: frame {index} cannot be decoded ({one_line(error)})") from error
        return np.asarray(image, np.uint8) if ok else None

    def _upright(self, bgr: Image) -> Image:
        if self._square is not None:
            bgr = np.asarray(cv2.resize(bgr, self._square, interpolation=cv2.INTER_LINEAR), np.uint8)
        bgr = np.asarray(_MIRRORED[self._mirroring](bgr), np.uint8) if self._mirroring else bgr
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_BGR2RGB), np.uint8)

    def _square_size(self, width: int, height: int) -> tuple[int, int] | None:
        """The size [px] that makes oblong pixels square, by enlarging; None where they are square."""
        across, down = self._value(cv2.CAP_PROP_SAR_NUM), self._value(cv2.CAP_PROP_SAR_DEN)
        if across <= 0 or down <= 0 or across == down or not 1 / 8 <= across / down <= 8:
            return None
        said = f"{across:g}:{down:g}"
        turned = self._value(cv2.CAP_PROP_ORIENTATION_META) % 360 in _QUARTER_TURNS
        if turned and not self._mirroring:  # the frames come turned, the ratio not
            across, down = down, across
        size = (round(width * max(1.0, across / down)), round(height * max(1.0, down / across)))
        self._note(f"its pixels are not square ({said}): {width} x {height} is scaled to {size[0]} x {size[1]}")
        return size


class CameraDevice(Source):
    """A camera of this machine; it ends when the caller stops."""

    kind: Kind = "camera"

    def __init__(self, name: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        with silent_opencv():
            self._capture = cv2.VideoCapture(int(name) if name.isdigit() else name)
        if not self._capture.isOpened():
            found = ", ".join(camera_devices()) or "none"
            raise SourceError(f"camera {name} cannot be opened (devices found: {found}); is another program using it?")
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest image rather than every image
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if np.isfinite(fps) and 0 < fps < 1000 else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            try:
                ok, image = self._capture.read()
                stamp = time.time()
                rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if ok else None
            except cv2.error as error:
                raise SourceError(f"camera {self.name} gives no image ({one_line(error)})") from error
            if rgb is None:
                raise SourceError(f"camera {self.name} stopped delivering images after {index}")
            yield Frame(rgb, self.name, index, stamp)
            index += 1

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def camera_devices() -> list[str]:
    """Paths of the video devices of this machine (Linux)."""
    return sorted((str(path) for path in Path("/dev").glob("video*")), key=lambda name: (len(name), name))


def _opened(name: str) -> cv2.VideoCapture:
    os.environ.setdefault(_FFMPEG_OPTIONS, _FILES_ONLY)
    backends = cv2.videoio_registry.getStreamBackends() if hasattr(cv2, "videoio_registry") else ()
    with silent_opencv():
        try:
            return cv2.VideoCapture(name, cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY)
        except cv2.error:
            return cv2.VideoCapture()


def _first_stamps(name: str) -> list[float]:
    """Times [s] of the first frames, read by a capture of their own: not every container can be rewound."""
    capture = _opened(name)
    stamps: list[float] = []
    while len(stamps) < _FIRST_FRAMES and capture.grab():
        stamps.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3)
    capture.release()
    return stamps


def _why_not(name: str) -> str:
    if is_cut_off(Path(name)):
        return "the video is cut off before its index: it cannot be opened; copy it again"
    if FilmIndex(Path(name)).picture_tracks() == 0:
        return "it has no images, only sound or other tracks"
    if other := disguise_of(Path(name)):
        return f"no video, it is {other}"
    return f"not a video OpenCV can read, or corrupt; try `ffmpeg -i {name} -c:v libx264 new.mp4`"
