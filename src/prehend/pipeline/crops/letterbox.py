"""What every detector's input and answers share: the letterboxed image, the cells of its maps, probabilities."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.types import Box, FloatArray

SAME_HAND_IOU = 0.45
"""Two boxes that overlap more than this are one hand, whatever side each of them claims."""

HELD_THRESHOLD = 0.5
"""Probability from which a hand found is said to hold something, and its object box is used."""


@dataclass(frozen=True)
class Letterbox:
    """An image shrunk or enlarged into a square without changing its proportions; black beside it.

    Attributes:
        image: (3, size, size) float32 RGB in [0, 1].
        scale: pixels of the square per pixel of the image.
        offset_px: (2,) where the image's pixel (0, 0) lies in the square.
        image_size: width, height of the image [px].
    """

    image: NDArray[np.float32]
    scale: FloatArray
    offset_px: FloatArray
    image_size: tuple[int, int]

    def to_square(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the image -> pixels of the square."""
        return np.asarray(points_px, np.float64) * self.scale + self.offset_px

    def to_image(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) pixels of the square -> pixels of the image: the inverse of `to_square`."""
        return (np.asarray(points_px, np.float64) - self.offset_px) / self.scale


def letterbox(image: NDArray[np.uint8], size: int) -> Letterbox:
    """Fit an image into a square, centred; training imports this.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: side of the square [px].
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    inner_width, inner_height = (max(1, round(side * ratio)) for side in (width, height))
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    inner = cv2.resize(image, (inner_width, inner_height), interpolation=method)
    x, y = (size - inner_width) // 2, (size - inner_height) // 2
    square = np.zeros((3, size, size), np.float32)
    square[:, y : y + inner_height, x : x + inner_width] = np.asarray(inner).transpose(2, 0, 1) / np.float32(255)
    scale = np.array([inner_width / width, inner_height / height])
    # pixel centres are whole numbers: the image's corner (-0.5, -0.5) falls on the corner of pixel (x, y)
    return Letterbox(square, scale, np.array([x, y]) + (scale - 1) / 2, (width, height))


def cell_centers(cells: int, size: int) -> FloatArray:
    """Centres of the detector's cells along one axis.

    Args:
        cells: G, cells along a side of the detector's maps.
        size: side of the detector's input [px].

    Returns:
        (G,) [px], pixel centres being whole numbers; offsets of boxes count from here.
    """
    stride = size / cells
    return (np.arange(cells) + 0.5) * stride - 0.5


def probability(logit: NDArray[np.floating] | float) -> FloatArray:
    """The logistic function, without overflow; NaN stays NaN."""
    return 0.5 * (1 + np.tanh(np.asarray(logit, np.float64) / 2))


def touches(box: Box, image_size: tuple[int, int]) -> bool:
    """Whether a box has a size and overlaps the image."""
    width, height = image_size
    return box.area > 0 and box.x1 > 0 and box.y1 > 0 and box.x0 < width - 1 and box.y0 < height - 1
