"""Images without stamps that do not follow one another: photographs in a loop are no video."""

import cv2
import numpy as np

from prehend.pipeline.frames.targets import Image
from prehend.types import FloatArray

SIZE_PX = (32, 24)
"""What is compared: width and height of a thumbnail."""

FOLLOWS = 0.5
"""Least correlation of thumbnails of two images that follow each other. At 30 Hz a camera on a moving head stays above
0.8, others above 0.95; of photographs drawn at random one pair in twelve reaches it, most of them of one room."""

FLAT = 2.0
"""Deviation of brightness [of 255] below which a thumbnail says nothing, as in a dark room."""


class Cuts:
    """Tells where an image has nothing to do with the one before."""

    def __init__(self) -> None:
        self._before: FloatArray | None = None

    def step(self, image: Image) -> bool:
        """Whether this image follows none; remembers it.

        Args:
            image: (H, W, 3) uint8 RGB, any size.
        """
        thumbnail = _thumbnail(image)
        before, self._before = self._before, thumbnail
        if before is None or thumbnail is None:
            return False
        return float((before * thumbnail).sum()) < FOLLOWS


def _thumbnail(image: Image) -> FloatArray | None:
    """Grey values of mean 0 and norm 1; None where there is nothing but noise."""
    height, width = image.shape[:2]
    near = image[:: max(1, height // (4 * SIZE_PX[1])), :: max(1, width // (4 * SIZE_PX[0]))]  # 0.1 ms in place of 1
    small = cv2.resize(np.ascontiguousarray(near), SIZE_PX, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
    if grey.std() < FLAT:
        return None
    grey -= grey.mean()
    return grey / np.linalg.norm(grey)
