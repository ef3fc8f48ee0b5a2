"""ONNX Runtime's optimised graphs, kept from one start to the next.

A file's name says what it was made from and, last, the SHA-256 of its content: a file that is not whole has another.
"""

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort

from prehend.files import cache_folder, has_room

_LARGEST = 1 << 30
_KEPT = 12
"""Files of older weights and versions beyond so many are removed, the oldest first."""


def cached_graph(key: str, make: Callable[[Path], None]) -> Path | None:
    """The optimised graph of a key, made if there is none.

    Args:
        key: of everything that it depends on, see `graph_key`.
        make: writes it to a path.

    Returns:
        None where the cache cannot be read or written: that costs the time it would have saved, and nothing else.
    """
    folder = cache_folder() / "graphs"
    try:
        for path in folder.glob(f"{key}.*.onnx"):
            if path.name == f"{key}.{_digest(path)}.onnx":
                os.utime(path)
                return path
            path.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not has_room(folder, 1 << 28):
            return None
        part = folder / f".{key}.{os.getpid()}.part"
        try:
            make(part)
            path = folder / f"{key}.{_digest(part)}.onnx"
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _forget_old(folder)
        return path
    except OSError:
        return None


def graph_key(*made_from: str) -> str:
    """The key of what a graph was made from, ONNX Runtime's version and this machine's processor."""
    parts = (*made_from, ort.__version__, platform.machine(), _instructions())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _instructions() -> str:
    """What the processor can do: graphs are optimised for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _digest(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _forget_old(folder: Path) -> None:
    files = sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
    for path in files[:-_KEPT]:
        path.unlink(missing_ok=True)
