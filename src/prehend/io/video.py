"""Writing overlay videos."""

from pathlib import Path

import cv2

from prehend.errors import OutputError
from prehend.io.images import Image

_CODECS = ("avc1", "mp4v")
"""H.264 plays everywhere, but few OpenCV builds may encode it; MPEG-4 part 2 is in all of them."""


class VideoWriter:
    """An .mp4 file of RGB images of one size; it appears whole, at `close`.

    Attributes:
        path: of the file.
        codec: the one that was found, "" before the first image.
    """

    def __init__(self, path: Path, fps: float):
        self.path, self.codec = path, ""
        self._part = path.with_name(f".{path.stem}.part.mp4")
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image_rgb: Image) -> None:
        """Add an image; an odd last row or column is cut, and later images are fitted to the first one's size.

        Raises:
            OutputError: no codec, or the file cannot be written.
        """
        if self._writer is None:
            height, width = image_rgb.shape[:2]
            self._size = (max(width & ~1, 2), max(height & ~1, 2))
            self._writer = self._open()
        image = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        width, height = self._size
        fits = image.shape[0] >= height and image.shape[1] >= width and abs(image.shape[0] - height) <= 1
        image = image[:height, :width] if fits else cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(image)

    def close(self) -> None:
        """Finish the file; nothing is left where no image was written."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._part.replace(self.path)

    def _open(self) -> cv2.VideoWriter:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a codec that is missing is no news
        try:
            for codec in _CODECS:
                writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*codec), self._fps, self._size)
                if writer.isOpened():
                    self.codec = codec
                    return writer
        finally:
            cv2.utils.logging.setLogLevel(level)
        raise OutputError(f"{self.path} cannot be written: the folder is not writable, or OpenCV has no video encoder")
