"""Moments that several calibrated cameras see: of folders of rendered views, of HanCo and of DexYCB."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from prehend.conventions import SIDES
from prehend.errors import AssetError
from prehend.types import FloatArray
from prehend_training.data.base import drawn_indices
from prehend_training.data.records import FRAME_HANDS, Record, of_hand, record_of
from prehend_training.data.stores.datasets import MixedDataset, around_hand, is_usable
from prehend_training.data.stores.groups import GroupSource
from prehend_training.data.stores.open import DataSource, open_groups
from prehend_training.sample import HandLabel, Sample

SAME_HAND_M = 0.05
"""Wrists of one hand, seen by two cameras, are nearer to each other than this."""
LEAST_VIEWS = 2
_TRIES = 50
_CHECKED = 5
"""Moments that are looked at when a source is opened: do its cameras agree?"""


@dataclass(frozen=True)
class HandInView:
    """A hand as one camera sees it.

    Attributes:
        record: the image around it, of this hand alone.
        T_camera_world: (4, 4) of the camera.
        row: of the image.
    """

    record: Record
    T_camera_world: FloatArray
    row: int


class SeenLabel(NamedTuple):
    """A hand in the image of one camera.

    Attributes:
        sample: the image. hand: its label there. row: of the image.
    """

    sample: Sample
    hand: HandLabel
    row: int


class InstantDataset:
    """Every moment of a source; each is drawn once an epoch.

    A moment whose hand fewer than two cameras see gives way to another one, the same for the same number.

    Args:
        source: the moments.
        crop_px: side of the network's input, see `around_hand`.
        limit_bytes: how much of what was read is kept in memory; it changes the speed alone.

    Raises:
        AssetError: the source has one camera alone, or its cameras do not agree on where the hand is.
    """

    def __init__(self, source: GroupSource, crop_px: int, limit_bytes: float = 0.0):
        self.source, self.crop_px = source, crop_px
        self._left_bytes, self._kept = limit_bytes, dict[int, list[HandInView]]()
        self.instants = [rows for rows in source.moments() if len(rows) >= LEAST_VIEWS]
        if not self.instants:
            raise AssetError(
                f"{source.name} has one camera: several views of a moment need folders of `scenes --kind views`, "
                "HanCo or DexYCB"
            )
        self._check_poses()

    def _check_poses(self) -> None:
        """Raise `AssetError` if most pairs of cameras that see a hand do not see it in one place."""
        gaps = [gap for number in self.first(_CHECKED) for gap in self._gaps(self.instants[number])]
        near = sum(gap <= SAME_HAND_M for gap in gaps)  # not a number is not near
        if 2 * near < len(gaps):
            raise AssetError(
                f"{self.source.name} has views without poses: its cameras see the same wrist {max(gaps):.2f} m apart; "
                "give calibrated views (T_camera_world of each)"
            )

    def _gaps(self, rows: Sequence[int]) -> list[float]:
        """How far the nearest wrists of one side are apart, of every two views that show some [m]."""
        seen = [
            {side: [wrist_of(sample, hand) for hand in _usable(sample) if hand.side == side] for side in SIDES}
            for sample in map(self.source.sample, rows)
        ]
        return [
            min(float(np.linalg.norm(a - b)) for a in one[side] for b in other[side])
            for one, other in combinations(seen, 2)
            for side in SIDES
            if one[side] and other[side]
        ]

    def __len__(self) -> int:
        return len(self.instants)

    def __getitem__(self, index: int) -> "Instant":
        """A moment by its number."""
        return Instant(self, index)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """Moments of a step, see `drawn_indices`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def first(self, count: int) -> list[int]:
        """The first of them."""
        return list(range(min(count, len(self))))

    def backdrop(self, rng: np.random.Generator) -> None:
        """None: backgrounds of views stay."""
        return

    def seen(self, index: int) -> list[HandInView]:
        """A hand of a moment in every view that shows it, in the order of the cameras.

        Raises:
            AssetError: no moment has a hand that two cameras see.
        """
        if index not in self._kept:
            hands = self._read(index)
            size = sum(value.nbytes for hand in hands for value in hand.record.values())
            if size > self._left_bytes:
                return hands
            self._left_bytes -= size
            self._kept[index] = hands
        return self._kept[index]

    def _read(self, index: int) -> list[HandInView]:
        return [self._seen(label) for label in self.labels(index)]

    def labels(self, index: int) -> list[SeenLabel]:
        """The hand of `seen` as its source labels it, in whole images.

        Raises:
            AssetError: see `seen`.
        """
        others = np.random.default_rng(index)
        for _ in range(_TRIES):
            found = self._hand_of(self.instants[index], others)
            if len(found) >= LEAST_VIEWS:
                return found
            index = int(others.integers(len(self)))
        raise AssetError(f"none of {_TRIES} moments of {self.source.name} has a hand that two cameras see")

    def _hand_of(self, rows: Sequence[int], rng: np.random.Generator) -> list[SeenLabel]:
        samples = [(row, self.source.sample(row)) for row in rows]
        places = [(row, sample, hand) for row, sample in samples for hand in _usable(sample)]
        if not places:
            return []
        _, sample, chosen = places[int(rng.integers(len(places)))]
        side, wrist = chosen.side, wrist_of(sample, chosen)
        found = []
        for row, sample in samples:
            off = {
                float(np.linalg.norm(wrist_of(sample, hand) - wrist)): hand
                for hand in _usable(sample)
                if hand.side == side
            }
            if off and min(off) <= SAME_HAND_M:
                found.append(SeenLabel(sample, off[min(off)], row))
        return found

    def _seen(self, label: SeenLabel) -> HandInView:
        sample, hand, row = label
        number = next(k for k, other in enumerate(sample.hands) if other is hand)
        record = around_hand(of_hand(record_of(sample, FRAME_HANDS), number), self.crop_px)
        return HandInView(record, np.asarray(sample.T_camera_world, np.float64), row)


