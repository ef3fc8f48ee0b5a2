"""Bounds on what the chunks, messages and files of a bag may unfold to.

`rosbags` unpacks by the file's word: a chunk of a few kilobytes may say, or hold without saying so, gigabytes. Its
unpackers are replaced by ones that stop, here, where no caller can forget them. Formats: MCAP (zstd, LZ4), ROS 1 bags
(bzip2, LZ4), rosbag2's packed messages and files (zstd, RFC 8878).
"""

import bz2
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from prehend.errors import MissingDependency, SourceError
from prehend.files import has_room

try:
    import lz4.frame
    from rosbags.rosbag1 import reader as rosbag1
    from rosbags.rosbag2 import reader as rosbag2
    from rosbags.rosbag2 import storage_mcap

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError as error:
    raise MissingDependency(str(error.name), "bag", "reading a rosbag") from error

MOST_BYTES = 512 << 20
"""Of one chunk or message. An image of 67 megapixels has 201 to 402 MB; chunks end at some MB, or with a message."""

MOST_TIMES = 1000
"""How much larger a packed storage file may become: messages with headers and noise stay below 100."""

_FIRST_BYTES = 64 << 20
"""What a packed file may become whatever its size."""


def bounded(new: Callable[[], Any], data: bytes, most: int) -> bytes:
    """Unpack all frames of some bytes.

    Args:
        new: makes a decompressor as those of `bz2` (`decompress(data, max_length)`, `eof`, `unused_data`).
        data: packed.
        most: bytes that may come.

    Raises:
        SourceError: there are more. EOFError: the last frame is cut off.
    """
    parts, total = [], 0
    while data:
        unpacker = new()
        part = unpacker.decompress(data, most + 1 - total)
        total += len(part)
        if total > most:
            raise SourceError(f"it unfolds to more than {_size(most)}, which no recorder writes")
        if not unpacker.eof:
            raise EOFError("packed data is cut off")
        parts.append(part)
        data = unpacker.unused_data or b""
    return b"".join(parts)


def install() -> None:
    """Put the bounds into `rosbags`, whose tables of unpackers are the only way to them."""
    unpack = {"lz4": lz4.frame.LZ4FrameDecompressor, "zstd": zstd.ZstdDecompressor, "bz2": bz2.BZ2Decompressor}
    for name in ("lz4", "zstd"):
        storage_mcap.DECOMPRESSORS[name] = _chunk_unpacker(unpack[name])
    for name in ("lz4", "bz2"):
        rosbag1.decompressors[name] = _message_unpacker(unpack[name])
    bounded_zstd: Any = SimpleNamespace(decompress=_message_unpacker(zstd.ZstdDecompressor), open=_open_packed)
    rosbag2.zstd = bounded_zstd


def _chunk_unpacker(new: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    def unpack(data: bytes, size: int) -> bytes:
        if size > MOST_BYTES:
            raise SourceError(
                f"a chunk says that it unfolds to {_size(size)}; more than {_size(MOST_BYTES)} is refused"
            )
        return bounded(new, data, size)

    return unpack


def _message_unpacker(new: Callable[[], Any]) -> Callable[[bytes], bytes]:
    return lambda data: bounded(new, data, MOST_BYTES)


def _open_packed(file: IO[bytes], mode: str) -> "_PackedFile":
    return _PackedFile(file)


class _PackedFile:
    """A packed storage file, read to its end or to its bound; it is unpacked into the folder for temporary files."""

    def __init__(self, file: IO[bytes]) -> None:
        packed = file.seek(0, 2)
        file.seek(0)
        self._most, self._count = max(_FIRST_BYTES, MOST_TIMES * packed), 0
        self._file = zstd.ZstdFile(file, "r")

    def __enter__(self) -> "_PackedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._count += len(data)
        if self._count > self._most:
            raise SourceError(f"it unfolds to more than {_size(self._most)}, which no recorder writes")
        folder = Path(tempfile.gettempdir())
        if not has_room(folder, len(data)):
            raise SourceError(f"there is no room to unpack it in {folder} (TMPDIR names another folder)")
        return data


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
