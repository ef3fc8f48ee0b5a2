"""What workers do in tests of the engine alone; it imports little, since every fresh process reads it."""

import os
import time
from pathlib import Path

PATIENCE_S = 120.0


def appears(path):
    """Wait for a file that another job makes."""
    until = time.monotonic() + PATIENCE_S
    while not Path(path).exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.01)


def open_waiting():
    """A task is the file to wait for, or None, and the file to leave behind."""

    def work(task):
        awaited, left = task
        if awaited is not None:
            appears(awaited)
        Path(left).touch()
        return os.getpid()

    return work


def open_noting(folder):
    """Notes every task that is begun as a file of its name; the third fails."""

    def work(number):
        (Path(folder) / str(number)).touch()
        if number == 2:
            raise OSError("the disk is full")
        return number

    return work


def open_badly():
    """What a renderer without OpenGL does."""
    raise RuntimeError("no OpenGL here")


def open_unsendable():
    """Results that no pipe takes."""
    return lambda task: lambda: task


def open_environment():
    """What a worker is told about threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS")
    return lambda task: {name: os.environ.get(name) for name in names}
