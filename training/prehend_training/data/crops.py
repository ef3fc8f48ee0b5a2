"""Batches for the crop networks: drawn by (seed, step) alone, so that a resumed run sees the same."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prehend.conventions import KIND_UNIT_M
from prehend_training.data.base import TrainingDataset, stacked
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import part_targets, still_visible
from prehend_training.data.cuts import CropDataConfig, Cut, draw_cut
from prehend_training.data.pixels.draws import PixelChanges, draw_changes
from prehend_training.data.pixels.opencv import crop_arrays
from prehend_training.data.pixels.plans import CropPixels, source_of
from prehend_training.data.records import Record
from prehend_training.data.views import apply_affine
from prehend_training.objects.symmetry import catalogue


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
        config, size = self.config, self.config.size_px
        cut = draw_cut(record, config, self.dataset, rng)
        changes = None
        if config.photometric is not None:
            changes = draw_changes(config.photometric, (size, size), rng, resolution=cut.view.resolution)
        sample = self._labels(cut, changes)
        flip = rng.random() < config.grasp_flip_p
        sample["grasp_gate"] = np.float32(1 - sample["grasp"] if flip else sample["grasp"])[...]
        if config.tells_parts:
            parts = part_targets(cut.record, sample["visible"])
            sample |= parts if cut.has_hand else {name: np.zeros_like(value) for name, value in parts.items()}
        if config.describes_objects:
            sample |= self._described(record, rng)
        return sample | self.pixels(self._pixel_work(cut, changes))

    def _labels(self, cut: Cut, changes: PixelChanges | None) -> ArrayDict:
        """What the crop asks; joints behind an erased patch are no longer visible."""
        sample = dict(cut.targets)
        if changes is not None:
            places = apply_affine(cut.view.affine, cut.record["keypoints_px"][0])
            sample["visible"] = still_visible(sample["visible"], places, changes.patches, self.config.size_px)
        sample["has_segments"] = np.float32(cut.labelled and cut.record["has_segments"])[...]
        if self.twins:
            sample["has_twin"] = np.float32(cut.has_hand and cut.record["has_twin"])[...]
        return sample

    def _pixel_work(self, cut: Cut, changes: PixelChanges | None) -> CropPixels:
        """The changes are the same for the image and its twin."""
        return CropPixels(
            source=source_of(cut.record),
            front=cut.front,
            affine=cut.view.affine,
            size_px=self.config.size_px,
            twin=self.twins,
            own_twin=self.twins and cut.has_hand,
            smear=cut.smear,
            background=cut.background,
            changes=changes,
            unlabelled=not cut.labelled,
            object_box=cut.view.spec.object_box if cut.has_hand else None,
            grid=self.config.object_grid,
        )

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
