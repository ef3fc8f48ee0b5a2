"""Windows of films as samples: a hand now, and the same hand one and two strides of time before.

A window is drawn by (seed, step, row) alone, and whatever changes it changes all its frames alike.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from prehend.errors import AssetError
from prehend_training.data.base import drawn_indices, joined, samples_of
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import part_targets
from prehend_training.data.hand_crops import draw_view, hand_crop
from prehend_training.data.pixels.draws import PhotometricConfig, draw_changes
from prehend_training.data.records import Record, of_hand, record_of
from prehend_training.data.stores.datasets import MixedDataset, around_hand, is_usable
from prehend_training.data.stores.groups import GroupSource
from prehend_training.data.stores.open import DataSource, open_groups
from prehend_training.data.views import (
    EXACT_VIEW,
    CropView,
    ViewConfig,
    mirror_left,
)
from prehend_training.sample import Film, Sample

_TRIES = 50
_HANDS = 2
"""Of a person: a hand is known again in other frames by its side."""


@dataclass(frozen=True)
class Strides:
    """Which frames a window has.

    Attributes:
        frames: of a window.
        stride_s: time between them [s].
        jitter: how far a frame may be off in time, as a share of the stride: cameras do not keep time.
        cut_p: probability that a window's older frames are left out, from some frame on, as at the start of a track.
    """

    frames: int = 3
    stride_s: float = 1 / 6
    jitter: float = 0.2
    cut_p: float = 0.15


@dataclass(frozen=True)
class WindowDataConfig(Strides):
    """How windows become training samples; what is not explained is as in `CropDataConfig`."""

    size_px: int = 128
    view: ViewConfig = field(default_factory=ViewConfig)
    photometric: PhotometricConfig | None = field(default_factory=PhotometricConfig)
    smear_p: float = 0.6


def exact_windows(config: WindowDataConfig) -> WindowDataConfig:
    """The same without any change and with true boxes and strides: for measuring."""
    view = replace(EXACT_VIEW, upright=config.view.upright)
    return replace(config, jitter=0.0, cut_p=0.0, view=view, photometric=None, smear_p=0.0)


def draw_offsets(config: Strides, rng: np.random.Generator) -> tuple[list[float], int]:
    """How long before the current frame a window's older ones are, rising [s], and how many frames it keeps."""
    older = np.arange(1, config.frames)
    offsets_s = config.stride_s * (older + rng.uniform(-config.jitter, config.jitter, len(older)))
    kept = 1 + int(rng.integers(config.frames - 1)) if rng.random() < config.cut_p else config.frames
    return offsets_s.tolist(), kept


def rows_before(film: Film, at: int, offsets_s: Sequence[float]) -> list[int | None]:
    """The images of a film that are nearest to some times before one of them.

    Args:
        film: the film.
        at: which of its images is meant by now.
        offsets_s: how long before, rising [s].

    Returns:
        For each a place in `film.rows`; None before the film begins, in a gap, and where it would be an image that
        stands for another time already.
    """
    places: list[int | None] = []
    last, before_s = at, 0.0
    for offset in offsets_s:
        off = np.abs(film.times_s - (film.times_s[at] - offset))
        place = int(off.argmin())
        found = place < last and off[place] <= (offset - before_s) / 2
        places.append(place if found else None)
        last, before_s = place if found else last, offset
    return places


