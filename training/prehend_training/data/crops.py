"""Batches for the networks: drawn by (seed, step) alone, so that a resumed run sees the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import KIND_UNIT_M
from prehend.pipeline.crop import direction_of
from prehend.types import Box
from prehend_training.data.batch import Arrays, MadeBatch
from prehend_training.data.crop_targets import (
    SEGMENT_OBJECT,
    absent_targets,
    coarse_segments,
    hand_targets,
    object_targets,
    part_targets,
    still_visible,
    warp,
    warp_segments,
)
from prehend_training.data.pixels import (
    PhotometricConfig,
    change_colour,
    degrade,
    erase,
    paste,
    without_front,
)
from prehend_training.data.records import Record
from prehend_training.data.views import (
    EXACT_VIEW,
    View,
    ViewConfig,
    apply_affine,
    draw_box,
    draw_turn,
    mirror,
    mirror_left,
    mirror_right,
    place_box,
    view_of,
)
from prehend_training.objects.symmetry import catalogue

OUTSIDE = 254
"""Number in a crop's segmentation where the stored picture ends."""


_PAIR = ("image", "deoccluded")


class BatchSource(Protocol):
    """Makes batches by number."""

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> MadeBatch:
        """Arrays with a first axis of samples, the same for the same step; of `part` (k, n) the k-th of n parts."""
        ...


class Corpus(Protocol):
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


def image_size(record: Record) -> tuple[int, int]:
    """Width and height of a record's picture [px]."""
    height, width = record["image"].shape[:2]
    return width, height


