"""Batches for a crop network, made on the device that trains from crops that lie there."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend_training.data.crops import CropDataConfig, drawn_indices
from prehend_training.data.on_device.crop_targets import absent_targets, coarse_segments, hand_targets, object_targets
from prehend_training.data.on_device.degrade import degrade, draw_degrading
from prehend_training.data.on_device.draws import (
    BESIDE,
    EMPTY,
    HELD_ALONE,
    PRESENT,
    BoxDraws,
    ViewDraws,
    draw_colours,
    draw_patches,
    draw_views,
)
from prehend_training.data.on_device.pixels import background_pieces, change_colour, erase, paste, sample
from prehend_training.data.on_device.store import LAYER_OBJECT, LAYERS, TWIN_FRONT, ResidentCrops
from prehend_training.data.on_device.tensors import on_device
from prehend_training.data.on_device.views import (
    Labels,
    Views,
    apply_affines,
    boxes_around,
    boxes_beside,
    compose,
    flips,
    inverse_affines,
    mirrored,
    moved_boxes,
    turns_about_middle,
    views_of,
)

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class ResidentCropBatches:
    """Batches by number, as `prehend_training.data.crops.CropBatches` makes them, of other random numbers.

    Attributes:
        crops: where they are taken from.
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: samples a step.
    """

    crops: ResidentCrops
    config: CropDataConfig
    seed: int
    batch_size: int

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> Batch:
        """Tensors on the device by the names of `CropBatches.example`; `image` and `image_deoccluded` are
        (B, 3, S, S) float32 in [0, 1], channels last in memory."""
        rows = range(part[0] * self.batch_size // part[1], (part[0] + 1) * self.batch_size // part[1])
        indices = drawn_indices(self.seed, step, self.batch_size, len(self.crops))[rows.start : rows.stop]
        return self.examples(np.array(indices), np.random.default_rng([self.seed, step, *part]))

    def examples(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """Samples of some crops."""
        device = self.crops.device
        picked = on_device(indices, device)
        draws = draw_views(self.config, len(indices), rng)
        labels = {name: value[picked] for name, value in self.crops.labels.items()}
        draws, labels = self._possible(draws, labels)
        views = self._views(draws, labels)
        to_stored = inverse_affines(compose(views.affine, flips(self._tensor(draws.wrong_side), self.crops.size_px)))
        pictures, layers = self._pictures(picked, draws, to_stored)
        batch = self._targets(draws, labels, views, layers)
        hidden = self._change(pictures, rng)
        joints = torch.round(apply_affines(views.affine, labels["keypoints_px"])).long()
        x, y = joints.clamp(0, self.config.size_px - 1).unbind(2)
        rows = torch.arange(len(picked), device=device)[:, None]
        batch["visible"] = batch["visible"] * ~hidden[rows, y, x]
        pictures = pictures.div_(255)
        batch["image"] = pictures[:, 0].contiguous(memory_format=torch.channels_last)
        batch["image_deoccluded"] = pictures[:, -1].contiguous(memory_format=torch.channels_last)
        return batch

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return on_device(array, self.crops.device)

    def _possible(self, draws: ViewDraws, labels: Labels) -> tuple[ViewDraws, Labels]:
        """Draws without another background where none is there; labels, mirrored where the wrong side is shown."""
        if not len(self.crops.backgrounds):
            draws = replace(draws, kind=np.where(draws.kind == PRESENT, PRESENT, BESIDE), swap=draws.swap & False)
        if draws.wrong_side.any():
            labels = mirrored(labels, self._tensor(draws.wrong_side), self.crops.size_px)
        return draws, labels

    def _views(self, draws: ViewDraws, labels: Labels) -> Views:
        """Views of the hands, or beside them, with boxes of hand and object as a detector would give them."""
        size = (self.crops.size_px, self.crops.size_px)
        beside = self._kind(draws, labels) == BESIDE
        keypoints = labels["keypoints_px"].double()
        turn = turns_about_middle(torch.where(beside, 0.0, self._tensor(draws.turn_rad)), size)
        hand = self._moved(apply_affines(turn, keypoints), draws.hand)
        aside = boxes_beside(boxes_around(keypoints), self._tensor(draws.beside), size)
        hand = torch.where(beside[:, None], aside, hand)
        thing = self._moved(apply_affines(turn, labels["object_keypoints_px"][:, 0].double()), draws.thing)
        has_box = labels["has_object"] & ~self._tensor(draws.whole) & ~beside
        return views_of(turn, hand, thing, has_box, labels["K"], self.config.size_px)

    def _moved(self, points: Tensor, draws: BoxDraws) -> Tensor:
        numbers = (self._tensor(value) for value in (draws.shift, draws.scale, draws.stretch))
        return moved_boxes(boxes_around(points), *numbers)

    def _kind(self, draws: ViewDraws, labels: Labels) -> Tensor:
        """(B,) kinds of crops; without the hand only what lies beside it can be shown where the front is not known."""
        kind = self._tensor(draws.kind)
        return torch.where((kind != PRESENT) & ~labels["has_front"], BESIDE, kind)

    def _pictures(self, picked: Tensor, draws: ViewDraws, to_stored: Tensor) -> tuple[Tensor, Tensor]:
        """(B, V, 3, S, S) pictures and twins before their backgrounds, and (B, S, S) the layers they show."""
        crops, size = self.crops, self.config.size_px
        stored = [crops.image] if crops.twin is None else [crops.image, crops.twin]
        source = torch.cat([tensor[picked] for tensor in stored], 3).permute(0, 3, 1, 2).float()
        pictures = sample(source, to_stored, size, self._tensor(draws.smear)).unflatten(1, (len(stored), 3))
        nowhere = self._tensor(draws.smear & False)
        stored_codes = crops.layers[picked][:, None].float()
        codes = sample(stored_codes, to_stored, size, nowhere, "nearest")[:, 0].to(torch.uint8)
        layers = codes & LAYERS
        kind = self._kind(draws, {"has_front": crops.labels["has_front"][picked]})[:, None, None]
        layers = torch.where(kind == HELD_ALONE, layers * (layers == LAYER_OBJECT), layers)
        layers = torch.where(kind == EMPTY, torch.zeros_like(layers), layers)
        swap = self._tensor(draws.swap) & crops.labels["has_front"][picked]
        swap |= (kind[:, 0, 0] == HELD_ALONE) | (kind[:, 0, 0] == EMPTY)
        keeps = torch.stack([layers > 0, (codes & TWIN_FRONT) > 0][: len(stored)], 1)
        if len(crops.backgrounds):
            pictures = paste(pictures, keeps, background_pieces(crops.backgrounds, draws.background, size), swap)
        absent = (kind != PRESENT)[:, :, :, None, None]
        return torch.where(absent, pictures[:, :1], pictures), layers

    def _targets(self, draws: ViewDraws, labels: Labels, views: Views, layers: Tensor) -> Batch:
        present = self._tensor(draws.kind) == PRESENT
        shown, void = hand_targets(labels, views), absent_targets(views)
        batch = {
            name: torch.where(present.view(-1, *[1] * (value.dim() - 1)), value, void[name])
            for name, value in shown.items()
        }
        batch |= object_targets(labels, views, layers, present, self.config.object_grid)
        batch["segments"] = coarse_segments(layers)
        batch["has_segments"] = labels["has_segments"].float()
        batch["has_twin"] = labels["has_twin"].float() * present
        batch["grasp_gate"] = torch.where(self._tensor(draws.flip), 1 - batch["grasp"], batch["grasp"])
        return batch

    def _change(self, pictures: Tensor, rng: np.random.Generator) -> Tensor:
        """Photometric changes in place; (B, S, S) what was erased."""
        config, count, size = self.config.photometric, len(pictures), self.config.size_px
        if config is None:
            return torch.zeros(count, size, size, dtype=torch.bool, device=pictures.device)
        pictures.copy_(change_colour(pictures, draw_colours(config, count, rng)))
        hidden = erase(pictures, draw_patches(config, size, count, rng))
        generator = torch.Generator(pictures.device).manual_seed(int(rng.integers(1 << 62)))
        degrade(pictures, draw_degrading(config, size, count, rng), generator)
        return hidden
