"""What a video file's outermost structure says: whether it was cut off, and whether its count of frames is one.

A container's rate and count are often guesses of its writer (Matroska and WebM store neither). That a file ends early
is told by its structure alone: a box (MP4, ISO 14496-12), a chunk (AVI) or a segment (Matroska, RFC 9559) that is
longer than the file.
"""

import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_COUNTED = (".avi", ".m4v", ".mov", ".mp4")
_SEGMENT = b"\x18\x53\x80\x67"
_OPEN = 0xFFFFFFFF
"""Length of a RIFF that its writer could not go back to (FFmpeg into a pipe)."""
_VIDEO_HANDLER = re.compile(rb"hdlr.{8}vide", re.DOTALL)
_LARGEST_INDEX = 64 << 20
_CAPTURE, _FLOAT32, _FASTEST_HZ = b"com.android.capture.fps", 23, 1e5
_TURNS = {(-1, 0, 0, 1): "across", (1, 0, 0, -1): "down", (0, 1, 1, 0): "transpose", (0, -1, -1, 0): "transverse"}


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
                stated = struct.unpack_from("<I", head, 4)[0]
                return stated != _OPEN and stated + 8 > size
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _segment_end(file, size) > size
    except (OSError, struct.error, ValueError):
        return False
    return False


class FilmIndex:
    """What the box `moov` of an MP4 says of the film; nothing of other files.

    Args:
        path: of the file, which is read once.
    """

    def __init__(self, path: Path):
        self._bytes = _index(path)

    def mirroring(self) -> str | None:
        """How the matrix of the image mirrors it; None where it does not, or only turns it.

        Returns:
            "across" (left and right), "down", "transpose" (x and y) or "transverse" (both, and upside down).
        """
        file = io.BytesIO(self._bytes)
        try:
            matrix = next((found for track in self._tracks() if (found := _picture_matrix(file, *track))), None)
        except (struct.error, ValueError):
            return None
        return None if matrix is None else _TURNS.get(matrix)

    def capture_rate(self) -> float | None:
        """Images a second that a phone took, where the film plays them at another rate (slow motion, time lapse).

        Android writes it as `com.android.capture.fps` beside the rate at which the film plays.
        """
        index = self._bytes
        named = index.find(_CAPTURE)
        keys, items = index.rfind(b"keys", 0, max(named, 0)), index.find(b"ilst", max(named, 0))
        if min(named, keys, items) < 0:
            return None
        try:
            place, number = keys + 12, 1
            while index[place + 8 : place + struct.unpack_from(">I", index, place)[0]] != _CAPTURE:
                place, number = place + max(struct.unpack_from(">I", index, place)[0], 8), number + 1
            place = items + 4
            while struct.unpack_from(">I", index, place + 4)[0] != number:
                place += max(struct.unpack_from(">I", index, place)[0], 8)
            if struct.unpack_from(">I", index, place + 16)[0] != _FLOAT32:
                return None
            rate = float(struct.unpack_from(">f", index, place + 24)[0])
        except struct.error:
            return None
        return rate if 0 < rate < _FASTEST_HZ else None

    def is_spherical(self) -> bool:
        """Whether it holds a whole sphere (Google's Spherical Video V1 and V2), which no pinhole sees."""
        return b"sv3d" in self._bytes or b"GSpherical:Spherical>true" in self._bytes

    def picture_tracks(self) -> int | None:
        """How many tracks have images (without those that only are a cover); None where nothing can be told."""
        if not self._bytes:
            return None
        try:
            return sum(bool(_VIDEO_HANDLER.search(self._bytes[a:b])) for a, b in self._tracks())
        except (struct.error, ValueError):
            return None

    def _tracks(self) -> list[tuple[int, int]]:
        """Beginning and end of each one's content."""
        whole = _boxes(io.BytesIO(self._bytes), 0, len(self._bytes))
        return [(start, end) for name, start, end in whole if name == b"trak"]


def _index(path: Path) -> bytes:
    """The content of the box `moov` of an MP4; empty for other files."""
    try:
        with path.open("rb") as file:
            if file.read(8)[4:] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return b""
            size = file.seek(0, 2)
            start, end = next(((a, b) for name, a, b in _boxes(file, 0, size) if name == b"moov"), (0, 0))
            file.seek(start)
            return file.read(end - start) if end - start <= _LARGEST_INDEX else b""
    except (OSError, struct.error, ValueError):
        return b""


def _picture_matrix(file: IO[bytes], start: int, end: int) -> tuple[int, int, int, int] | None:
    """Signs of a, b, c, d in the matrix of a track (x' = a x + c y, y' = b x + d y); None for one without a size."""
    for name, place, _ in _boxes(file, start, end):
        if name == b"tkhd":
            file.seek(place)
            at = 52 if file.read(1) == b"\1" else 40
            file.seek(place + at)
            a, b, _, c, d, _, _, _, _, width, height = struct.unpack(">9i2I", file.read(44))
            signs = [(value > 0) - (value < 0) for value in (a, b, c, d)]
            return (signs[0], signs[1], signs[2], signs[3]) if width and height else None
    return None


def _boxes(file: IO[bytes], place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and beginning and end of the content, of the boxes in a part of a file."""
    while end - place >= 8:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,), head = struct.unpack(">Q", file.read(8)), 16
        length = length or end - place
        if length < head:
            return
        yield name, place + head, min(place + length, end)
        place += length


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
