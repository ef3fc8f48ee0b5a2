"""Pickles from outside, read by a process of their own that may die, and handed over as numbers and text.

A pickle is a program. Names on a list are not enough: numpy's own constructors, called with arguments from a file, turn
bytes into pointers, and a kilobyte of lists unfolds to gigabytes. So no constructor of a library is called at all (see
`stand_ins`), the reader has bounds on memory and time, and what it sends back is JSON and plain arrays.
"""

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError

Purpose = Literal["hand model", "label"]

LARGEST_FILE = 512 << 20
TIMEOUT_S = 60.0
_LARGEST_ANSWER = 2 << 30
_DTYPES = frozenset("?bBhHiIlLqQefdFDSU")

_CHILD = (
    "import sys; sys.path[:] = {path!r}\n"
    "from prehend.hand_model.unpickling.reader import serve\n"
    "serve(sys.stdin.buffer, sys.stdout.buffer)\n"
)


def read_plain(data: bytes, purpose: Purpose, keys: Sequence[str] | None = None) -> Any:
    """The content of a pickle of dicts, lists, tuples, text, numbers and numeric arrays, written by Python 2 or 3.

    Args:
        data: the file's bytes.
        purpose: a hand model may have sparse matrices of scipy and arrays of chumpy, which come as arrays.
        keys: of the dict in it, those that are wanted; None for everything.

    Raises:
        AssetError: it is no such pickle, asks for anything else, is too large, or its reader died or took too long.
    """
    if len(data) > LARGEST_FILE:
        raise AssetError(f"larger than {LARGEST_FILE >> 20} MiB: refused")
    with _LOCK:
        reader = _PickleProcess.current()
        try:
            header, body = reader.ask(json.dumps([purpose, keys]).encode(), data)
        except (OSError, EOFError, ValueError) as error:
            reader.kill()
            raise AssetError(f"its reader died or took too long ({error}): damaged, or made to harm; refused") from None
    return _unpacked(header, body)


class _PickleProcess:
    """The process, which reads one pickle after the other."""

    _one: "_PickleProcess | None" = None

    def __init__(self) -> None:
        code = _CHILD.format(path=sys.path)
        self.pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    @classmethod
    def current(cls) -> "_PickleProcess":
        """The one of this process; a fork has none yet."""
        if cls._one is None or cls._one.pid != os.getpid() or cls._one._process.poll() is not None:
            cls._one = cls()
        return cls._one

    def ask(self, keys: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Head and body of the answer; raises `EOFError` where it dies, also of time."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        clock = threading.Timer(TIMEOUT_S, self._process.kill)
        clock.start()
        try:
            stdin.write(struct.pack("<QQ", len(keys), len(data)) + keys)
            stdin.write(data)
            stdin.flush()
            head, body = struct.unpack("<QQ", _exactly(stdout, 16))
            if head + body > _LARGEST_ANSWER:
                raise ValueError("its answer is too large")
            return json.loads(_exactly(stdout, head)), _exactly(stdout, body)
        finally:
            clock.cancel()

    def kill(self) -> None:
        """End it; the next pickle gets a new one."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        type(self)._one = None


_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) != count:
        raise EOFError("no answer")
    return data


def _unpacked(header: Any, body: bytes) -> Any:
    """The value of an answer; nothing in it is trusted beyond its form."""
    if not isinstance(header, dict):
        raise AssetError("its reader gave no answer")
    if "error" in header:
        raise AssetError(str(header["error"])[:400])
    try:
        return _value(header["value"], body)
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise AssetError(f"its reader gave nonsense ({error})") from error


def _value(node: Any, body: bytes) -> Any:
    """A value from [kind, content]."""
    kind, content = node
    if kind == "plain":
        return content
    if kind == "float":
        return float(content)
    if kind == "complex":
        return complex(*map(float, content))
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "list":
        return [_value(child, body) for child in content]
    if kind == "tuple":
        return tuple(_value(child, body) for child in content)
    if kind == "dict":
        return {_value(key, body): _value(child, body) for key, child in content}
    array = _array(content, body)
    return array[()] if kind == "scalar" else array


def _array(content: dict[str, Any], body: bytes) -> NDArray[Any]:
    dtype = np.dtype(str(content["dtype"]))
    if dtype.hasobject or dtype.char not in _DTYPES:
        raise ValueError("an array of objects")
    start, size = int(content["start"]), int(content["size"])
    shape = tuple(int(length) for length in content["shape"])
    return np.frombuffer(body[start : start + size], dtype).reshape(shape).copy()


def read_file(path: Path) -> bytes:
    """The bytes of a regular file that may be a pickle.

    Raises:
        AssetError: it is missing, no regular file, or too large.
    """
    try:
        if path.exists() and not path.is_file():
            raise AssetError(f"{path} is no regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise AssetError(f"{path} is larger than {LARGEST_FILE >> 20} MiB: refused")
        return path.read_bytes()
    except OSError as error:
        raise AssetError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
