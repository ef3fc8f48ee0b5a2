"""Hands of whole images, as crops: films and views teach networks of crops, too."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from prehend.errors import AssetError
from prehend_training.data.base import drawn_indices
from prehend_training.data.records import FRAME_HANDS, Record, of_hand, record_of
from prehend_training.data.stores.datasets import around_hand, is_usable
from prehend_training.storage.shards import ShardFolder

WHOLE = ("views", "sequences")
"""Kinds of folders whose images are whole; `frames` are for detectors, and have their close-ups."""
_TRIES = 50


class FrameHands:
    """The images of some folders around one of their hands; each is drawn once an epoch.

    An image without a usable hand gives way to another one; that, and which hand it is, are the same for the same
    number.

    Args:
        paths: folders of `views` or `sequences`.
        crop_px: side of the network's input, see `around_hand`.
        only_held: of hands that hold something.

    Raises:
        AssetError: a folder cannot be read, holds other images or none.
    """

    def __init__(self, paths: Sequence[Path], crop_px: int, only_held: bool = False):
        self.paths, self.crop_px, self.only_held = paths, crop_px, only_held
        self._folders = [ShardFolder.open(Path(path)) for path in paths]
        wrong = [folder.path for folder in self._folders if folder.kind not in WHOLE]
        if wrong or not self._folders:
            raise AssetError(f"{', '.join(map(str, wrong)) or 'no folder given'}: expected folders of whole images")
        self._ends = list(accumulate(len(folder) for folder in self._folders))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Record:
        rng = np.random.default_rng(index)
        place = index
        for _ in range(_TRIES):
            which = bisect_right(self._ends, place)
            row = place - (self._ends[which - 1] if which else 0)
            sample = self._folders[which].sample(row, "none", meshes=False)
            usable = [
                number
                for number, hand in enumerate(sample.hands[:FRAME_HANDS])
                if is_usable(sample, hand) and (hand.grasp or not self.only_held)
            ]
            if usable:
                number = usable[int(rng.integers(len(usable)))]
                return around_hand(of_hand(record_of(sample, FRAME_HANDS), number), self.crop_px)
            place = int(rng.integers(len(self)))
        wanted = "that holds something" if self.only_held else "to train on"
        raise AssetError(f"none of {_TRIES} images of {', '.join(map(str, self.paths))} has a hand {wanted}")

    def first(self, count: int) -> list[int]:
        """See `TrainingDataset`: spread out, since neighbours are frames of one film."""
        return [int(i) for i in np.linspace(0, len(self) - 1, min(count, len(self)))]

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `TrainingDataset` and `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def backdrop(self, rng: np.random.Generator) -> None:
        """None: backgrounds are cut from crops, whose place in the image fits."""
        return

    def held(self) -> "FrameHands":
        """See `TrainingDataset`."""
        return FrameHands(self.paths, self.crop_px, only_held=True)
