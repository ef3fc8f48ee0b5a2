"""Writing files so that a reader never meets half of one: beside the target, synced, then one rename."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import OutputError

SPARE_BYTES = 16 << 20
"""Room that is left on a disk: a full one hurts more than the command that fills it."""
_BLOCK = 1 << 16
_LONGEST_NAME = 255
"""Bytes of a name on nearly every file system."""


def final_target(path: Path) -> Path:
    """Where a path leads: symbolic links are followed, so that a link stays a link.

    Raises:
        OutputError: it is a link to itself.
    """
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{path} cannot be written: it is a link that leads nowhere") from error


def is_special(path: Path) -> bool:
    """Whether a device, a FIFO or a socket stands at a path (/dev/stdout, say): nobody replaces those by a file."""
    try:
        mode = path.stat().st_mode
        parts = path.absolute().parts
    except (OSError, ValueError):
        return False
    of_system = parts[1:2] in (("dev",), ("proc",)) and parts[1:3] != ("dev", "shm")
    return not stat.S_ISDIR(mode) and (of_system or not stat.S_ISREG(mode))


def cache_folder() -> Path:
    """Where what can be made again is kept: PREHEND_CACHE, or `prehend` in the user's cache folder (XDG)."""
    given = os.environ.get("PREHEND_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "prehend"
    except RuntimeError:  # a user without a home
        return Path("/nonexistent/prehend")


def beside(target: Path, before: str, after: str) -> Path:
    """A name next to a file, made of its own, which is cut where the whole would be longer than a name may be."""
    name = os.fsencode(target.name)[: _LONGEST_NAME - len(os.fsencode(before + after))]
    return target.with_name(before + os.fsdecode(name) + after)


def claim(descriptor: int, path: Path) -> None:
    """Take an open file for this process alone, until it is closed; file systems without locks let everybody.

    Raises:
        OutputError: another process writes it.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise OutputError(f"{path} is being written by another process: give another name") from None


def open_claimed(file: Path, flags: int, path: Path) -> int:
    """Open a file and `claim` it; errors name `path`.

    Raises:
        OSError: it cannot be opened.
        OutputError: another process writes it.
    """
    descriptor = os.open(file, flags, 0o666)
    try:
        claim(descriptor, path)
    except OutputError:
        os.close(descriptor)
        raise
    return descriptor


def has_room(folder: Path, needed: int = 0) -> bool:
    """Whether the disk of a folder takes `needed` bytes and keeps `SPARE_BYTES` (or 5 % of a small disk) free."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True
    spare = min(SPARE_BYTES, disk.f_blocks * disk.f_frsize // 20)
    return disk.f_bavail * disk.f_frsize >= needed + spare


def replace_file(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file whole or not at all; a device or a FIFO is written through, a link's target is written.

    Args:
        path: of the file.
        data: its content.
        durable: wait for the disk, so that a loss of power leaves the old file or the new one.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    if is_special(path):
        _write_through(path, data)
        return
    try:
        with replacing(path, durable=durable) as part:
            part.write_bytes(data)
    except (OSError, ValueError) as error:
        text = reason(error) if isinstance(error, OSError) else "no file can have that name"
        raise OutputError(f"{path} cannot be written: {text}") from error


@contextmanager
def replacing(path: Path, part: Path | None = None, durable: bool = True) -> Iterator[Path]:
    """A file beside `path` to be written by whoever takes a name: it gets that name once the block ended well.

    Args:
        path: of the file; a link's target is replaced.
        part: name to write under, in the same folder; one of this process's own where none is given. With a name that
            stays, the next try writes over what a kill left.
        durable: as of `replace_file`.

    Raises:
        OSError, ValueError: it cannot be written; what was there before is still there.
    """
    target = final_target(path)
    part = part or beside(target, ".", f".{os.getpid()}.part")
    try:
        yield part
        if durable:
            with part.open("rb+") as file:
                sync(file)
        part.replace(target)
    except BaseException:
        _quietly(lambda: part.unlink(missing_ok=True))
        raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of lines, whole or not at all; one that a kill cut off before is taken away first.

    Raises:
        OutputError: it cannot be written; the lines before are still there.
    """
    try:
        with path.open("ab+") as file:
            end = _end_of_lines(file)
            try:
                file.truncate(end)
                file.write(line.encode("utf-8", "backslashreplace") + b"\n")
                file.flush()
            except OSError:
                _quietly(lambda: os.truncate(path, end))
                raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


def _end_of_lines(file: IO[bytes]) -> int:
    """Where the last whole line of a file ends [bytes]."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(end - _BLOCK, 0)
        file.seek(start)
        if (last := file.read(end - start).rfind(b"\n")) >= 0:
            return start + last + 1
        end = start
    return 0


def replace_text(path: Path, text: str) -> None:
    """`replace_file` of a text in UTF-8; names of files that are not UTF-8 stand in it escaped."""
    replace_file(path, text.encode("utf-8", "backslashreplace"))


def replace_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """`replace_file` of a compressed .npz of arrays by their names; see `documents.read_arrays`."""
    data = io.BytesIO()
    np.savez_compressed(data, allow_pickle=False, **arrays)
    replace_file(path, data.getvalue())


def sync(file: IO[bytes]) -> None:
    """Take a file's bytes to the disk, so that a rename after it cannot come first."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Take the names in a folder to the disk, as far as its file system can."""
    _quietly(lambda: _sync_descriptor(folder))


def reason(error: OSError) -> str:
    """Why, in a few words, from an error of the operating system."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def _write_through(path: Path, data: bytes) -> None:
    try:
        with path.open("wb") as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


def _sync_descriptor(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except (OSError, ValueError):  # the second of a name that no file can have
        return
