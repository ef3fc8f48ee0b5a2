"""Records of folders of shards, of real datasets, and of several sources in given shares."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS
from prehend.errors import AssetError, InvalidInput
from prehend.types import Box
from prehend_training.data.base import TrainingDataset, drawn_indices
from prehend_training.data.records import CROP_HANDS, FRAME_HANDS, Record, record_of
from prehend_training.datasets.base import Dataset
from prehend_training.datasets.own_hand import as_trained
from prehend_training.sample import FrameId, HandLabel, Sample
from prehend_training.storage.codec import MapsKept
from prehend_training.storage.shards import ShardFolder

_FOLDERS_OF = {"crops": ("crops", "places"), "frames": ("frames", "views", "sequences", "crops")}
"""Kinds of folders whose images are crops of a hand or of a place without one, or to find hands in: crops are the
close-ups of these."""


class ShardDataset:
    """Several folders of shards as one sequence of records, every one of which is seen once an epoch.

    Args:
        paths: the folders.
        pictures: `crops` or (whole) `frames`.
        twins: read de-occluded twins, where there are any; they take time.

    Raises:
        AssetError: a folder cannot be read or holds other images.
    """

    def __init__(self, paths: Sequence[Path], pictures: str, twins: bool = True):
        self.folders = [ShardFolder.open(Path(path)) for path in paths]
        wrong = [folder.path for folder in self.folders if folder.kind not in _FOLDERS_OF[pictures]]
        if wrong or not self.folders:
            raise AssetError(f"{', '.join(map(str, wrong)) or 'no folder given'}: expected folders of {pictures}")
        self._maps: MapsKept = "twin" if twins else "none"
        self._max_hands = CROP_HANDS if pictures == "crops" else FRAME_HANDS
        self._ends = list(accumulate(len(folder) for folder in self.folders))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Record:
        folder, place = self._place(index)
        return record_of(folder.sample(place, self._maps, meshes=False), self._max_hands)

    def holds(self, index: int) -> bool:
        """Whether the first hand of an image holds something."""
        folder, place = self._place(index)
        hands = folder.labels(place)["hands"]
        return bool(hands and hands[0]["grasp"])

    def _place(self, index: int) -> tuple[ShardFolder, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = bisect_right(self._ends, index)
        return self.folders[which], index - (self._ends[which - 1] if which else 0)

    def first(self, count: int) -> list[int]:
        """See `TrainingDataset`."""
        return list(range(min(count, len(self))))

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `TrainingDataset` and `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def backdrop(self, rng: np.random.Generator) -> Record:
        """See `TrainingDataset`."""
        folder, place = self._place(int(rng.integers(len(self))))
        image, segmentation = folder.pixels(place)
        return {"image": image, "segmentation": segmentation}

    def held(self) -> "HeldDataset":
        """See `TrainingDataset`.

        Raises:
            AssetError: no hand holds anything.
        """
        return HeldDataset(self)


class TellsHeld(TrainingDataset, Protocol):
    """Records that tell what is held without their images."""

    def __len__(self) -> int: ...

    def holds(self, index: int) -> bool:
        """Whether the first hand of an image holds something."""
        ...


class HeldDataset:
    """Of some records those whose first hand holds something, each once an epoch.

    Args:
        dataset: the records.

    Raises:
        AssetError: no hand holds anything.
    """

    def __init__(self, dataset: TellsHeld):
        self._dataset = dataset
        self._rows = [row for row in range(len(dataset)) if dataset.holds(row)]
        if not self._rows:
            raise AssetError("no hand of these pictures holds anything: the object stream has nothing to learn from")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Record:
        return self._dataset[self._rows[index]]

    def first(self, count: int) -> list[int]:
        """See `TrainingDataset`."""
        return list(range(min(count, len(self))))

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `TrainingDataset` and `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """See `TrainingDataset`: of all images."""
        return self._dataset.backdrop(rng)

    def held(self) -> "HeldDataset":
        """See `TrainingDataset`."""
        return self


MARGIN = 1.5
"""Half the side of what is kept of an image, over the longer side of the hand's box: the crop after the largest shift,
growth and turn."""
MIN_INSIDE = 0.5
"""Share of the joints that must lie in the image."""
MIN_SIDE_PX = 16.0
_TRIES = 50


class Twins(Protocol):
    """De-occluded images of a dataset, made beforehand."""

    def read(self, frame_id: FrameId) -> NDArray[np.uint8] | None:
        """(H, W, 3) RGB, as large as the image; None where there is none."""
        ...


class RealDataset:
    """The images of a real dataset around their hands; each is drawn once an epoch.

    An image without a usable hand gives way to another one, the same for the same number. Segmentations of datasets
    show hands and objects but no arms, so backgrounds are not replaced (`has_front` is False).

    Args:
        dataset: the reader.
        crop_px: side of the network's input; larger images are shrunk by whole numbers to about its resolution.
        twins: de-occluded images.
    """

    def __init__(self, dataset: Dataset, crop_px: int = 128, twins: Twins | None = None):
        if not len(dataset):
            raise AssetError(f"split {dataset.split} of {dataset.source.title} holds no images")
        self.dataset, self.crop_px, self.twins = dataset, crop_px, twins

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Record:
        others = np.random.default_rng(index)
        place = index
        for _ in range(_TRIES):
            sample = self.dataset[place]
            if sample.hands and is_usable(sample, sample.hands[0]):
                return self._record(sample)
            place = int(others.integers(len(self)))
        raise AssetError(f"none of {_TRIES} images of {self.dataset.source.title} has a hand to train on")

    def _record(self, sample: Sample) -> Record:
        record = record_of(as_trained(sample, self.dataset), CROP_HANDS, whole_front=False)
        if self.twins is not None and (twin := self.twins.read(sample.frame_id)) is not None:
            if twin.shape != sample.image.shape:
                raise AssetError(f"the twin of {sample.frame_id} is not as large as its image: make it again")
            record |= {"deoccluded": twin, "has_twin": np.array(True)}
        return around_hand(record, self.crop_px)

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`: spread out, since neighbours are frames of one film."""
        return [int(i) for i in np.linspace(0, len(self) - 1, min(count, _QUICK, len(self)))]

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset` and `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def backdrop(self, rng: np.random.Generator) -> None:
        """None: see `has_front` above."""
        return

    def held(self) -> "RealDataset":
        """See `TrainingDataset`."""
        return self


