"""Batches for the networks: drawn by (seed, step) alone, so that a resumed run sees the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import KIND_UNIT_M
from prehend.pipeline.crops.crop import direction_of
from prehend.types import Box
from prehend_training.data.batch import ArrayDict, MadeBatch
from prehend_training.data.crop_targets import (
    absent_targets,
    hand_targets,
    object_targets,
    part_targets,
    still_visible,
)
from prehend_training.data.pixels.draws import PhotometricConfig, PixelChanges, draw_changes
from prehend_training.data.pixels.opencv import crop_arrays
from prehend_training.data.pixels.plans import (
    ALL,
    HELD_ALONE,
    NOTHING,
    PENDING,
    Background,
    CropPixels,
    source_of,
)
from prehend_training.data.records import Record
from prehend_training.data.views import (
    EXACT_VIEW,
    CropView,
    ViewConfig,
    apply_affine,
    draw_box,
    draw_turn,
    image_size,
    mirror,
    mirror_left,
    mirror_right,
    place_box,
    view_of,
)
from prehend_training.objects.symmetry import catalogue


class BatchSource(Protocol):
    """Makes batches by number."""

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> MadeBatch:
        """Arrays with a first axis of samples, the same for the same step; of `part` (k, n) the k-th of n parts."""
        ...


class TrainingDataset(Protocol):
    """Records by number, and which of them a step takes."""

    def first(self, count: int) -> list[int]:
        """Numbers of up to `count` records that are quick to look at before training."""
        ...

    def __getitem__(self, index: int) -> Record: ...

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """Records of a step, the same for the same numbers."""
        ...

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


class SampleSource(Protocol):
    """Makes samples of records, which `stacked` makes batches of."""

    @property
    def dataset(self) -> TrainingDataset:
        """The records."""

    @property
    def seed(self) -> int:
        """With a step's number, decides everything."""

    @property
    def batch_size(self) -> int:
        """Samples a step."""

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """A sample of a record."""


