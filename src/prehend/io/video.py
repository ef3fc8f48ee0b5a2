"""Writing overlay videos."""

import os
from pathlib import Path

import cv2
import numpy as np

from prehend.errors import OutputError
from prehend.files import final_target, has_room, is_special, reason, sync_folder
from prehend.io.images import Image
from prehend.io.plain_names import PlainName, is_plain
from prehend.io.quiet import silent_opencv

_CODECS = ("avc1", "mp4v")
"""H.264 plays everywhere, but few OpenCV builds may encode it; MPEG-4 part 2 is in all of them."""
_LONGEST_PAUSE_S = 60.0
"""A pause is shown as long as it was up to this."""
_LOOK_EVERY = 30
_MAX_FPS = 240.0


class VideoWriter:
    """An .mp4 file of RGB images of one size; it appears whole, at `close`.

    Given the images' times, the film runs as they do: an image is repeated until the next one is due, and left out
    where more come than the rate can show.

    Attributes:
        path: of the file.
        codec: the one that was found, "" before the first image.
    """

    def __init__(self, path: Path, fps: float):
        self.path, self.codec = path, ""
        self._target = final_target(path)
        plain = is_plain(path.stem)
        self._folder = PlainName(self._target.parent)
        self._part = Path(self._folder.name) / f".{path.stem if plain else os.getpid()}.part.mp4"
        self._fps = min(fps, _MAX_FPS)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0
        self._start: float | None = None
        self._last: Image | None = None

    def write(self, image_rgb: Image, stamp: float | None = None) -> None:
        """Add an image; an odd last row or column is cut, and later images are fitted to the first one's size.

        Args:
            image_rgb: (H, W, 3).
            stamp: its time [s]; None follows the one before at the rate.

        Raises:
            OutputError: no codec, or the file cannot be written.
        """
        if self._writer is None:
            height, width = image_rgb.shape[:2]
            self._size = (max(width & ~1, 2), max(height & ~1, 2))
            self._writer = self._open()
        image = self._fitted(image_rgb)
        due = self._written if stamp is None else self._due(stamp)
        if self._last is not None:
            for _ in range(due - self._written):
                self._put(self._last)
        if due >= self._written - 1:  # times jitter by less than an image
            self._put(image)
        self._last = image

    def close(self) -> None:
        """Finish the file; nothing is left where no image was written.

        Raises:
            OutputError: what was written is not all there: the disk is full, or its quota.
        """
        if self._writer is None:
            self._folder.close()
            return
        self._writer.release()
        self._writer = None
        try:
            if self._is_whole():
                self._part.replace(self._target)
                sync_folder(self._target.parent)
                return
            self._part.unlink(missing_ok=True)
        except OSError as error:
            self._part.unlink(missing_ok=True)
            raise OutputError(f"{self.path} cannot be written: {reason(error)}") from error
        finally:
            self._folder.close()
        raise OutputError(f"{self.path} cannot be written whole: is the disk full?")

    def _fitted(self, image_rgb: Image) -> Image:
        image = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        width, height = self._size
        fits = image.shape[0] >= height and image.shape[1] >= width and abs(image.shape[0] - height) <= 1
        image = image[:height, :width] if fits else cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(image, np.uint8)

    def _due(self, stamp: float) -> int:
        """The place of an image in the film; a long pause is shortened, and a jump back begins anew."""
        if self._start is None:
            self._start = stamp
        due = round((stamp - self._start) * self._fps)
        if not self._written - 5 * self._fps - 2 <= due <= self._written + _LONGEST_PAUSE_S * self._fps:
            self._start = stamp - self._written / self._fps
            due = self._written
        return due

    def _put(self, image: Image) -> None:
        if self._written % _LOOK_EVERY == 0 and not has_room(self._part.parent):
            raise OutputError(f"{self.path} cannot be written: the disk is full")
        assert self._writer is not None
        self._writer.write(image)
        self._written += 1

    def _is_whole(self) -> bool:
        """Whether the file opens and has as many images as were written: the encoder does not tell."""
        with silent_opencv():
            capture = cv2.VideoCapture(str(self._part))
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
            capture.release()
        return count >= self._written

    def _open(self) -> cv2.VideoWriter:
        if self._target.is_dir() or is_special(self.path):
            raise OutputError(f"{self.path} cannot be written: it is no file")
        with silent_opencv():  # a codec that is missing is no news
            for codec in _CODECS:
                writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*codec), self._fps, self._size)
                if writer.isOpened():
                    self.codec = codec
                    return writer
        raise OutputError(f"{self.path} cannot be written: the folder is not writable, or OpenCV has no video encoder")