_QUICK = 100
"""Images that are looked at before training: each takes about 10 ms."""


def is_usable(sample: Sample, hand: HandLabel) -> bool:
    """Whether a hand is before the camera, large enough, and half of it in the image."""
    x, y = hand.keypoints_px.T
    inside = (x >= 0) & (y >= 0) & (x < sample.camera.width) & (y < sample.camera.height)
    finite = np.isfinite(hand.keypoints_px).all() and (hand.joints_m[:, 2] > 0).all()
    if not finite or inside.sum() < MIN_INSIDE * NUM_JOINTS:
        return False
    box = Box.around(hand.keypoints_px)
    return max(box.width, box.height) >= MIN_SIDE_PX


def around_hand(record: Record, crop_px: int) -> Record:
    """The part of a record's image that crops of the first hand can show, at about their resolution.

    Images are shrunk by the mean of whole blocks of pixels, so pixels stay square; a hand keeps at least the size
    that it has in a crop of `crop_px` with a margin.
    """
    box = Box.around(record["keypoints_px"][0])
    side, (x, y) = max(box.width, box.height), box.center
    height, width = record["image"].shape[:2]
    shrink = max(1, int(side / (0.8 * crop_px)))
    reach = MARGIN * side
    low = np.maximum(np.floor([x - reach, y - reach]), 0).astype(int)
    high = np.minimum(np.ceil([x + reach, y + reach]) + 1, [width, height]).astype(int)
    high -= (high - low) % shrink
    rows, columns = (slice(low[axis], high[axis]) for axis in (1, 0))
    result = dict(record)
    for name in ("image", "deoccluded"):
        if name in record:
            result[name] = _shrunk(record[name][rows, columns], shrink)
    middle = shrink // 2
    result["segmentation"] = record["segmentation"][rows, columns][middle::shrink, middle::shrink].copy()
    # the middle of the first pixel is at 0
    offset = low + (shrink - 1) / 2
    K = np.array(record["K"], np.float64)
    K[:2, 2] -= offset
    K[:2] /= shrink
    result["K"] = K.astype(np.float32)
    for name in ("keypoints_px", "object_keypoints_px"):
        result[name] = ((record[name] - offset) / shrink).astype(np.float32)
    return result


def _shrunk(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """A copy of an image, each block of factor^2 pixels as their mean."""
    if factor == 1:
        return image.copy()
    size = image.shape[1] // factor, image.shape[0] // factor
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.uint8)


