"""Keeping foreign libraries off the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what C libraries write to the process's stderr nowhere, while inside; short and rare use only."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no stderr, or no descriptor left
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Set OpenCV's log to silent while inside; builds before 4.13 cannot, and stay as they are."""
    logging: Any = getattr(cv2.utils, "logging", None) if hasattr(cv2, "utils") else None
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
