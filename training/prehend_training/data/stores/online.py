"""Scenes straight into training, without files: records are rendered when a batch asks for them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from prehend_training.data.records import CROP_HANDS, FRAME_HANDS, Record, record_of
from prehend_training.engine.scenes import Maker, OpenMaker, SceneConfig, open_maker

BACKDROPS = 64
"""Records that backgrounds are cut from: the first ones, which a process renders once and keeps."""


@dataclass(frozen=True)
class OnlineDataset:
    """Endless records; row r of step s is scene s * batch size + r of the configuration, whoever renders it.

    It may be sent to other processes: each opens its own renderer when it needs one.

    Attributes:
        config: which scenes, of kind `crops` or `frames`.
        make: what renders them, importable from its module.
        backdrops: number of records that backgrounds are cut from.
    """

    config: SceneConfig
    make: OpenMaker = open_maker
    backdrops: int = BACKDROPS

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`: those that backgrounds are cut from."""
        return list(range(min(count, self.backdrops)))

    def __getitem__(self, index: int) -> Record:
        return _kept(self, index) if index < self.backdrops else self._rendered(index)

    def _rendered(self, index: int) -> Record:
        (sample,) = _maker(self.config, self.make)(index)
        return record_of(sample, CROP_HANDS if self.config.kind == "crops" else FRAME_HANDS)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `data.crops.TrainingDataset`; no scene comes twice, so the seed of the batches decides nothing."""
        return list(range(step * batch_size, (step + 1) * batch_size))

    def backdrop(self, rng: np.random.Generator) -> Record:
        """See `prehend_training.data.base.TrainingDataset`."""
        return self[int(rng.integers(self.backdrops))]

    def held(self) -> "OnlineDataset":
        """See `TrainingDataset`."""
        return self


@lru_cache(maxsize=1)
def _maker(config: SceneConfig, make: OpenMaker) -> Maker:
    """The renderer of this process; OpenGL belongs to the thread that opens it."""
    return make(config)


@lru_cache(maxsize=BACKDROPS)
def _kept(dataset: OnlineDataset, index: int) -> Record:
    return dataset._rendered(index)