class Cached:
    """A dataset that keeps the records it was asked for in memory, until they take so many bytes; none is dropped.

    Which records those are decides nothing but the speed. Every process has its own.
    """

    def __init__(self, dataset: TrainingDataset, limit_bytes: float):
        self.dataset, self.limit_bytes = dataset, limit_bytes
        self._kept: dict[int, Record] = {}
        self._bytes = 0

    def __reduce__(self) -> tuple[type["Cached"], tuple[TrainingDataset, float]]:
        return Cached, (self.dataset, self.limit_bytes)

    def __getitem__(self, index: int) -> Record:
        if index in self._kept:
            return self._kept[index]
        record = self.dataset[index]
        size = sum(value.nbytes for value in record.values())
        if self._bytes + size <= self.limit_bytes:
            self._kept[index] = record
            self._bytes += size
        return record

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`."""
        return self.dataset.first(count)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`."""
        return self.dataset.indices(seed, step, batch_size)

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """See `prehend_training.data.base.TrainingDataset`."""
        return self.dataset.backdrop(rng)

    def held(self) -> "Cached":
        """See `TrainingDataset`."""
        return Cached(self.dataset.held(), self.limit_bytes)


WINDOW = 1000
"""Samples in which every source has its share exactly."""


class MixedDataset:
    """Several sources in given shares: of each `WINDOW` samples every source has its share, in an order by chance.

    A source's own samples come in its own order (shards: each once an epoch of that source), so a small source is seen
    more often than a large one of the same share. Records are numbered through: number n of source k of K is n K + k.

    Args:
        parts: sources and their weights; shares are weights over their sum.

    Raises:
        InvalidInput: a weight is not positive, or a share is less than one sample of a window.
    """

    def __init__(self, parts: Sequence[tuple[TrainingDataset, float]]):
        self.datasets = [dataset for dataset, _ in parts]
        self.counts = window_counts([weight for _, weight in parts])

    def of(self, datasets: Sequence[TrainingDataset]) -> "MixedDataset":
        """The same shares of other sources."""
        return MixedDataset(list(zip(datasets, map(float, self.counts), strict=True)))

    def __getitem__(self, index: int) -> Record:
        number, which = divmod(index, len(self.datasets))
        return self.datasets[which][number]

    def first(self, count: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`: of every source its share."""
        shares = [-(-count * own // WINDOW) for own in self.counts]
        return [
            number * len(self.datasets) + which
            for which, (dataset, share) in enumerate(zip(self.datasets, shares, strict=True))
            for number in dataset.first(share)
        ]

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `prehend_training.data.base.TrainingDataset`."""
        places = range(step * batch_size, (step + 1) * batch_size)
        return [self._drawn(seed, place) for place in places]

    def _drawn(self, seed: int, place: int) -> int:
        window, row = divmod(place, WINDOW)
        sources, earlier = _turns(seed, window, self.counts)
        which = int(sources[row])
        own = window * self.counts[which] + int(earlier[row])
        return self.datasets[which].indices(seed, own, 1)[0] * len(self.datasets) + which

    def backdrop(self, rng: np.random.Generator) -> Record | None:
        """See `prehend_training.data.base.TrainingDataset`: of the sources that have one, as their shares are."""
        order = rng.choice(len(self.datasets), len(self.datasets), replace=False, p=np.divide(self.counts, WINDOW))
        found = (self.datasets[which].backdrop(rng) for which in order)
        return next((record for record in found if record is not None), None)

    def held(self) -> "MixedDataset":
        """See `TrainingDataset`: in the same shares."""
        return self.of([dataset.held() for dataset in self.datasets])


def window_counts(weights: Sequence[float]) -> tuple[int, ...]:
    """Samples of each source in a window, by the largest remainders.

    Raises:
        InvalidInput: see `MixedDataset`.
    """
    shares = np.array(weights, np.float64)
    if not len(shares) or not (np.isfinite(shares) & (shares > 0)).all():
        raise InvalidInput(f"weights of sources are positive numbers, not {', '.join(map(str, weights))}")
    exact = WINDOW * shares / shares.sum()
    counts = exact.astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: WINDOW - counts.sum()]] += 1
    if not counts.all():
        raise InvalidInput(f"a source has less than a {WINDOW}th of the weight: leave it out")
    return tuple(map(int, counts))


@lru_cache(maxsize=4)
def _turns(seed: int, window: int, counts: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(WINDOW,) source of each sample of a window, and how many samples of that source precede it there."""
    sources = np.random.default_rng([seed, window]).permutation(np.repeat(np.arange(len(counts)), counts))
    earlier = np.zeros(WINDOW, np.int64)
    for which, count in enumerate(counts):
        earlier[sources == which] = np.arange(count)
    return sources, earlier
