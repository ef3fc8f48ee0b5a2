"""Pixels of a sensor_msgs/CompressedImage, by what its `format` says and its header promises.

`format` follows compressed_image_transport: "ENCODING; CODEC compressed CHANNELS", or the codec alone.
"""

import re
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from prehend.errors import SourceError
from prehend.io.images import Image, decode_image, image_from_message
from prehend.ros.bounds import check_encoded_size

_VIDEO = ("h264", "h265", "hevc", "av1", "vp8", "vp9", "theora", "mpeg")
_DEPTH = ("16UC1", "16SC1", "32FC1")


def image_from_compressed(message: Any, name: str, limit_px: int) -> Image:
    """The pixels of a sensor_msgs/CompressedImage.

    A JPEG or PNG whose channels are said to be "compressed rgb8" holds red where others hold blue; one of a Bayer
    image without channels is the mosaic itself. Both as image_transport reads them.

    Args:
        message: has format and data.
        name: what errors call it.
        limit_px: most pixels that are decoded.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: no colour or grey image, more pixels than the limit, or corrupt.
    """
    data, form = bytes(message.data), str(message.format)
    encoding, _, rest = (part.strip() for part in form.partition(";"))
    codec = (rest or encoding).lower()
    if "compresseddepth" in form.lower() or encoding in _DEPTH:
        raise SourceError(f"{name}: format '{form}' is depth, no colour or grey image: choose the colour topic")
    if any(word in codec for word in _VIDEO):
        raise SourceError(f"{name}: format '{form}' is a video stream: republish it as raw or JPEG images")
    try:
        check_encoded_size(data, name, limit_px)
    except SourceError as error:
        raise SourceError(f"{error}; its format is '{form}'") from error
    channels = re.search(r"compressed\s+(\w+)", rest)
    if encoding.startswith("bayer_") and (channels is None or channels[1].startswith("bayer_")):
        return _demosaic(data, encoding, name)
    image = decode_image(data, name)
    if channels is not None and channels[1].startswith("rgb"):
        return np.ascontiguousarray(image[..., ::-1])
    return image


def _demosaic(data: bytes, encoding: str, name: str) -> Image:
    mosaic = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if mosaic is None:
        raise SourceError(f"{name}: not an image OpenCV can read, or corrupt")
    height, width = mosaic.shape
    raw = SimpleNamespace(
        height=height, width=width, encoding=encoding, step=width, is_bigendian=0, data=mosaic.ravel()
    )
    return image_from_message(raw, name)
