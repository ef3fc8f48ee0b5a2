"""The standard streams as a command finds them: closed, full, or of a reader that left."""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

_LOST = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT)


def mend_streams() -> None:
    """Names that are not UTF-8 are shown escaped; a stream that was closed before the start gets its number back.

    A file that is opened later would get it otherwise, and what a library prints would go there. What is written to
    the standard output then fails as on a full disk; what is told to nobody's standard error is lost.
    """
    if sys.stdin is None:
        sys.stdin = _opened(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _opened(os.O_RDONLY, "w")
    if sys.stderr is None:
        sys.stderr = _opened(os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unwritten(error: OSError) -> str:
    """Why the standard output takes nothing, as one line; empty where the error is another one."""
    if error.errno not in _LOST or error.filename is not None:
        return ""
    why = "the standard output is closed" if error.errno == errno.EBADF else (error.strerror or str(error)).lower()
    return f"the output cannot be written: {why}"


def complain(line: str) -> None:
    """Write to the standard error, as far as somebody hears it."""
    try:
        sys.stderr.write(line)
    except OSError:
        return


def forget_stdout() -> None:
    """What is still in its buffer must not fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def settle_stdout() -> None:
    """Send what is left in its buffer, where that can be: Python would end with a text and a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        forget_stdout()


def _opened(flags: int, mode: str) -> Any:
    """The null device under the lowest number that is free, which is that of the closed stream."""
    descriptor = os.open(Path(os.devnull), flags)
    return os.fdopen(descriptor, mode, encoding="utf-8")
