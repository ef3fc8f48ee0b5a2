"""Images kept decoded in the memory of the device that trains: nothing is read, decoded or copied while it trains.

Labels stay on the host: batches are drawn and asked for as they are from disk (`crops`, `frames`), and only their pixel
work is left for the device, see `Memory.finished`.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.errors import AssetError
from prehend_training.data.base import TrainingDataset, drawn_indices
from prehend_training.data.batch import MadeBatch
from prehend_training.data.pixels.opencv import without_front
from prehend_training.data.pixels.plans import IMAGES, PENDING, CropPixels
from prehend_training.data.pixels.torch_ import Pool, crop_tensors, frame_tensors
from prehend_training.data.records import Record
from prehend_training.data.stores.datasets import HeldDataset
from prehend_training.engine import EngineOptions, Job, open_engine

BACKGROUND_EVERY = 8
"""One of so many crops also gives a background, its front filled up from around."""
_CHUNK = 256
_TRIED = 8
_SPARE = 0.6
"""Share of the free memory that data may take; the rest is for training."""

logger = logging.getLogger(__name__)


class KnownCount(TrainingDataset, Protocol):
    """Records of which there is a known number."""

    def __len__(self) -> int: ...


class InMemory:
    """Records whose pixels are in the memory of a device: labels, and where the pixels are.

    Args:
        dataset: where they were taken from.
        labels: arrays of the records by name, a first axis of rows.
        backgrounds: (R,) rows that give a background.
        whole: all of the dataset is there, so that it says what a step takes; otherwise each row comes once an epoch.
    """

    def __init__(
        self, dataset: KnownCount, labels: Mapping[str, NDArray[Any]], backgrounds: NDArray[np.int64], whole: bool
    ):
        self._dataset = dataset if whole else None
        self._labels, self._backgrounds = dict(labels), backgrounds

    def __len__(self) -> int:
        return len(self._labels["slot"])

    def __getitem__(self, index: int) -> Record:
        return {name: value[index] for name, value in self._labels.items()}

    def first(self, count: int) -> list[int]:
        """See `TrainingDataset`."""
        return list(range(min(count, len(self)))) if self._dataset is None else self._dataset.first(count)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `TrainingDataset`."""
        if self._dataset is None:
            return drawn_indices(seed, step, batch_size, len(self))
        return self._dataset.indices(seed, step, batch_size)

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """See `TrainingDataset`: of the rows that give one."""
        if not len(self._backgrounds):
            return None
        return self[int(self._backgrounds[int(rng.integers(len(self._backgrounds)))])]

    def holds(self, index: int) -> bool:
        """Whether the first hand of an image holds something."""
        return bool(self._labels["hand_count"][index] and self._labels["grasp"][index, 0])

    def held(self) -> TrainingDataset:
        """See `TrainingDataset`."""
        return HeldDataset(self)


@dataclass(frozen=True)
class Memory:
    """What a run learns from, in the memory of a device.

    Attributes:
        dataset: one source, or several in their shares.
        pool: the pixels of them all.
    """

    dataset: TrainingDataset
    pool: Pool

    def __len__(self) -> int:
        return len(self.pool.image)

    def finished(self, batch: MadeBatch) -> MadeBatch:
        """A batch with the pixel work that was left for the device."""
        if PENDING not in batch:
            return batch
        work: Any = batch[PENDING]
        made = (crop_tensors if isinstance(work[0], CropPixels) else frame_tensors)(self.pool, work)
        return {**{name: value for name, value in batch.items() if name != PENDING}, **made}


