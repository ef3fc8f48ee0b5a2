"""Encodings of sensor_msgs/Image whose grey and colours lie in two planes, one behind the other (V4L2's NV formats)."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError


@dataclass(frozen=True)
class Planes:
    """How the colours lie behind the grey.

    Attributes:
        shared: columns, and rows, of pixels that share a pair of colours.
        code: OpenCV's conversion to RGB; where every pixel has a pair of its own that of UYVY, since it has none.
    """

    shared: int
    code: int

    def row(self, step: int) -> int:
        """Bytes from one row of colours to the next, where it is `step` for grey."""
        return 2 * step // self.shared

    def needed(self, width: int, height: int, step: int) -> int:
        """Bytes of an image; the last row may lack its padding."""
        return step * height + self.row(step) * (height // self.shared - 1) + self.row(width)


PLANES = {
    "nv12": Planes(2, cv2.COLOR_YUV2RGB_NV12),
    "nv21": Planes(2, cv2.COLOR_YUV2RGB_NV21),
    "nv24": Planes(1, cv2.COLOR_YUV2RGB_UYVY),
}
"""By the names of sensor_msgs/image_encodings.hpp (`nv12` since ros2/common_interfaces#264, drivers use it longer)."""


def rgb_of_planes(message: Any, kind: Planes, name: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a sensor_msgs/Image; `step` is that of the grey.

    Drivers write several values there (a row of the whole message, or nothing): planes without padding are told by the
    number of their bytes.

    Args:
        message: whose size was judged already.
        kind: of `PLANES`.
        name: what errors call it.

    Raises:
        SourceError: the size cannot be of that encoding, or the data are too short.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    if width % kind.shared or height % kind.shared:
        raise SourceError(
            f"{name}: {width} x {height} cannot be {message.encoding}: {kind.shared} x {kind.shared} pixels share a "
            "colour"
        )
    data = np.frombuffer(message.data, np.uint8)
    if (step < width or data.size < kind.needed(width, height, step)) and data.size == kind.needed(
        width, height, width
    ):
        step = width
    if step < width or data.size < kind.needed(width, height, step):
        raise SourceError(
            f"{name}: {data.size} bytes are too few for {width} x {height} {message.encoding}, {step} a row of grey"
        )
    grey = _rows(data, height, width, step)
    colours = _rows(data[step * height :], height // kind.shared, kind.row(width), kind.row(step))
    if kind.shared > 1:
        return np.asarray(cv2.cvtColor(np.concatenate([grey, colours]), kind.code), np.uint8)
    pairs = colours.reshape(height, width, 2)
    twice = np.stack([pairs[..., 0], grey, pairs[..., 1], grey], -1)  # every pixel as two neighbours of its own colours
    return np.ascontiguousarray(cv2.cvtColor(twice.reshape(height, 2 * width, 2), kind.code)[:, ::2], np.uint8)


def _rows(data: NDArray[np.uint8], count: int, width: int, step: int) -> NDArray[np.uint8]:
    """(count, width) of rows that begin `step` bytes from each other."""
    return np.lib.stride_tricks.as_strided(data, (count, width), (step, 1), writeable=False)
