"""Depth messages as metres: sensor_msgs/Image, and the PNG of compressed_depth_image_transport."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError
from prehend.io.pixels.images import ImageReader
from prehend.ros.middleware.borders import Border

COMPRESSED_SUFFIX = "/compressedDepth"
"""What image_transport puts behind the name of a depth topic."""

DepthImage = NDArray[np.float32]

_ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MILLIMETRES = np.float32(1e-3)

_CONFIGURATION = struct.Struct("<iff")
"""Before the PNG: kind of compression, and the two numbers A and B of inverse depths."""


def depth_image(message: Any) -> DepthImage:
    """(H, W) float32 depth [m] of a sensor_msgs/Image, 0 or NaN where nothing was measured (REP 118).

    Args:
        message: 16UC1 in millimetres or 32FC1 in metres.

    Raises:
        SourceError: another encoding, or not as many bytes as it says.
    """
    width, height, kind = message.width, message.height, _kind(str(message.encoding))
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    step = message.step or width * dtype.itemsize
    with Border(SourceError, "depth"):
        rows = np.asarray(message.data, np.uint8)[: step * height].reshape(height, step)[:, : width * dtype.itemsize]
        values = np.ascontiguousarray(rows).view(dtype)
        if values.shape != (height, width):
            raise SourceError(f"a row has {step} bytes, too few for {width} pixels")
    return values.astype(np.float32) * (_MILLIMETRES if kind == "u2" else np.float32(1))


def compressed_depth_image(message: Any, reader: ImageReader) -> DepthImage:
    """The same of the sensor_msgs/CompressedImage that compressed_depth_image_transport makes.

    12 bytes come before a PNG of 16 bits. 16UC1 are millimetres; 32FC1 is quantised inverse depth: a value q stands for
    A / (q - B) metres, 0 for nothing.

    Args:
        message: `format` is `ENCODING; compressedDepth png`, or the encoding alone.
        reader: bounds its size.

    Raises:
        SourceError: another encoding or codec, or what follows is no such PNG.
    """
    encoding, _, codec = (part.strip() for part in str(message.format).partition(";"))
    kind = _kind(encoding)
    if codec and codec not in ("compressedDepth", "compressedDepth png"):
        raise SourceError(
            f"depth: format '{message.format}', read is compressedDepth png: set the publisher's "
            "compressedDepth.format to png, or take the raw topic"
        )
    data = bytes(message.data)
    if len(data) <= _CONFIGURATION.size:
        raise SourceError(f"depth: {len(data)} bytes, too few for compressedDepth")
    _, a, b = _CONFIGURATION.unpack_from(data)
    values = reader.deep(data[_CONFIGURATION.size :], "compressedDepth")
    if kind == "u2":
        return values.astype(np.float32) * _MILLIMETRES
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.float32(a) / (values.astype(np.float32) - np.float32(b)), np.float32(np.nan))


def _kind(encoding: str) -> str:
    kind = _ENCODINGS.get(encoding)
    if kind is None:
        raise SourceError(f"depth: encoding '{encoding}', known: 16UC1 (mm) and 32FC1 (m)")
    return kind