class Filling:
    """A memory that is being filled, one source after the other.

    Args:
        device: of torch.
        workers: processes that decode; 0 does it in this one.
        memory: bytes that pixels may take; None for `_SPARE` of what is free.
        background_every: one of so many records also gives a background.
    """

    def __init__(
        self, device: str, workers: int = 0, memory: int | None = None, background_every: int = BACKGROUND_EVERY
    ):
        self._device, self._workers, self._every = device, workers, background_every
        self._left = free_memory(device) if memory is None else memory
        self._pixels, self._used = torch.empty(0, 4, dtype=torch.uint8, device=device), 0
        self._sizes: list[NDArray[np.int64]] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._images = self._records = 0

    def add(self, dataset: KnownCount, limit: int | None = None, whole: bool = False) -> InMemory:
        """Take a source in.

        Args:
            dataset: the source, which can be sent to processes.
            limit: largest number of records, taken evenly from all.
            whole: all records or none: which come is the source's own business.

        Raises:
            AssetError: next to nothing fits, or not all of what is needed whole.
        """
        there = len(dataset)
        tried = np.unique(np.linspace(0, there - 1, min(_TRIED, there)).astype(np.int64))
        sample = packed(dataset, tried, np.full(len(tried), False))
        each = -(-4 * len(sample.pixels) * (self._every + 1) // (self._every * len(tried)))
        count = _count_that_fits(there, there if whole else limit, each, self._left)
        if whole and count < there:
            raise AssetError(f"{there} images of {each / 1e3:.0f} kB do not fit into the memory, and all are needed")
        rows = np.linspace(0, there, count, endpoint=False).astype(np.int64)
        self._reserve(count * each // 4)
        labels = self._decoded(dataset, rows)
        labels["slot"] = self._records + np.arange(count)
        backgrounds = np.flatnonzero(np.concatenate(self._numbers)[-count:, 2] >= 0)
        self._records += count
        return InMemory(dataset, labels, backgrounds, count == there)

    def _decoded(self, dataset: KnownCount, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Labels of some records, whose pixels are put into the memory."""
        chunks: dict[int, tuple[dict[str, NDArray[Any]], NDArray[np.int64]]] = {}
        starts = range(0, len(rows), _CHUNK)
        jobs = [Job(f"rows from {start}", (rows[start : start + _CHUNK], start, self._every)) for start in starts]
        engine = open_engine(EngineOptions(workers=self._workers), partial(_packing, dataset))
        with tqdm(total=len(rows), unit="image", desc="to the device") as bar:
            for job, chunk in engine.map(jobs):
                chunks[job.task[1]] = chunk.labels, self._take(chunk)
                bar.update(len(chunk.numbers))
        parts = [chunks[start] for start in starts]  # they come in any order
        self._numbers += [numbers for _, numbers in parts]
        return {name: np.concatenate([labels[name] for labels, _ in parts]) for name in parts[0][0]}

    def _take(self, chunk: "Chunk") -> NDArray[np.int64]:
        """Put the pixels of a chunk into the memory; its `numbers` there."""
        self._reserve(len(chunk.pixels))
        self._pixels[self._used : self._used + len(chunk.pixels)].copy_(torch.from_numpy(chunk.pixels))
        self._used += len(chunk.pixels)
        self._left -= chunk.pixels.nbytes
        self._sizes.append(chunk.sizes)
        numbers = np.where(chunk.numbers < 0, -1, chunk.numbers + self._images)
        self._images += len(chunk.sizes)
        return numbers

    def _reserve(self, count: int) -> None:
        """Room for so many more pixels."""
        if (short := self._used + count - len(self._pixels)) > 0:
            more = torch.empty(short, 4, dtype=torch.uint8, device=self._device)
            self._pixels = torch.cat([self._pixels[: self._used], self._pixels[self._used :], more])

    def memory(self, dataset: TrainingDataset) -> Memory:
        """What was taken in, as the source `dataset` of it."""
        size = np.concatenate(self._sizes)
        start = np.cumsum(np.concatenate([[0], size.prod(1)]))[:-1]
        image, twin, background = np.concatenate(self._numbers).T
        told = torch.from_numpy(start).to(self._device), torch.from_numpy(size).to(self._device)
        return Memory(dataset, Pool(self._pixels[: self._used], *told, image, twin, background))


@dataclass(frozen=True)
class Chunk:
    """Decoded records: `labels` by name; `pixels` (P, 4) and `sizes` (M, 2) of images as `Pool` has them; `numbers`
    (R, 3) of each record's image, twin and background among these."""

    labels: dict[str, NDArray[Any]]
    pixels: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    numbers: NDArray[np.int64]


def packed(dataset: TrainingDataset, rows: Sequence[int] | NDArray[np.int64], backgrounds: NDArray[np.bool_]) -> Chunk:
    """Some records decoded; `backgrounds` tells which of them give one, if all that is in front of them is known."""
    labels: list[dict[str, NDArray[Any]]] = []
    images: list[NDArray[np.uint8]] = []
    numbers = []
    for row, wanted in zip(rows, backgrounds, strict=True):
        record = dataset[int(row)]
        image, codes = np.asarray(record["image"]), np.asarray(record["segmentation"])
        number, twin, background = len(images), len(images), -1
        images.append(np.dstack([image, codes]))
        if "deoccluded" in record:
            twin = len(images)
            front = record.get("deoccluded_front", np.zeros_like(codes))
            images.append(np.dstack([record["deoccluded"], front]))
        if wanted and record["has_front"]:
            background = len(images)
            images.append(np.dstack([without_front(image, codes > 0), codes]))
        numbers.append((number, twin, background))
        size = np.array(image.shape[1::-1], np.int64)
        told = {name: value for name, value in record.items() if name not in IMAGES}
        labels.append({**told, "image_size": size, "mirrored": np.array(False)})
    stacked = {name: np.stack([one[name] for one in labels]) for name in labels[0]}
    sizes = np.array([image.shape[1::-1] for image in images], np.int64)
    return Chunk(stacked, np.concatenate([image.reshape(-1, 4) for image in images]), sizes, np.array(numbers))


@dataclass(frozen=True)
class _Packing:
    dataset: TrainingDataset

    def __call__(self, task: tuple[NDArray[np.int64], int, int]) -> Chunk:
        rows, start, every = task
        return packed(self.dataset, rows, (start + np.arange(len(rows))) % every == 0)


def _packing(dataset: TrainingDataset) -> _Packing:
    return _Packing(dataset)


def free_memory(device: str) -> int:
    """Bytes that data may take on a device: `_SPARE` of what is free now."""
    if torch.device(device).type == "cuda":
        return int(_SPARE * torch.cuda.mem_get_info(device)[0])
    return int(_SPARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))


def _count_that_fits(there: int, limit: int | None, each: int, memory: int) -> int:
    wanted, room = min(there, limit or there), memory // each
    if room < min(wanted, _CHUNK):
        raise AssetError(f"{room} images of {each / 1e3:.0f} kB fit into the memory: too few to train on")
    if room < wanted:
        logger.warning("%d of %d images fit into the memory and are taken", room, wanted)
    return min(wanted, room)
