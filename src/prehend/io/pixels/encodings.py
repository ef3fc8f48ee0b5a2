"""Encodings of sensor_msgs/Image (sensor_msgs/image_encodings.hpp) that carry colour or grey."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.io.pixels.planes import PLANES


@dataclass(frozen=True)
class Encoding:
    """How the pixels of a message lie.

    Attributes:
        channels: numbers a pixel (two neighbours of YUV 4:2:2 share their colours: two each).
        code: OpenCV's conversion to RGB, None where it is RGB.
        bytes: a number.
    """

    channels: int
    code: int | None
    bytes: int = 1


# OpenCV names a Bayer pattern after its second row and column, ROS after the first pixel
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
MOSAICS = {f"bayer_{name}{8 * size}": Encoding(1, code, size) for name, code in _BAYER.items() for size in (1, 2)}

ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding(3, None),
    "bgr8": Encoding(3, cv2.COLOR_BGR2RGB),
    "rgba8": Encoding(4, cv2.COLOR_RGBA2RGB),
    "bgra8": Encoding(4, cv2.COLOR_BGRA2RGB),
    "rgb16": Encoding(3, None, 2),
    "bgr16": Encoding(3, cv2.COLOR_BGR2RGB, 2),
    "rgba16": Encoding(4, cv2.COLOR_RGBA2RGB, 2),
    "bgra16": Encoding(4, cv2.COLOR_BGRA2RGB, 2),
    "mono8": Encoding(1, cv2.COLOR_GRAY2RGB),
    "mono16": Encoding(1, cv2.COLOR_GRAY2RGB, 2),
    "8UC1": Encoding(1, cv2.COLOR_GRAY2RGB),
    "8UC3": Encoding(3, cv2.COLOR_BGR2RGB),
    "8UC4": Encoding(4, cv2.COLOR_BGRA2RGB),
    **MOSAICS,
    "yuv422": Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": Encoding(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": Encoding(2, cv2.COLOR_YUV2RGB_YUY2),
}

COLOURED = frozenset(name for name, kind in ENCODINGS.items() if kind.channels > 1 or name in MOSAICS) | PLANES.keys()
"""Encodings that have colours; the others are grey."""


_BY_LOWER = {**{name.lower(): name for name in (*ENCODINGS, *PLANES)}, "yuv422_uyvy": "uyvy"}
"""Drivers of machine vision cameras write the names of GenICam's pixel formats, such as `Mono8`."""
_DEPTH = ("16uc1", "16sc1", "32fc1", "64fc1")
_OF_DRIVERS = ("rgb565", "bgr565", "rgb555", "yuv420", "i420", "yv12", "yuv444", "mjpg", "mjpeg", "jpeg", "h264")
"""Names that drivers write although ROS has none for what they carry."""


def encoding_name(name: str) -> str | None:
    """The key of an encoding in `ENCODINGS` or `PLANES`, however its letters are; None where it carries no colours or
    grey that are read."""
    return _BY_LOWER.get(name.strip().lower())


def why_not(name: str) -> str:
    """What an encoding is that `encoding_name` does not know."""
    if name.strip().lower() in _DEPTH:
        return f"encoding '{name}' is that of depth, no colour or grey image: infrared sent like that wants mono16"
    if name.strip().lower() in _OF_DRIVERS:
        return (
            f"encoding '{name}' is none of ROS (sensor_msgs/image_encodings.hpp): set the driver to rgb8, bgr8 or yuyv"
        )
    return f"encoding '{name[:40]}' is no colour or grey image; known: {', '.join((*ENCODINGS, *PLANES))}"


def to_rgb(pixels: NDArray[Any], encoding: Encoding) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of contiguous uint8 pixels; raises `cv2.error` for a size that the encoding cannot have."""
    if encoding.code is None:
        return np.array(pixels)
    return np.asarray(cv2.cvtColor(pixels, encoding.code), np.uint8)