class WindowDataset:
    """Every image of some films with the images before it; each is drawn once an epoch.

    An image without a usable hand gives way to another one, the same for the same number.

    Args:
        source: the films.
        crop_px: side of the network's input, see `around_hand`.

    Raises:
        AssetError: its images are no films.
    """

    def __init__(self, source: GroupSource, crop_px: int):
        self.source, self.crop_px = source, crop_px
        self.films = source.films()
        self._ends = list(accumulate(len(film.rows) for film in self.films))
        if not self._ends or not self._ends[-1]:
            raise AssetError(f"{source.name} has no films, which windows are cut from: choose DexYCB or HO-3D")

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> "WindowPlace":
        """A film and a place in it, by the number of the window."""
        film = bisect_right(self._ends, index)
        return WindowPlace(self, film, index - (self._ends[film - 1] if film else 0), index)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """Windows of a step, see `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def first(self, count: int) -> list[int]:
        """The first of them."""
        return list(range(min(count, len(self))))

    def backdrop(self, rng: np.random.Generator) -> None:
        """None: backgrounds of films stay."""
        return

    def records(self, place: "WindowPlace", offsets_s: Sequence[float]) -> list[Record | None]:
        """The hand at a place of a film, then before, each with the image around it; None where it is not known."""
        film, at = self.films[place.film], place.at
        others = np.random.default_rng(place.index)
        for _ in range(_TRIES):
            sample = self.source.sample(film.rows[at])
            usable = [row for row, hand in enumerate(sample.hands[:_HANDS]) if is_usable(sample, hand)]
            if usable:
                row = usable[int(others.integers(len(usable)))]
                side = sample.hands[row].side
                before = rows_before(film, at, offsets_s)
                older = [None if k is None else self._of_side(self.source.sample(film.rows[k]), side) for k in before]
                return [self._record(sample, row), *older]
            another = self[int(others.integers(len(self)))]
            film, at = self.films[another.film], another.at
        raise AssetError(f"none of {_TRIES} images of {self.source.name} has a hand to train on")

    def _of_side(self, sample: Sample, side: str) -> Record | None:
        rows = [row for row, hand in enumerate(sample.hands[:_HANDS]) if hand.side == side and is_usable(sample, hand)]
        return self._record(sample, rows[0]) if rows else None

    def _record(self, sample: Sample, row: int) -> Record:
        return around_hand(of_hand(record_of(sample, _HANDS), row), self.crop_px)


@dataclass(frozen=True)
class WindowPlace:
    """Where a window ends: film and image of a dataset, and the number of the window."""

    dataset: WindowDataset
    film: int
    at: int
    index: int


@dataclass(frozen=True)
class WindowBatches:
    """Batches of windows for a network that looks at several frames.

    Attributes:
        dataset: of windows, or a mixture of such.
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: windows a step.
    """

    dataset: WindowDataset | MixedDataset
    config: WindowDataConfig
    seed: int
    batch_size: int

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """Rows [F k, F (k + 1)) are the frames of window k, the current one first; see `sample` for the arrays."""
        return joined(samples_of(self, step, part))

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """One window.

        Returns:
            image: (F, S, S, 3) uint8.
            known: (F,) 1 for frames that are there; in the others all is that of the current one.
            turn: (F, 3, 3) from each frame's crop frame to the current one's; the camera is taken to stand still.
            And those of `hand_targets` and `part_targets`.
        """
        records = self._records(index, rng)
        smear = rng.random() < self.config.smear_p
        view_seed, look_seed = (int(seed) for seed in rng.integers(2**63, size=2))
        views = [None if one is None else self._view(one, np.random.default_rng(view_seed)) for one in records]
        now, changes = views[0], None
        assert now is not None
        if self.config.photometric is not None:
            size = self.config.size_px
            changes = draw_changes(self.config.photometric, (size, size), np.random.default_rng(look_seed))
        frames: list[ArrayDict] = []
        for record, view in zip(records, views, strict=True):
            if record is None or view is None:
                frames.append(frames[0] | {"known": np.float32(0)[...]})
                continue
            frame = hand_crop(record, view, smear, changes)
            frame |= part_targets(record, frame["visible"])
            turn = (now.R_crop_camera @ view.R_crop_camera.T).astype(np.float32)
            frames.append(frame | {"turn": turn, "known": np.float32(1)[...]})
        return {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}

    def _records(self, index: int, rng: np.random.Generator) -> list[Record | None]:
        offsets_s, kept = draw_offsets(self.config, rng)
        place = self.dataset[index]
        assert isinstance(place, WindowPlace)
        found = place.dataset.records(place, offsets_s)
        return [None if record is None or k >= kept else mirror_left(record) for k, record in enumerate(found)]

    def _view(self, record: Record, rng: np.random.Generator) -> CropView:
        return draw_view(record, self.config.view, self.config.size_px, rng)


def open_windows(data: DataSource, crop_px: int) -> WindowDataset | MixedDataset:
    """The windows of a source.

    Args:
        data: folders of rendered sequences, a dataset with films, or a mixture of such.
        crop_px: side of the network's input.

    Raises:
        AssetError: the source is not there or has no films.
        InvalidInput: weights are not usable.
    """
    return open_groups(data, "sequences", lambda source, _: WindowDataset(source, crop_px))