@dataclass(frozen=True)
class Instant:
    """A moment of a dataset by its number."""

    dataset: InstantDataset
    index: int

    def seen(self) -> list[HandInView]:
        """See `InstantDataset.seen`."""
        return self.dataset.seen(self.index)


class FirstViews:
    """One view of each moment, as what a crop network's training looks at before it begins.

    Args:
        moments: of `open_instants`.
    """

    def __init__(self, moments: InstantDataset | MixedDataset):
        self.moments = moments

    def __getitem__(self, index: int) -> Record:
        moment = self.moments[index]
        assert isinstance(moment, Instant)
        return moment.seen()[0].record

    def first(self, count: int) -> list[int]:
        """See `TrainingDataset`."""
        return self.moments.first(count)

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `TrainingDataset`."""
        return self.moments.indices(seed, step, batch_size)

    def backdrop(self, rng: np.random.Generator) -> None:
        """None: backgrounds of views stay."""
        return

    def held(self) -> "FirstViews":
        """See `TrainingDataset`: all of them."""
        return self


def _usable(sample: Sample) -> list[HandLabel]:
    return [hand for hand in sample.hands[:FRAME_HANDS] if hand.has_joints and is_usable(sample, hand)]


def wrist_of(sample: Sample, hand: HandLabel) -> FloatArray:
    """(3,) the wrist of a hand in the world of its image's camera [m]."""
    T = np.asarray(sample.T_camera_world, np.float64)
    return T[:3, :3].T @ (np.asarray(hand.joints_m[0], np.float64) - T[:3, 3])


def open_instants(data: DataSource, crop_px: int, limit_bytes: float = 0.0) -> InstantDataset | MixedDataset:
    """The moments of a source.

    Args:
        data: folders of rendered views, a dataset of several cameras, or a mixture of such.
        crop_px: side of the network's input.
        limit_bytes: see `InstantDataset`; a mixture has its own.

    Raises:
        AssetError: the source is not there, has one camera alone or cameras without poses.
        InvalidInput: weights are not usable.
    """
    return open_groups(data, "views", lambda source, limit: InstantDataset(source, crop_px, limit), limit_bytes)
