"""What an image promises before anything is decoded: sizes in headers are read and bounded first.

A header is believed by every decoder: 675 bytes of JPEG can promise, and take, gigabytes. The formats are those of
their specifications: JPEG (ITU-T T.81, annex B), PNG (ISO/IEC 15948), WebP (RFC 9649), TIFF 6.0, BMP, PNM.
"""

import re
import struct
from collections.abc import Callable
from typing import Any

from prehend.errors import SourceError

Size = tuple[int, int]
"""Width and height [px]."""

_NO_FRAME = {0xC4, 0xC8, 0xCC}
"""JPEG markers among the frame headers that are none: Huffman tables, extensions, arithmetic conditioning."""


def check_message_size(message: Any, name: str, limit_px: int) -> None:
    """Judge a sensor_msgs/Image by its numbers alone; a step of 0 (drivers leave it out) is filled in.

    Raises:
        SourceError: more pixels than the limit, or rows longer than all of the data.
    """
    height, width, data = int(message.height), int(message.width), len(message.data)
    check_size((width, height), name, limit_px)
    if not int(message.step) and height and data % height == 0:
        message.step = data // height
    if int(message.step) > data:
        raise SourceError(f"{name}: a row of {message.step} bytes (step) is longer than the data, {data} bytes")


def check_size(size: Size, name: str, limit_px: int) -> None:
    """Raise `SourceError` for more pixels than `limit_px`."""
    if size[0] * size[1] > limit_px:
        raise SourceError(
            f"{name}: {size[0]} x {size[1]} pixels are more than max_image_px, {limit_px}; raise it if they are meant"
        )


def check_encoded_size(data: bytes, name: str, limit_px: int) -> None:
    """Judge the bytes of an image file by its header.

    Raises:
        SourceError: more pixels than the limit, more data promised than there are, or a kind of file whose header
            is not known here.
    """
    readers = [read for magic, read in _READERS if re.match(magic, data, re.DOTALL)]
    if not readers:
        raise SourceError(f"{name}: neither JPEG, PNG, WebP, TIFF, BMP nor PNM ({len(data)} bytes)")
    try:
        size = readers[0](data)
    except (struct.error, ValueError, IndexError) as error:
        raise SourceError(f"{name}: its header is cut off or damaged") from error
    if size is None:
        raise SourceError(f"{name}: its header is damaged, or promises more data than there are")
    check_size(size, name, limit_px)


def _jpeg(data: bytes) -> Size | None:
    """From the first frame header (SOFn); segments before it are skipped by their lengths, as decoders do."""
    place = 2
    while True:
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            place += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        elif marker in (0xD9, 0xDA):  # the end, or pixels before a frame
            return None
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]


def _png(data: bytes) -> Size | None:
    """From IHDR; every chunk must lie in the data, since decoders allocate what its length says."""
    width, height = struct.unpack_from(">II", data, 16)
    place = 8
    while place + 8 <= len(data):
        length = struct.unpack_from(">I", data, place)[0]
        if place + 12 + length > len(data):
            return None
        if data[place + 4 : place + 8] == b"IEND":
            break
        place += 12 + length
    return width, height


def _webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    return None


def _tiff(data: bytes) -> Size | None:
    """From tags 256 and 257 of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    found: dict[int, int] = {}
    for n in range(struct.unpack_from(f"{order}H", data, start)[0]):
        tag, kind = struct.unpack_from(f"{order}HH", data, start + 2 + 12 * n)
        if tag in (256, 257):
            found[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, start + 10 + 12 * n)[0]
    return (found[256], found[257]) if len(found) == 2 else None


def _bmp(data: bytes) -> Size | None:
    width, height = struct.unpack_from("<HH" if data[14] == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _pnm(data: bytes) -> Size | None:
    text = re.sub(rb"#[^\n]*\n", b" ", data[:4096])
    fields = re.match(rb"P[1-6]\s+(\d{1,9})\s+(\d{1,9})\s", text)
    return (int(fields[1]), int(fields[2])) if fields else None


_READERS: tuple[tuple[bytes, Callable[[bytes], Size | None]], ...] = (
    (rb"\xff\xd8\xff", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"RIFF....WEBP", _webp),
    (rb"II\*\0|MM\0\*", _tiff),
    (rb"BM", _bmp),
    (rb"P[1-6]\s", _pnm),
)