def stacked(source: SampleSource, step: int, part: tuple[int, int]) -> ArrayDict:
    """Part k of n of a batch, see `BatchSource`: row r depends on seed, step and r alone."""
    size, (k, n) = source.batch_size, part
    indices = source.dataset.indices(source.seed, step, size)
    rows = range(k * size // n, (k + 1) * size // n)
    samples = [source.sample(indices[row], np.random.default_rng([source.seed, step, row])) for row in rows]
    return as_batch(samples)


def as_batch(samples: Sequence[ArrayDict]) -> ArrayDict:
    """Samples with a first axis; pixel work that waits for a device stays a list."""
    made: ArrayDict = {}
    for name in samples[0]:
        values: Any = [sample[name] for sample in samples]
        made[name] = values if name == PENDING else np.stack(values)
    return made


@dataclass(frozen=True)
class CropDataConfig:
    """How crops become training samples.

    Attributes:
        size_px: side of the network's input.
        object_grid: cells of the object stage along a side.
        view: how far hand boxes are off.
        object_view: how far object boxes are off.
        whole_object_p: probability that the object stage looks at the whole crop instead of a box.
        photometric: changes of the image; None for none.
        background_p: probability of another background.
        smear_p: probability that the image's edge goes on where it ends, instead of black.
        absent_p: probability that of a crop with a hand a piece without it is shown; a place never shows one.
        wrong_side_p: probability of a hand that is shown as a left one: what the network sees when it is told the
            wrong side.
        grasp_flip_p: probability that the hand stage is told the wrong grasp answer, as the switcher might.
        tells_parts: give which parts of the hand are seen, see `part_targets`.
        describes_objects: tell the object stage what the object is like, and how large it is to the loss.
        kind_unknown_p, kind_wrong_p: probabilities that the object stage is told nothing of the object, or what another
            one of the catalogue is like.
    """

    size_px: int = 128
    object_grid: int = 16
    view: ViewConfig = field(default_factory=ViewConfig)
    object_view: ViewConfig = field(default_factory=lambda: ViewConfig(center=0.12, scale=(0.8, 1.3), aspect=0.1))
    whole_object_p: float = 0.15
    photometric: PhotometricConfig | None = field(default_factory=PhotometricConfig)
    background_p: float = 0.2
    smear_p: float = 0.6
    absent_p: float = 0.12
    wrong_side_p: float = 0.3
    grasp_flip_p: float = 0.03
    tells_parts: bool = False
    describes_objects: bool = False
    kind_unknown_p: float = 0.15
    kind_wrong_p: float = 0.15


def exact(config: CropDataConfig) -> CropDataConfig:
    """The same without any change to the image and with true boxes: for measuring."""
    return replace(
        config,
        view=replace(EXACT_VIEW, upright=config.view.upright),
        object_view=EXACT_VIEW,
        whole_object_p=0.0,
        photometric=None,
        background_p=0.0,
        smear_p=0.0,
        wrong_side_p=0.0,
        grasp_flip_p=0.0,
        kind_unknown_p=0.0,
        kind_wrong_p=0.0,
    )


@dataclass(frozen=True)
class CropBatches:
    """Batches for a crop network: what is drawn, seen and asked is decided here, whatever makes the pixels.

    Attributes:
        dataset: crops; images of them also serve as backgrounds.
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: samples a step.
        twins: give `image_deoccluded`.
        pixels: does the pixel work, or leaves it (`plans.later`) for the device in whose memory the images are.
    """

    dataset: TrainingDataset
    config: CropDataConfig
    seed: int
    batch_size: int
    twins: bool = True
    pixels: Callable[[CropPixels], ArrayDict] = crop_arrays

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """See `sample_of` for the arrays; `image` is (B, S, S, 3) uint8."""
        return stacked(self, step, part)

    def sample(self, index: int, rng: np.random.Generator) -> ArrayDict:
        """The sample of a record by its number, see `sample_of`."""
        return self.sample_of(self.dataset[index], rng)

    def sample_of(self, record: Record, rng: np.random.Generator) -> ArrayDict:
        """One sample.

        Returns:
            image, image_deoccluded: (S, S, 3) uint8, the crop and its twin without objects, changed alike.
            has_twin: () 1 where the twin is known; where it is not, it is the crop itself. Without `twins` there is
            neither of the two.
            grasp_gate: () for the hand stage.
            segments, has_segments: (S / 4, S / 4) 1 the first hand with its arm, 2 what it holds, 0 the rest, and ()
            1 where they are known.
            object_mask: (grid**2,) 1 for cells of the object's box whose middle shows the object.
            And those of `hand_targets` and `object_targets`, and of `_described` where the config asks for them.
        """
        absent, wrong_side = rng.random(2) < (self.config.absent_p, self.config.wrong_side_p)
        absent &= record["has_beside"]
        if not record["hand_count"]:
            sample, pixels = self._place(mirror(record) if wrong_side else record, rng)
        elif absent:
            sample, pixels = self._absent(mirror_left(record), rng)
        else:
            sample, pixels = self._present(mirror_right(record) if wrong_side else mirror_left(record), rng)
        flip = rng.random() < self.config.grasp_flip_p
        sample["grasp_gate"] = np.float32(1 - sample["grasp"] if flip else sample["grasp"])[...]
        if self.config.tells_parts:
            parts = part_targets(record, sample["visible"])
            sample |= parts if sample["presence"] else {name: np.zeros_like(value) for name, value in parts.items()}
        if self.config.describes_objects:
            sample |= self._described(record, rng)
        return sample | self.pixels(pixels)

    def _present(self, record: Record, rng: np.random.Generator) -> tuple[ArrayDict, CropPixels]:
        view = self._view(record, rng)
        smear = rng.random() < self.config.smear_p
        wanted = rng.random() < self.config.background_p and record["has_front"]
        background = self._background(rng) if wanted else None
        sample = hand_targets(record, view) | object_targets(record, view)
        return self._finished(sample, record, view, rng, smear=smear, background=background)

    def _described(self, record: Record, rng: np.random.Generator) -> ArrayDict:
        """What the object stage is told of the object: all, nothing, or something wrong.

        Returns:
            object_kind: (10,) see `object_catalogue.object_kind`. kind_match: () 1 where it fits.
            object_extents: (3,) the object's true size [m].
        """
        config, drawn, kind = self.config, rng.random(), record["object_kind"][0]
        told, match = kind, True
        if drawn < config.kind_unknown_p:
            told = np.zeros_like(kind)
        elif drawn < config.kind_unknown_p + config.kind_wrong_p:
            things = list(catalogue().values())
            told = things[int(rng.integers(len(things)))].kind
            match = bool(np.allclose(told, kind, atol=0.05))
        return {
            "object_kind": np.array(told, np.float32),
            "kind_match": np.float32(match)[...],
            "object_extents": np.float32(KIND_UNIT_M) * np.exp(kind[1:4]),
        }

    def _view(self, record: Record, rng: np.random.Generator) -> CropView:
        """A view of the hand, with boxes of hand and object as a detector would give them."""
        config, size = self.config, image_size(record)
        # of a hand that is known by its box alone the direction is not known either
        known = record["has_keypoints"][0]
        direction = direction_of(record["keypoints_px"][0]) if known else rng.uniform(-np.pi, np.pi)
        turn = draw_turn(size, config.view, rng, direction)
        hand = draw_box(Box.around(apply_affine(turn, record["keypoints_px"][0])), config.view, rng)
        thing = None
        if record["has_object"][0] and rng.random() >= config.whole_object_p:
            points = apply_affine(turn, record["object_keypoints_px"][0, 0])
            thing = draw_box(Box.around(points), config.object_view, rng)
        return view_of(turn, hand, thing, size, record["K"], config.size_px)

    def _finished(
        self,
        sample: ArrayDict,
        record: Record,
        view: CropView,
        rng: np.random.Generator,
        *,
        smear: bool = False,
        background: Background | None = None,
        front: int = ALL,
    ) -> tuple[ArrayDict, CropPixels]:
        """A sample with its pixel work. Changes are the same for the image and its twin; joints behind an erased patch
        are no longer visible."""
        config, size, place = self.config, self.config.size_px, not record["hand_count"]
        changes: PixelChanges | None = None
        if config.photometric is not None:
            changes = draw_changes(config.photometric, (size, size), rng)
            places = apply_affine(view.affine, record["keypoints_px"][0])
            sample["visible"] = still_visible(sample["visible"], places, changes.patches, size)
        # an arm in a place is nobody's, hence no segments are asked for
        sample["has_segments"] = np.float32(0 if place else record["has_segments"])[...]
        present = bool(sample["presence"])
        if self.twins:
            sample["has_twin"] = np.float32(record["has_twin"] if present else 0)[...]
        pixels = CropPixels(
            source=source_of(record),
            front=front,
            affine=view.affine,
            size_px=size,
            twin=self.twins,
            own_twin=self.twins and present,
            smear=smear,
            background=background,
            changes=changes,
            unlabelled=bool(place),
            object_box=view.spec.object_box if present else None,
            grid=config.object_grid,
        )
        return sample, pixels

    def _absent(self, record: Record, rng: np.random.Generator) -> tuple[ArrayDict, CropPixels]:
        """A crop beside the hand, of a background, or of what was held without the hand; the latter where the record
        tells what is in front."""
        kind = int(rng.integers(3)) if record["has_front"] else 0
        background = self._background(rng) if kind else None
        if background is None:
            kind = 0
        view = self._view_beside(record, rng) if kind == 0 else self._view(record, rng)
        front = (ALL, HELD_ALONE, NOTHING)[kind]
        return self._finished(self._no_hand(record, view), record, view, rng, background=background, front=front)

    def _place(self, record: Record, rng: np.random.Generator) -> tuple[ArrayDict, CropPixels]:
        """A place that a detector took for a hand."""
        size = image_size(record)
        turn = draw_turn(size, self.config.view, rng)
        box = draw_box(place_box(size), self.config.view, rng)
        view = view_of(turn, box, None, size, record["K"], self.config.size_px)
        smear = rng.random() < self.config.smear_p
        return self._finished(self._no_hand(record, view), record, view, rng, smear=smear)

    def _no_hand(self, record: Record, view: CropView) -> ArrayDict:
        return absent_targets(view) | object_targets({**record, "grasp": np.zeros(1, np.bool_)}, view)

    def _view_beside(self, record: Record, rng: np.random.Generator) -> CropView:
        """A box of the hand's size that hardly overlaps the hand's."""
        box, size = Box.around(record["keypoints_px"][0]), image_size(record)
        side, angle = max(box.width, box.height), rng.uniform(0, 2 * np.pi)
        center = np.array(box.center) + side * rng.uniform(1.0, 1.4) * np.array([np.cos(angle), np.sin(angle)])
        x, y = center.clip(0, np.array(size) - 1)
        half = side / 2 * rng.uniform(0.5, 0.9)
        beside = Box(x - half, y - half, x + half, y + half)
        return view_of(np.eye(2, 3), beside, None, size, record["K"], self.config.size_px)

    def _background(self, rng: np.random.Generator) -> Background | None:
        """A piece of another sample, turned by quarters; None where no sample tells what is in front."""
        record = self.dataset.backdrop(rng)
        if record is None:
            return None
        width, height = image_size(record)
        side = int(rng.uniform(0.5, 1.0) * min(width, height))
        top, left = rng.integers(0, np.array([height, width]) - side + 1)
        return Background(source_of(record), side, (int(top), int(left)), int(rng.integers(4)))
