"""Whole-dataset tables of numbers that are kept as JSON: parsed once, then looked up.

FreiHAND's and HO-3D's vertices are gigabytes of digits. Such a file is turned once into an .npy in the user's cache
folder (`XDG_CACHE_HOME`, or ~/.cache) and mapped into memory from then on.
"""

import hashlib
import logging
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError
from prehend.files import replacing

BIG_BYTES = 64 << 20
"""Files from this size on are kept as .npy."""

_log = logging.getLogger(__name__)
_BRACKETS = bytes.maketrans(b"[],\t\r\n", b"      ")

Table = NDArray[np.float64] | NDArray[np.float32]


def read_table(path: Path, row: tuple[int, ...]) -> Table:
    """A JSON file that is a list of equally large, nested lists of numbers.

    Args:
        path: the file.
        row: shape of one entry of the list.

    Returns:
        (N, *row): float64, or float32 for big files. Parsed once in a process, big files once for all.

    Raises:
        SourceError: the file cannot be read or does not hold such rows.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    return _table(path, row, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _table(path: Path, row: tuple[int, ...], time_ns: int, size: int) -> Table:
    if size < BIG_BYTES:
        return _parse(path, row)
    key = hashlib.sha256(f"{path.resolve()} {row} {time_ns} {size}".encode()).hexdigest()[:24]
    kept = cache_folder() / f"{path.stem}-{key}.npy"
    if not kept.exists():
        table = _parse(path, row).astype(np.float32)
        try:
            _keep(kept, table)
        except OSError as error:
            _log.warning("%s cannot be kept in %s (%s): it will be parsed again", path, kept.parent, error.strerror)
            return table
    return np.asarray(np.load(kept, mmap_mode="r"))


def cache_folder() -> Path:
    """Where big tables are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prehend" / "datasets"


def _keep(path: Path, table: Table) -> None:
    """Write so that nobody sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=False) as part, part.open("wb") as file:
        np.save(file, table)


def _parse(path: Path, row: tuple[int, ...]) -> NDArray[np.float64]:
    """Without building lists of Python's numbers, which would take many times the file's size."""
    text = path.read_bytes().translate(_BRACKETS)
    try:
        # one number at the end shows whether all text before it was numbers
        numbers = np.array(text.split(), np.float64) if len(text) < BIG_BYTES else _stream(text)
    except ValueError as error:
        raise SourceError(f"{path} holds more than numbers: {error}; download it again") from error
    width = int(np.prod(row))
    if not numbers.size or numbers.size % width:
        raise SourceError(f"{path} holds {numbers.size} numbers, no whole rows of {row}; download it again")
    return numbers.reshape(-1, *row)


def _stream(text: bytes) -> NDArray[np.float64]:
    """Numbers of a long text, a piece at a time."""
    pieces, start = [], 0
    while start < len(text):
        end = text.find(b" ", start + BIG_BYTES // 4)
        end = len(text) if end < 0 else end
        pieces.append(np.array(text[start:end].split(), np.float64))
        start = end
    return np.concatenate(pieces)