@lru_cache(maxsize=16)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def drawn_indices(seed: int, step: int, batch_size: int, count: int) -> list[int]:
    """Samples of a step: every sample once an epoch, in an order that depends on the seed and the epoch."""
    places = range(step * batch_size, (step + 1) * batch_size)
    return [int(_order(seed, place // count, count)[place % count]) for place in places]


class ExampleSource(Protocol):
    """Makes samples of records, which `stacked` makes batches of."""

    @property
    def corpus(self) -> Corpus:
        """The records."""

    @property
    def seed(self) -> int:
        """With a step's number, decides everything."""

    @property
    def batch_size(self) -> int:
        """Samples a step."""

    def example(self, index: int, rng: np.random.Generator) -> Arrays:
        """A sample of a record."""


def stacked(source: ExampleSource, step: int, part: tuple[int, int]) -> Arrays:
    """Part k of n of a batch, see `BatchSource`: row r depends on seed, step and r alone."""
    size, (k, n) = source.batch_size, part
    indices = source.corpus.indices(source.seed, step, size)
    rows = range(k * size // n, (k + 1) * size // n)
    examples = [source.example(indices[row], np.random.default_rng([source.seed, step, row])) for row in rows]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


@dataclass(frozen=True)
class CropDataConfig:
    """How crops become training samples.

    Attributes:
        size_px: side of the network's input.
        object_grid: cells of the object stage along a side.
        view: how far hand boxes are off.
        object_view: how far object boxes are off.
        whole_object_p: probability that the object stage looks at the whole crop instead of a box.
        photometric: changes of the picture; None for none.
        background_p: probability of another background.
        smear_p: probability that the picture's edge goes on where it ends, instead of black.
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
    """The same without any change to the picture and with true boxes: for measuring."""
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
    """Batches for a crop network.

    Attributes:
        corpus: crops; pictures of them also serve as backgrounds.
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: samples a step.
        twins: give `image_deoccluded`.
    """

    corpus: Corpus
    config: CropDataConfig
    seed: int
    batch_size: int
    twins: bool = True

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> Arrays:
        """See `example` for the arrays; `image` is (B, S, S, 3) uint8."""
        return stacked(self, step, part)

    def example(self, index: int, rng: np.random.Generator) -> Arrays:
        """One sample.

        Returns:
            image, image_deoccluded: (S, S, 3) uint8, the crop and its twin without objects, changed alike.
            has_twin: () 1 where the twin is known; where it is not, it is the crop itself. Without `twins` there is
                neither of the two.
            grasp_gate: () for the hand stage.
            segments, has_segments: (S / 4, S / 4) see `coarse_segments`, and () 1 where they are known.
            And those of `hand_targets` and `object_targets`, and of `_described` where the config asks for them.
        """
        record = self.corpus[index]
        absent, wrong_side = rng.random(2) < (self.config.absent_p, self.config.wrong_side_p)
        absent &= record["has_beside"]
        if not record["hand_count"]:
            example = self._place(mirror(record) if wrong_side else record, rng)
        elif absent:
            example = self._absent(mirror_left(record), rng)
        else:
            example = self._present(mirror_right(record) if wrong_side else mirror_left(record), rng)
        flip = rng.random() < self.config.grasp_flip_p
        example["grasp_gate"] = np.float32(1 - example["grasp"] if flip else example["grasp"])[...]
        if self.config.tells_parts:
            parts = part_targets(record, example["visible"])
            example |= parts if example["presence"] else {name: np.zeros_like(value) for name, value in parts.items()}
        return example | self._described(record, rng) if self.config.describes_objects else example

    def _present(self, record: Record, rng: np.random.Generator) -> Arrays:
        config = self.config
        view = self._view(record, rng)
        smear = rng.random() < config.smear_p
        pair = _PAIR if self.twins else _PAIR[:1]
        images = [warp(record[name], view, config.size_px, smear) for name in pair if name in record]
        segments = warp_segments(record["segmentation"], view, config.size_px, OUTSIDE)
        wanted = rng.random() < config.background_p and record["has_front"]
        if wanted and (backdrop := self._backdrop(rng)) is not None:
            keeps = [((segments > 0) & (segments != OUTSIDE)).astype(np.uint8)]
            if len(images) > 1:
                keeps.append(warp_segments(record["deoccluded_front"], view, config.size_px, 0))
            images = [paste(image, keep, backdrop) for image, keep in zip(images, keeps, strict=True)]
        example = hand_targets(record, view) | object_targets(record, view, segments, config.object_grid)
        example["segments"] = coarse_segments(segments)
        example["has_segments"] = np.float32(record["has_segments"])[...]
        return self._change(images, view, record, example, rng)

    def _described(self, record: Record, rng: np.random.Generator) -> Arrays:
        """What the object stage is told of the object: all, nothing, or something wrong.

        Returns:
            object_kind: (10,) see `pipeline.objects.object_kind`. kind_match: () 1 where it fits.
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

    def _view(self, record: Record, rng: np.random.Generator) -> View:
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

    def _change(
        self,
        images: list[NDArray[np.uint8]],
        view: View,
        record: Record,
        example: Arrays,
        rng: np.random.Generator,
    ) -> Arrays:
        """Photometric changes, the same for the picture and its twin; joints behind an erased patch are no longer
        visible."""
        photometric = self.config.photometric
        if photometric is not None:
            start = rng.bit_generator.state
            images[0], hidden = photometric_change(images[0], photometric, rng)
            images[1:] = [photometric_change(image, photometric, generator_at(start))[0] for image in images[1:]]
            places = apply_affine(view.affine, record["keypoints_px"][0])
            example["visible"] = still_visible(example["visible"], places, hidden)
        example["image"] = images[0]
        if self.twins:
            example["image_deoccluded"] = images[-1]
            example["has_twin"] = np.float32(record["has_twin"])[...]
        return example

    def _absent(self, record: Record, rng: np.random.Generator) -> Arrays:
        """A crop beside the hand, of a background, or of what was held without the hand; the latter where the record
        tells what is in front."""
        size, kind = self.config.size_px, rng.integers(3) if record["has_front"] else 0
        backdrop = self._backdrop(rng) if kind else None
        if backdrop is None:
            kind = 0
        view = self._view_beside(record, rng) if kind == 0 else self._view(record, rng)
        segments = warp_segments(record["segmentation"], view, size, OUTSIDE)
        image = warp(record["image"], view, size)
        if backdrop is not None and kind == 1:
            segments = segments * (segments == SEGMENT_OBJECT)
            image = paste(image, (segments > 0).view(np.uint8), backdrop)
        elif backdrop is not None:
            segments, image = np.zeros_like(segments), backdrop
        return self._without_hand(image, segments, view, record, rng)

    def _place(self, record: Record, rng: np.random.Generator) -> Arrays:
        """A place that a detector took for a hand; an arm in it is nobody's, hence no segments are asked for."""
        size = image_size(record)
        turn = draw_turn(size, self.config.view, rng)
        box = draw_box(place_box(size), self.config.view, rng)
        view = view_of(turn, box, None, size, record["K"], self.config.size_px)
        image = warp(record["image"], view, self.config.size_px, rng.random() < self.config.smear_p)
        nothing = np.zeros(image.shape[:2], np.uint8)
        return self._without_hand(image, nothing, view, {**record, "has_segments": np.array(False)}, rng)

    def _without_hand(
        self,
        image: NDArray[np.uint8],
        segments: NDArray[np.uint8],
        view: View,
        record: Record,
        rng: np.random.Generator,
    ) -> Arrays:
        bare = {**record, "grasp": np.zeros(1, np.bool_), "has_twin": np.array(False)}
        nothing = np.zeros_like(segments)
        example = absent_targets(view) | object_targets(bare, view, nothing, self.config.object_grid)
        example["segments"] = coarse_segments(segments)
        example["has_segments"] = np.float32(record["has_segments"])[...]
        return self._change([image], view, bare, example, rng)

    def _view_beside(self, record: Record, rng: np.random.Generator) -> View:
        """A box of the hand's size that hardly overlaps the hand's."""
        box, size = Box.around(record["keypoints_px"][0]), image_size(record)
        side, angle = max(box.width, box.height), rng.uniform(0, 2 * np.pi)
        center = np.array(box.center) + side * rng.uniform(1.0, 1.4) * np.array([np.cos(angle), np.sin(angle)])
        x, y = center.clip(0, np.array(size) - 1)
        half = side / 2 * rng.uniform(0.5, 0.9)
        beside = Box(x - half, y - half, x + half, y + half)
        return view_of(np.eye(2, 3), beside, None, size, record["K"], self.config.size_px)

    def _backdrop(self, rng: np.random.Generator) -> NDArray[np.uint8] | None:
        """(S, S, 3) piece of another sample, its front filled up from around, turned by quarters; None where no sample
        tells what is in front."""
        record, size = self.corpus.backdrop(rng), self.config.size_px
        if record is None:
            return None
        filled = without_front(np.asarray(record["image"]), np.asarray(record["segmentation"]) > 0)
        side = int(rng.uniform(0.5, 1.0) * min(filled.shape[:2]))
        top, left = rng.integers(0, np.array(filled.shape[:2]) - side + 1)
        piece = np.rot90(filled[top : top + side, left : left + side], int(rng.integers(4)))
        return np.asarray(cv2.resize(np.ascontiguousarray(piece), (size, size)), np.uint8)


def generator_at(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator that draws what one in this state would."""
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    return generator


def photometric_change(
    image: NDArray[np.uint8], config: PhotometricConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture in other light, erased in places and seen by a worse camera, and the mask of what was erased. What is
    drawn by chance does not depend on the picture."""
    image, hidden = erase(change_colour(image, config, rng), config, rng)
    return degrade(image, config, rng), hidden
