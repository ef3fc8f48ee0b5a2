"""Writing overlay videos."""

import os
from pathlib import Path

import cv2
import numpy as np

from prehend.errors import OutputError
from prehend.files import beside, final_target, has_room, is_special, open_claimed, reason, sync_folder
from prehend.io.films.opencv import CvFilm
from prehend.io.films.pyav import AvFilm, has_av
from prehend.io.films.times import FilmTime
from prehend.io.pixels.images import Image
from prehend.io.plain_names import PlainName, is_plain
from prehend.io.quiet import silent_opencv

_LOOK_EVERY = 30
_UNPLAYED = "mp4v"
"""MPEG-4 part 2: players show it, browsers do not."""


class VideoWriter:
    """An .mp4 file of RGB images of one size; it appears whole, at `close`.

    With PyAV it is H.264 (or VP9), every image has its own time, and what a kill leaves under `.NAME.part.mp4` can be
    played. Without, OpenCV writes it: at a fixed rate, mostly in a codec that browsers do not play, and
    unreadable until it is finished.

    Attributes:
        path: of the file.
        codec: the one that was found, "" before the first image.
    """

    def __init__(self, path: Path, fps: float):
        self.path, self.codec = path, ""
        self._target = final_target(path)
        plain = is_plain(path.stem)
        self._folder = PlainName(self._target.parent)
        name = path.with_name(path.stem if plain else str(os.getpid()))
        self._part = Path(self._folder.name) / beside(name, ".", ".part.mp4").name
        self._claim = -1
        self._fps, self._time = fps, FilmTime(fps)
        self._film: AvFilm | CvFilm | None = None
        self._size = (0, 0)
        self._put = 0

    @property
    def plays_in_browsers(self) -> bool:
        """Whether browsers have the codec."""
        return self.codec != _UNPLAYED

    def write(self, image_rgb: Image, stamp: float | None = None) -> None:
        """Add an image; an odd last row or column is cut, and later images are fitted to the first one's size.

        Args:
            image_rgb: (H, W, 3).
            stamp: its time [s]; None follows the one before at the rate.

        Raises:
            OutputError: no codec, or the file cannot be written.
        """
        if self._film is None:
            height, width = image_rgb.shape[:2]
            self._size = (max(width & ~1, 2), max(height & ~1, 2))
            self._film = self._open()
        time_s = self._time.due(stamp)
        if time_s is None:
            return
        if self._put % _LOOK_EVERY == 0 and not has_room(self._part.parent):
            raise OutputError(f"{self.path} cannot be written: the disk is full")
        self._film.put(self._fitted(image_rgb), time_s)
        self._put += 1

    def close(self) -> None:
        """Finish the file; nothing is left where no image was written.

        Raises:
            OutputError: what was written is not all there: the disk is full, or its quota.
        """
        if self._film is None:
            if self._claim >= 0:  # no encoder
                self._part.unlink(missing_ok=True)
            self._leave()
            return
        film, self._film = self._film, None
        try:
            film.close()
            if self._holds(film.count):
                self._part.replace(self._target)
                sync_folder(self._target.parent)
                return
            raise OutputError(f"{self.path} cannot be written whole: is the disk full?")
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {reason(error)}") from error
        finally:
            self._part.unlink(missing_ok=True)
            self._leave()

    def _claimed(self) -> int:
        """The part, which no other process has: both would write into it."""
        try:
            return open_claimed(self._part, os.O_RDWR | os.O_CREAT, self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {reason(error)}") from error

    def _leave(self) -> None:
        claimed, self._claim = self._claim, -1
        if claimed >= 0:
            os.close(claimed)
        self._folder.close()

    def _fitted(self, image: Image) -> Image:
        width, height = self._size
        fits = image.shape[0] >= height and image.shape[1] >= width and abs(image.shape[0] - height) <= 1
        cut = image[:height, :width] if fits else cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(cut, np.uint8)

    def _holds(self, expected: int) -> bool:
        """Whether the file opens and has as many images as were written: not every encoder tells."""
        with silent_opencv():
            capture = cv2.VideoCapture(str(self._part))
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
            capture.release()
        return count >= expected

    def _open(self) -> AvFilm | CvFilm:
        if self._target.is_dir() or is_special(self.path):
            raise OutputError(f"{self.path} cannot be written: it is no file")
        self._claim = self._claimed()
        film = (AvFilm if has_av() else CvFilm)(self._part, self._fps, self._size, self.path)
        self.codec = film.codec
        return film
