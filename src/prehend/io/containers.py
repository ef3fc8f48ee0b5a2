"""What a video file's outermost structure says: whether it was cut off, and whether its count of frames is one.

A container's rate and count are often guesses of its writer (Matroska and WebM store neither). That a file ends early
is told by its structure alone: a box (MP4, ISO 14496-12), a chunk (AVI) or a segment (Matroska, RFC 9559) that is
longer than the file.
"""

import struct
from pathlib import Path
from typing import IO

_COUNTED = (".avi", ".m4v", ".mov", ".mp4")
_SEGMENT = b"\x18\x53\x80\x67"


def counts_frames(path: Path) -> bool:
    """Whether the container of this name counts its frames and does not estimate their number."""
    return path.suffix.lower() in _COUNTED


def is_cut_off(path: Path) -> bool:
    """Whether a video's structure reaches beyond the end of its file; False where nothing can be told."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            size = file.seek(0, 2)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _boxes_end(file, size) != size
            if head[:4] == b"RIFF":
                return struct.unpack_from("<I", head, 4)[0] + 8 > size
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _segment_end(file, size) > size
    except (OSError, struct.error, ValueError):
        return False
    return False


def _boxes_end(file: IO[bytes], size: int) -> int:
    """Where the last whole box ends; padding of less than a box's head counts to the one before."""
    place = 0
    while size - place >= 8:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length == 0 or (name == b"\0\0\0\0" and length == 0):  # to the end of the file, or padding
            return size
        if length < 8 or place + length > size:
            return place if _is_box(name) else size
        place += length
    return size


def _is_box(name: bytes) -> bool:
    """Whether these four bytes can name a box; other bytes behind the last box are somebody's notes."""
    return name in (b"mdat", b"moov", b"moof", b"free", b"skip", b"wide", b"uuid", b"ftyp", b"sidx", b"mfra", b"udta")


def _segment_end(file: IO[bytes], size: int) -> int:
    """Where the first segment says that it ends; 0 for one of unknown size."""
    file.seek(0)
    start = file.read(4096)
    at = start.find(_SEGMENT)
    if at < 0 or at + 5 > len(start):
        return 0
    length = 9 - start[at + 4].bit_length()
    if length > 8:
        return 0
    field = start[at + 4 : at + 4 + length]
    value = int.from_bytes(field, "big") & ((1 << 7 * length) - 1)
    return 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value
