"""A writer of Matroska files (RFC 9559) that can lie: any times, sizes, counts and shapes of pixels."""

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

UNKNOWN = bytes.fromhex("01FFFFFFFFFFFFFF")


def element(name: str, data: bytes, size: bytes | None = None) -> bytes:
    return bytes.fromhex(name) + (size or bytes([1]) + len(data).to_bytes(7, "big")) + data


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def write_mkv(
    path: Path,
    pictures: Sequence[np.ndarray],
    times_ms: Sequence[int],
    *,
    duration_ms: float | None = None,
    display: tuple[int, int] | None = None,
    live: bool = False,
) -> Path:
    """Motion JPEG of BGR images; `live` leaves the sizes open, as browsers do."""
    height, width = pictures[0].shape[:2]
    head = number("4286", 1) + number("42F7", 1) + number("42F2", 4) + number("42F3", 8)
    head = element("1A45DFA3", head + element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    duration = b"" if duration_ms is None else element("4489", struct.pack(">d", duration_ms))
    info = element("1549A966", number("2AD7B1", 1_000_000) + duration + element("4D80", b"x") + element("5741", b"x"))
    shape = number("B0", width) + number("BA", height)
    if display:
        shape += number("54B0", display[0]) + number("54BA", display[1])
    track = number("D7", 1) + number("73C5", 1) + number("83", 1) + element("86", b"V_MJPEG") + element("E0", shape)
    body = info + element("1654AE6B", element("AE", track))
    for picture, at in zip(pictures, times_ms, strict=True):
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        block = element("A3", b"\x81" + struct.pack(">hB", 0, 0x80) + jpeg)
        cluster = number("E7", at) + block
        body += element("1F43B675", cluster, UNKNOWN if live else None)
    path.write_bytes(head + element("18538067", body, UNKNOWN if live else None))
    return path
