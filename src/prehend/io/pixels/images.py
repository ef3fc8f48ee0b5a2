"""Image files and messages: every kind of pixel becomes (H, W, 3) uint8 RGB.

Headers are read and bounded before anything is decoded, and what OpenCV raises becomes an error that names the image.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.documents import disguise
from prehend.errors import InvalidInput, SourceError
from prehend.io.pixels.deep_grey import DeepGrey
from prehend.io.pixels.encodings import ENCODINGS, MOSAICS, Encoding, encoding_name, to_rgb, why_not
from prehend.io.pixels.headers import (
    Header,
    avif_turn,
    foreign_kind,
    netpbm_white,
    read_header,
    tiff_as_stored,
    tiff_white_is_zero,
)
from prehend.io.pixels.planes import PLANES, rgb_of_planes
from prehend.io.pixels.several_pictures import holds_several
from prehend.io.quiet import silent_stderr

Image = NDArray[np.uint8]

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 64 << 20
"""Largest image that is read where nobody says otherwise: 67 megapixels, 200 MB as RGB."""

_FILE_BYTES_PER_PIXEL = 8
_JPEG = b"\xff\xd8"
_FILLER = bytes(np.random.default_rng(0).integers(1, 200, 512, dtype=np.uint8))


_QUIET = threading.Lock()


def _ignore(line: str) -> None:
    """Notes that nobody wants."""


@dataclass
class ImageReader:
    """Reads the images of one source, which look alike.

    Attributes:
        max_pixels: larger images are refused before they are decoded.
        note: called with what a person should know of an image that was read all the same.
        grey: how deep pixels are scaled, over the whole source.
        told_of_more: whether it was noted that a file holds more images than are read.
    """

    max_pixels: int = MAX_PIXELS
    note: Callable[[str], None] = _ignore
    grey: DeepGrey = field(default_factory=DeepGrey)
    told_of_more: bool = False

    def file(self, path: Path) -> Image:
        """See `read_image`."""
        try:
            if path.exists() and not path.is_file():
                raise SourceError(f"{path}: no regular file")
            if path.stat().st_size > _FILE_BYTES_PER_PIXEL * self.max_pixels:
                raise SourceError(f"{path}: the file is too large for an image of {self._limit()}")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            text = (
                (error.strerror or "cannot be read").lower() if isinstance(error, OSError) else "no file has that name"
            )
            raise SourceError(f"{path}: {text}") from error
        image = self.data(data, str(path))
        self._tell_of_more(data, path)
        return image

    def _tell_of_more(self, data: bytes, path: Path) -> None:
        """Note the first file of the source that holds more images than are read."""
        header = None if self.told_of_more or data.startswith(_JPEG) else read_header(data)
        if header is not None and holds_several(header.kind, data):
            self.told_of_more = True
            self.note(f"{path}: an animation, or of several pages: only the first image of such a file is read")

    def data(self, data: bytes, name: str) -> Image:
        """See `decode_image`."""
        return self._eight_bits(self._decoded(data, name, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH), name)

    def message(self, message: Any, name: str) -> Image:
        """See `image_from_message`."""
        known = encoding_name(str(message.encoding))
        if known is None:
            raise SourceError(f"{name}: {why_not(str(message.encoding))}")
        if known in PLANES:
            self.check_size(int(message.width), int(message.height), name)
            return rgb_of_planes(message, PLANES[known], name)
        encoding = ENCODINGS[known]
        pixels = self._raw(message, encoding, name)
        if pixels.dtype != np.uint8:
            pixels = self._scaled(pixels)
        try:
            return to_rgb(np.ascontiguousarray(pixels), encoding)
        except cv2.error as error:  # such as colours shared by two pixels in a row of odd width
            height, width = pixels.shape[:2]
            raise SourceError(f"{name}: {width} x {height} cannot be {message.encoding} ({error.err})") from error

    def compressed(self, message: Any, name: str) -> Image:
        """See `image_from_compressed`."""
        source, _, compressed = str(message.format).lower().partition(";")
        words = re.split(r"[\s;,]+", compressed.strip() or source.strip())
        stream = next((word for word in ("h264", "h265", "hevc", "av1", "theora", "vp8", "vp9") if word in words), None)
        if stream or "compresseddepth" in words or source.strip() in ("16uc1", "32fc1"):
            raise SourceError(f"{name}: format '{message.format}' is {stream or 'depth'}, no image by itself")
        data = bytes(message.data)
        if source.strip() in MOSAICS and words[-1] in ("png", "jpeg", "jpg", "compressed", source.strip()):
            mosaic = self._decoded(data, name, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_UNCHANGED)
            if mosaic.ndim == 2:
                return to_rgb(self._scaled(mosaic), MOSAICS[source.strip()])
        image = self.data(data, name)
        # image_transport names the order in which it gave the pixels to the encoder, which takes them for bgr
        return np.ascontiguousarray(image[..., ::-1]) if words[-1] in ("rgb8", "rgba8", "rgb16") else image

    def deep(self, data: bytes, name: str) -> NDArray[np.uint16]:
        """(H, W) of a file whose one channel has 16 bits, as they are.

        Raises:
            SourceError: it is no such image, or too large.
        """
        image = self._decoded(data, name, cv2.IMREAD_UNCHANGED)
        if image.ndim != 2 or image.dtype != np.uint16:
            raise SourceError(f"{name}: expected one channel of 16 bits, it is {image.dtype} {image.shape}")
        return image

    def check_size(self, width: int, height: int, name: str) -> None:
        """Raise `SourceError` for an image of no or too many pixels."""
        if width <= 0 or height <= 0:
            raise SourceError(f"{name}: an image of {width} x {height} pixels")
        if width * height > self.max_pixels:
            raise SourceError(f"{name}: {width} x {height} pixels are more than {self._limit()}")

    def _limit(self) -> str:
        return f"{self.max_pixels / 1e6:.0f} megapixels, the limit (--max-megapixels)"

    def _decoded(self, data: bytes, name: str, flags: int) -> NDArray[Any]:
        header = self._header(data, name)
        if header.whole is None:
            data = _ended(data, name, flags)
        data = data[: header.end] if header.whole else data
        if header.kind == "tiff":
            data = tiff_as_stored(data)
        image = _decode(data, name, flags)
        if image is None and header.kind == "tiff":  # OpenCV makes no colours of floating grey
            image = _decode(data, name, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:
            raise SourceError(f"{name}: OpenCV reads no {header.kind} of that kind, or it is corrupt")
        return _mended(image, data, header.kind)

    def _header(self, data: bytes, name: str) -> Header:
        if not data:
            raise SourceError(f"{name}: the file is empty")
        try:
            header = read_header(data)
        except InvalidInput as error:
            raise SourceError(f"{name}: {error}") from error
        if header is None:
            foreign = foreign_kind(data)
            if foreign is None:
                raise SourceError(f"{name}: not an image OpenCV can read, or corrupt")
            way_out = "" if disguise(data) or ";" in foreign else ", which is not read here; convert it"
            raise SourceError(f"{name}: it is {foreign}{way_out}")
        if header.whole is False:
            raise SourceError(f"{name}: the image is cut off, its end is missing; copy it again")
        self.check_size(header.width, header.height, name)
        return header

    def _eight_bits(self, image: NDArray[Any], name: str) -> Image:
        if image.dtype != np.uint8:
            image = self._scaled(image)
        try:
            code = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
            return np.asarray(cv2.cvtColor(image, code), np.uint8)
        except cv2.error as error:
            raise SourceError(f"{name}: OpenCV refuses the image ({error.err})") from error

    def _scaled(self, pixels: NDArray[Any]) -> Image:
        if pixels.dtype == np.uint8:
            return pixels
        scaled = self.grey.scale(pixels)
        if text := self.grey.told():
            self.note(text)
        return scaled

    def _raw(self, message: Any, encoding: Encoding, name: str) -> NDArray[Any]:
        """(H, W) or (H, W, C) pixels of a message, uint8 or uint16; nothing larger than its data is allocated."""
        height, width, step = int(message.height), int(message.width), int(message.step)
        self.check_size(width, height, name)
        data = np.frombuffer(message.data, np.uint8)
        row = width * encoding.channels * encoding.bytes
        if step == 0 and data.size == row * height:  # drivers that leave it out
            step = row
        if step < row or data.size < step * (height - 1) + row:
            raise SourceError(
                f"{name}: {data.size} bytes are too few for {width} x {height} {message.encoding}, {step} a row"
            )
        if data.size >= step * height:
            pixels = data[: step * height].reshape(height, step)[:, :row]
        else:  # the last row may come without its padding
            body = data[: step * (height - 1)].reshape(height - 1, step)[:, :row]
            pixels = np.concatenate([body, data[None, step * (height - 1) : step * (height - 1) + row]])
        if encoding.bytes == 2:
            pixels = np.ascontiguousarray(pixels).view(">u2" if message.is_bigendian else "<u2").astype(np.uint16)
        return pixels if encoding.channels == 1 else pixels.reshape(height, width, encoding.channels)


def read_image(path: Path) -> Image:
    """Read an image file.

    The EXIF orientation is applied (intrinsics belong to the upright image), 16 bits are scaled by those in use
    (see `DeepGrey`), grey becomes RGB, alpha is dropped.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: the file is missing, empty, cut off, larger than `MAX_PIXELS` or no image.
    """
    return ImageReader().file(path)


def decode_image(data: bytes, name: str) -> Image:
    """Decode the bytes of an image file (see `read_image`); `name` is what errors call it."""
    return ImageReader().data(data, name)


def image_from_message(message: Any, name: str) -> Image:
    """The pixels of a sensor_msgs/Image as any deserialiser gives it.

    Args:
        message: has height, width, encoding, step, is_bigendian and data.
        name: what errors call it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: the encoding carries no colour or grey image, the size does not suit it, or the data are too short.
    """
    return ImageReader().message(message, name)


def image_from_compressed(message: Any, name: str) -> Image:
    """The pixels of a sensor_msgs/CompressedImage as any deserialiser gives it; its `format` is honoured.

    Args:
        message: has format and data.
        name: what errors call it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        SourceError: the format is depth or a video stream, or the data are no whole image.
    """
    return ImageReader().compressed(message, name)


def _decode(data: bytes, name: str, flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # such as more pixels than OpenCV allows
        raise SourceError(f"{name}: OpenCV refuses the image ({error.err})") from error
    except MemoryError as error:
        raise SourceError(f"{name}: there is no memory for the image") from error


def _mended(image: NDArray[Any], data: bytes, kind: str) -> NDArray[Any]:
    """What OpenCV leaves undone: an AVIF upright, and white where a Netpbm or TIFF file says that it is."""
    if kind == "tiff" and image.dtype != np.uint8 and tiff_white_is_zero(data):  # with 8 bits OpenCV does it
        top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else max(image.max(), 1)
        return np.asarray(top - image, image.dtype)
    if kind == "netpbm":
        white = netpbm_white(data)
        return image if white >= 255 else cv2.convertScaleAbs(image, alpha=255 / white)
    if kind != "avif":
        return image
    turns, mirrored = avif_turn(data)
    image = np.rot90(image, turns)
    return np.ascontiguousarray(image if mirrored is None else np.flip(image, mirrored))


def _ended(data: bytes, name: str, flags: int) -> bytes:
    """A JPEG that lacks its end marker, ended; its pixels must be whole without it.

    What is put behind whole pixels changes none of them; where some are missing it is taken for them.
    """
    bare = data.rstrip(b"\0")
    bare += b"\0" * min(2, len(data) - len(bare))  # a zero may belong to the pixels
    with _QUIET, silent_stderr():  # libjpeg writes there of every such byte
        first, second = (_decode(bare + tail + b"\xff\xd9", name, flags) for tail in (b"", _FILLER))
    if first is None or second is None or not np.array_equal(first, second):
        raise SourceError(f"{name}: the image is cut off, its end is missing; copy it again")
    return bare + b"\xff\xd9"
