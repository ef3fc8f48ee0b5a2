"""Pixels of more than 8 bits as 8 bits: by the bits that are used, not by those that the container has.

Infrared and machine vision cameras send 10, 12 or 14 bits in 16, mostly in the low ones. The upper byte of such a pixel
is black, and nothing in the message says so (sensor_msgs/Image has `mono16` alone).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEPTHS = (8, 10, 12, 14, 16)
_BRIGHT, _DARK = 99.9, 0.1
"""Percentiles that stand for the brightest and the darkest pixel: a few broken ones decide nothing."""
_SAMPLE = 200_000
_NARROW = 8
"""An image that uses less than an eighth of its depth, far from zero (thermal cameras), is stretched by its range."""
_FEWEST_LEVELS = 16


class DeepGrey:
    """Scales deep pixels to 8 bits, over a sequence by the most bits that were seen, so that brightness stays.

    Attributes:
        bits: in use so far, 0 before the first image.
        stretched: whether the last image was stretched by its range.
    """

    def __init__(self) -> None:
        self.bits, self.stretched = 0, False

    def scale(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Any shape of pixels of 16 or more bits as uint8.

        Floating pixels up to 1 count as shares of white, others by their range, as whole numbers of 32 bits do; below
        zero there is black.
        """
        if pixels.dtype.kind == "f" or pixels.dtype.itemsize > 2:
            return self._floating(pixels)
        pixels = np.maximum(pixels, 0) if pixels.dtype.kind == "i" else pixels
        sample = pixels.ravel()[:: max(1, pixels.size // _SAMPLE)]
        low, high = (float(value) for value in np.percentile(sample, (_DARK, _BRIGHT)))
        self.bits = max(self.bits, next(bits for bits in _DEPTHS if high < 1 << bits))
        depth = 1 << self.bits
        self.stretched = low > depth / _NARROW and _FEWEST_LEVELS <= high - low < depth / _NARROW
        if self.stretched:
            return _ranged(pixels, low, high)
        return np.minimum(pixels >> (self.bits - 8), 255).astype(np.uint8)

    def told(self) -> str:
        """What was done, for a person; empty for what needs no word."""
        if self.stretched:
            return "deep pixels in a narrow band, or without a depth: stretched by their range"
        return f"16-bit pixels of which {self.bits} bits are used: scaled by that" if 0 < self.bits < 16 else ""

    def _floating(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        known = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        low, high = (float(value) for value in np.percentile(known, (_DARK, _BRIGHT)))
        self.bits, self.stretched = 0, pixels.dtype.kind != "f" or not (low >= 0 and high <= 1)
        return _ranged(known, low, high) if self.stretched else _ranged(known, 0.0, 1.0)


def _ranged(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    scaled = (pixels.astype(np.float32) - low) * (255 / max(high - low, 1e-6))
    return np.asarray(scaled.clip(0, 255), np.uint8)
