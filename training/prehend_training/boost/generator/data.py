"""Batches for the generator: images with their conditions, noise levels and what is told of the orientation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError, InvalidInput
from prehend_training.boost.generator.conditions import Condition, check_hand_model, draw_condition, why_unusable
from prehend_training.boost.generator.network import DenoiserConfig
from prehend_training.data.batch import MadeBatch
from prehend_training.storage.shards import ShardFolder

CACHE_BYTES = 400_000_000
"""Of images and conditions that were drawn already, in each process that makes batches."""
_TRIES = 64
"""Images in a row of which none has a condition: then a folder is of no use."""


class BoosterSample(NamedTuple):
    """An image and what it shows; the image is mirrored where the condition is."""

    image: NDArray[np.uint8]
    condition: Condition


class BoosterSource:
    """Batches that follow from the seed and the step alone.

    Images are drawn by chance, each folder with its weight; one without a condition is left out for the next that has
    one. What was drawn is kept in memory up to `CACHE_BYTES`.

    Args:
        folders: of crops, with weights.
        config: size of the images, levels of noise, share that is told.
        seed: of what is drawn.
        batch_size: images a step.

    Raises:
        AssetError: a folder cannot be read, holds other images, or hands of another hand model.
        InvalidInput: a weight is not positive.
    """

    def __init__(self, folders: Sequence[tuple[Path, float]], config: DenoiserConfig, seed: int, batch_size: int):
        self.paths, self.config, self.seed, self.batch_size = list(folders), config, seed, batch_size
        weights = np.array([weight for _, weight in folders], np.float64)
        if not len(weights) or not (weights > 0).all():
            raise InvalidInput("a generator needs one folder of crops at least, each with a positive weight")
        self._shares = weights / weights.sum()
        self.folders = [open_crops(path) for path, _ in folders]
        self._kept: dict[tuple[int, int], BoosterSample | None] = {}
        self._room = CACHE_BYTES // (11 * config.size_px**2)

    def __reduce__(self) -> tuple[type["BoosterSource"], tuple[list[tuple[Path, float]], DenoiserConfig, int, int]]:
        return BoosterSource, (self.paths, self.config, self.seed, self.batch_size)

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> MadeBatch:
        """Batch number `step`, or the k-th of its n parts.

        Returns:
            image, texture (B, S, S, 3) uint8, normals (B, S, S, 3) int8, front (B, S, S) bool, orientation (B, 4), told
            (B,) bool, times (B,) and noise_seed (B,) int64.

        Raises:
            AssetError: no image of a folder has a condition.
        """
        config, size = self.config, self.batch_size
        rng = np.random.default_rng([self.seed, step])
        which = rng.choice(len(self.folders), size, p=self._shares)
        places = [int(rng.integers(len(self.folders[k]))) for k in which]
        told, times = rng.random(size) < config.told_share, rng.integers(config.steps, size=size)
        seeds = rng.integers(2**62, size=size)
        rows = range(part[0], size, part[1])
        samples = [self._sample(int(which[row]), places[row]) for row in rows]
        conditions = [sample.condition for sample in samples]
        return {
            "image": np.stack([sample.image for sample in samples]),
            "texture": np.stack([condition.texture for condition in conditions]),
            "normals": np.stack([condition.normals for condition in conditions]),
            "front": np.stack([condition.front for condition in conditions]),
            "orientation": np.stack([condition.orientation for condition in conditions]),
            "told": told[rows.start :: rows.step],
            "times": times[rows.start :: rows.step],
            "noise_seed": seeds[rows.start :: rows.step],
        }

    def _sample(self, which: int, place: int) -> BoosterSample:
        folder = self.folders[which]
        if (found := self._read(which, place)) is not None:
            return found
        # not those beside it: photographs of one kind lie in a row
        tries = min(_TRIES, len(folder))
        others = np.random.default_rng([self.seed, which, place]).permutation(len(folder))[:tries]
        for other in others:
            if (found := self._read(which, int(other))) is not None:
                return found
        raise AssetError(
            f"{folder.path}: no condition can be drawn of {tries} images: are their hands known in metres "
            "(`boost fit`, `scenes --kind crops`)?"
        )

    def _read(self, which: int, place: int) -> BoosterSample | None:
        key = which, place
        if key in self._kept:
            return self._kept[key]
        sample = self.folders[which].sample(place, "none")
        found = None
        if why_unusable(sample) is None:
            condition, size = draw_condition(sample, self.config.size_px), self.config.size_px
            image = np.asarray(cv2.resize(sample.image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
            found = BoosterSample(np.ascontiguousarray(image[:, ::-1]) if condition.mirrored else image, condition)
        if len(self._kept) < self._room:
            self._kept[key] = found
        return found


def open_crops(path: Path) -> ShardFolder:
    """A folder of square crops with hands of our hand model.

    Raises:
        AssetError: it is none.
    """
    folder = ShardFolder.open(path)
    if folder.kind != "crops" or not len(folder):
        raise AssetError(f"{path} holds {len(folder)} images of kind {folder.kind}: expected crops, one at least")
    first = folder.sample(0, "none")
    if first.image.shape[0] != first.image.shape[1]:
        raise AssetError(f"{path}: its images are not square: expected crops of `boost fit`, `create` or `scenes`")
    if first.hands:
        check_hand_model(first, str(path))
    return folder
