"""Films through OpenCV, where PyAV is not installed: images at a fixed rate, an index at the end."""

from pathlib import Path

import cv2
import numpy as np

from prehend.errors import OutputError
from prehend.io.pixels.images import Image
from prehend.io.quiet import silent_opencv

_CODECS = ("avc1", "mp4v")
"""H.264 plays everywhere, but few OpenCV builds may encode it; MPEG-4 part 2 is in all of them, and in no browser."""
_MAX_FPS = 240.0


class CvFilm:
    """An .mp4 file of RGB images of one size.

    An image is repeated until the next one is due, and left out where more come than the rate can show.

    Attributes:
        count: images in the file.
        codec: the one that was found, as its four characters.

    Args:
        path: of the file; a plain name.
        fps: images a second.
        size: width and height, even [px].
        shown: what errors call the file.

    Raises:
        OutputError: no encoder, or the file cannot be opened.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], shown: Path) -> None:
        self._fps = min(fps, _MAX_FPS)
        self.count = 0
        self._last: Image | None = None
        with silent_opencv():  # a codec that is missing is no news
            for self.codec in _CODECS:
                self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*self.codec), self._fps, size)
                if self._writer.isOpened():
                    return
        raise OutputError(f"{shown} cannot be written: the folder is not writable, or OpenCV has no video encoder")

    def put(self, image_rgb: Image, time_s: float) -> None:
        """Add an image at its time in the film [s]."""
        image = np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), np.uint8)
        due = round(time_s * self._fps)
        if self._last is not None:
            for _ in range(due - self.count):
                self._write(self._last)
        if due >= self.count - 1:  # times jitter by less than an image
            self._write(image)
        self._last = image

    def close(self) -> None:
        """Finish the file; the encoder does not tell whether it could."""
        self._writer.release()

    def _write(self, image: Image) -> None:
        self._writer.write(image)
        self.count += 1
