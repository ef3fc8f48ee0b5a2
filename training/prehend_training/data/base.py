"""What batches are made of and how rows are drawn, whatever the network: by (seed, step) alone, so that a resumed run
sees the same."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from prehend_training.data.batch import ArrayDict, MadeBatch
from prehend_training.data.pixels.plans import PENDING
from prehend_training.data.records import Record


class BatchSource(Protocol):
    """Makes batches by number."""

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> MadeBatch:
        """Arrays with a first axis of samples, the same for the same step; of `part` (k, n) the k-th of n parts."""
        ...


class Drawn(Protocol):
    """Which numbers a step takes."""

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """Those of a step, the same for the same numbers."""
        ...


class TrainingDataset(Drawn, Protocol):
    """Records by number, and which of them a step takes."""

    def first(self, count: int) -> list[int]:
        """Numbers of up to `count` records that are quick to look at before training."""
        ...

    def __getitem__(self, index: int) -> Record: ...

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """`image` and `segmentation` of any record that tells what is in front, to cut a background from; None where
        there is none."""
        ...

    def held(self) -> "TrainingDataset":
        """Of these records those whose first hand holds something, where that is told without looking at the images; of
        others all."""
        ...


@lru_cache(maxsize=16)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def drawn_indices(seed: int, step: int, batch_size: int, count: int) -> list[int]:
    """Samples of a step: every sample once an epoch, in an order that depends on the seed and the epoch."""
    places = range(step * batch_size, (step + 1) * batch_size)
    return [int(_order(seed, place // count, count)[place % count]) for place in places]


def drawn_rows(
    dataset: Drawn, seed: int, step: int, size: int, part: tuple[int, int]
) -> Iterator[tuple[int, np.random.Generator]]:
    """The rows of part k of n of a batch of some size, see `BatchSource`.

    Returns:
        For each its number in the dataset, and what draws all else: row r depends on seed, step and r alone.
    """
    k, n = part
    indices = dataset.indices(seed, step, size)
    for row in range(k * size // n, (k + 1) * size // n):
        yield indices[row], np.random.default_rng([seed, step, row])


class SampleSource(Protocol):
    """Makes samples, which `stacked` makes batches of."""

    @property
    def dataset(self) -> Drawn:
        """What they are made of."""

    @property
    def seed(self) -> int:
        """With a step's number, decides everything."""

    @property
    def batch_size(self) -> int:
        """Samples a step."""

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """A sample of a number of the dataset."""


def samples_of(source: SampleSource, step: int, part: tuple[int, int]) -> list[ArrayDict]:
    """The samples of part k of n of a batch."""
    rows = drawn_rows(source.dataset, source.seed, step, source.batch_size, part)
    return [source.sample(index, rng) for index, rng in rows]


def stacked(source: SampleSource, step: int, part: tuple[int, int]) -> ArrayDict:
    """Part k of n of a batch, its samples with a first axis."""
    return as_batch(samples_of(source, step, part))


def as_batch(samples: Sequence[ArrayDict]) -> ArrayDict:
    """Samples with a first axis; pixel work that waits for a device stays a list."""
    made: ArrayDict = {}
    for name in samples[0]:
        values: Any = [sample[name] for sample in samples]
        made[name] = values if name == PENDING else np.stack(values)
    return made


def joined(samples: Sequence[ArrayDict]) -> ArrayDict:
    """Samples that have a first axis already, one after the other."""
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}
