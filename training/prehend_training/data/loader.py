"""Batches made ahead of time, in a thread or in the worker processes of a DataLoader, in order and resumable."""

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from prehend_training.data.base import BatchSource
from prehend_training.data.batch import MadeBatch
from prehend_training.engine.local import one_thread

AHEAD = 3
"""Batches a worker that wait to be used."""


class StepDataset(Dataset[MadeBatch]):
    """The batches of a source by step, map-style.

    Args:
        source: makes them; picklable.
        part: (k, n) the k-th of n parts of each batch.
    """

    def __init__(self, source: BatchSource, part: tuple[int, int] = (0, 1)):
        self.source, self.part = source, part

    def __getitem__(self, step: int) -> MadeBatch:
        return self.source.batch(step, self.part)


class Steps(Sampler[int]):
    """start, start + 1, ... up to stop; without end where stop is None."""

    def __init__(self, start: int, stop: int | None):
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(count(self.start) if self.stop is None else range(self.start, self.stop))


def prefetched(
    source: BatchSource, start: int, stop: int | None, workers: int, part: tuple[int, int] = (0, 1)
) -> Generator[MadeBatch, None, None]:
    """Batches `start`, `start + 1`, ...

    Args:
        source: makes them; picklable where `workers` is not 0.
        start, stop: steps; None for no end.
        workers: processes; 0 makes them in a thread of this one (OpenCV lets go of the interpreter lock).
        part: (k, n) the k-th of n parts of each batch.
    """
    cv2.setNumThreads(1)
    return _from_processes(source, start, stop, workers, part) if workers else _from_thread(source, start, stop, part)


def _from_processes(
    source: BatchSource, start: int, stop: int | None, workers: int, part: tuple[int, int]
) -> Generator[MadeBatch, None, None]:
    loader = DataLoader(
        StepDataset(source, part),
        sampler=Steps(start, stop),
        batch_size=None,  # a step is a batch already
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=AHEAD,
        multiprocessing_context="spawn",  # OpenGL and OpenCV do not survive a fork
        worker_init_fn=_open_worker,
    )
    with one_thread():
        batches = iter(loader)
    yield from batches


def _as_it_is(batch: Any) -> Any:
    """MadeBatch, not tensors: those travel in shared memory, of which a container has little."""
    return batch


def _open_worker(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _from_thread(
    source: BatchSource, start: int, stop: int | None, part: tuple[int, int]
) -> Generator[MadeBatch, None, None]:
    waiting: list[Future[MadeBatch]] = []
    steps = iter(Steps(start, stop))
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        try:
            while True:
                while len(waiting) < AHEAD and (step := next(steps, None)) is not None:
                    waiting.append(pool.submit(source.batch, step, part))
                if not waiting:
                    return
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
