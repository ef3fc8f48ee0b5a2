"""Image files and messages: every kind of pixel becomes (H, W, 3) uint8 RGB."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError

Image = NDArray[np.uint8]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")

_COLOUR = {
    "rgb8": None,
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "mono16": cv2.COLOR_GRAY2RGB,
    # OpenCV names a Bayer pattern after its second row and column, ROS after the first pixel
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
}
_CHANNELS = {
    "rgb8": 3,
    "bgr8": 3,
    "8UC3": 3,
    "rgba8": 4,
    "bgra8": 4,
    "yuv422": 2,
    "uyvy": 2,
    "yuv422_yuy2": 2,
    "yuyv": 2,
}


def read_image(path: Path) -> Image:
    """Read an image file.

    The EXIF orientation is applied (intrinsics belong to the upright image), 16 bits are cut to the upper 8,
    grey becomes RGB, alpha is dropped.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: the file is missing, empty, cut off or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decode the bytes of an image file (see `read_image`); `name` is what errors call it."""
    if not data:
        raise SourceError(f"{name}: the file is empty")
    if _is_cut_off(data):
        raise SourceError(f"{name}: the image is cut off, its end is missing; copy it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # such as more pixels than OpenCV allows
        raise SourceError(f"{name}: OpenCV refuses the image ({error.err})") from error
    if image is None:
        raise SourceError(f"{name}: not an image OpenCV can read, or corrupt")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG ends early: the decoders fill the rest with grey and only warn."""
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", max(data.rfind(b"\xff\xda"), 0)) < 0
    return data.startswith(b"\x89PNG\r\n") and b"IEND" not in data


def image_from_message(message: Any, name: str) -> Image:
    """The pixels of a sensor_msgs/Image as any deserialiser gives it.

    Args:
        message: has height, width, encoding, step, is_bigendian and data.
        name: what errors call it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: the encoding carries no colour or grey image, or the data are too short.
    """
    encoding, height, width = message.encoding, int(message.height), int(message.width)
    if encoding not in _COLOUR:
        raise SourceError(f"{name}: encoding '{encoding}' is no colour or grey image; known: {', '.join(_COLOUR)}")
    wide = encoding == "mono16"
    channels = _CHANNELS.get(encoding, 1)
    row, step = width * channels * (2 if wide else 1), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if 0 in (height, width) or step < row or data.size < step * (height - 1) + row:
        raise SourceError(f"{name}: {data.size} bytes are too few for {width} x {height} {encoding}, {step} a row")
    if data.size < step * height:  # the last row may come without its padding
        data = np.pad(data, (0, step * height - data.size))
    pixels = data[: step * height].reshape(height, step)[:, :row]
    if wide:
        # the upper byte of each pixel
        pixels = pixels[:, 0 if message.is_bigendian else 1 :: 2]
    pixels = np.ascontiguousarray(pixels if channels == 1 else pixels.reshape(height, width, channels))
    code = _COLOUR[encoding]
    return np.array(pixels) if code is None else np.asarray(cv2.cvtColor(pixels, code), np.uint8)
