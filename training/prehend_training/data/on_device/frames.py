"""Frames kept in the memory of the device that trains, and batches for the detector made of them there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from prehend.types import FloatArray
from prehend_training.data.crops import drawn_indices
from prehend_training.data.datasets import ShardCorpus
from prehend_training.data.frames import DetectorDataConfig, draw_window
from prehend_training.data.on_device.degrade import degrade, draw_degrading
from prehend_training.data.on_device.draws import Numbers, Rng, draw_colours
from prehend_training.data.on_device.frame_targets import detector_targets, seen_hands
from prehend_training.data.on_device.pixels import change_colour, sample
from prehend_training.data.on_device.store import load_tensors, opened
from prehend_training.data.on_device.tensors import on_device
from prehend_training.data.on_device.views import boxes_around, centers, compose, determinants, inverse_affines, sides
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE

_HALVES = (1.0, 0.6, 0.3)
"""Scales below which a frame is sampled from its half, its quarter, so that small hands do not flicker."""


@dataclass(frozen=True)
class ResidentFrames:
    """Frames as tensors on one device.

    Attributes:
        image: (N, H, W, 3) uint8 RGB.
        layers: (N, H, W) uint8: 1 a hand or arm, 2 something held, 0 the rest.
        labels: of up to four hands, by the names of a record: hand_count (N,), the others (N, 4, ...);
            object_keypoints_px of the first of the equivalent poses.
    """

    image: Tensor
    layers: Tensor
    labels: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.image)


_LABELS = ("hand_count", "side", "keypoints_px", "visible_ratio", "grasp", "has_object", "object_keypoints_px")


def load_frames(
    paths: Sequence[Path], device: str, limit: int | None = None, workers: int = 0, memory: int | None = None
) -> ResidentFrames:
    """Decode folders of frames of one size into the memory of a device; see `resident.load_resident`."""
    there = len(ShardCorpus(paths, "frames", twins=False))
    store = load_tensors(PackingFrames(tuple(paths)), there, device, limit, workers, memory)
    return ResidentFrames(store.pop("image"), store.pop("layers"), store)


@dataclass(frozen=True)
class PackingFrames:
    """What a worker does: decode some frames into stacked arrays, see `resident.Pack`."""

    paths: tuple[Path, ...]

    def __call__(self, task: tuple[int, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """See `resident.Pack`."""
        corpus = opened(self.paths, "frames", False)
        records = [corpus[int(row)] for row in task[1]]
        arrays = {name: np.stack([record[name] for record in records]) for name in ("image", "segmentation", *_LABELS)}
        codes = arrays.pop("segmentation")
        hand, thing = (codes >= HAND_CODE) & (codes < OBJECT_CODE), (codes >= OBJECT_CODE) & (codes < OTHER_CODE)
        arrays["layers"] = (hand + 2 * thing).astype(np.uint8)
        arrays["object_keypoints_px"] = arrays["object_keypoints_px"][:, :, 0]
        return arrays


@dataclass(frozen=True)
class FrameDraws:
    """What is drawn by chance for a batch of frames, see `data.frames.draw_affine`; all (B,) but where told.

    Attributes:
        flip: whether the mirror image is shown.
        kind: in [0, 1), what is looked at. row: in [0, 1), which hand.
        ratio, place: (B, 2) where it lies in the input, which place is looked at.
        hand_px: longer side of the hand's box in the input. scale: of a whole frame over a letterboxed one.
        turn_rad: of the frame.
        window: (B, 4) x0, y0, x1, y1, ends excluded, of the picture inside the square.
    """

    flip: NDArray[np.bool_]
    kind: FloatArray
    row: FloatArray
    ratio: FloatArray
    place: FloatArray
    hand_px: FloatArray
    scale: FloatArray
    turn_rad: FloatArray
    window: Numbers


def draw_frames(config: DetectorDataConfig, count: int, rng: Rng) -> FrameDraws:
    """Draws for a batch of `count` frames."""
    quarters = np.where(rng.random(count) < config.quarter_p, rng.integers(1, 4, count), 0)
    return FrameDraws(
        rng.random(count) < config.flip_p,
        rng.random(count),
        rng.random(count),
        rng.uniform(-0.5, 0.5, (count, 2)),
        rng.random((count, 2)) - 0.5,
        np.exp(rng.uniform(*_logs(config.hand_px), count)),
        np.exp(rng.uniform(*_logs(config.scale), count)),
        rng.normal(0, 1, count) * config.turn_rad + np.pi / 2 * quarters,
        np.array([draw_window(config, rng) for _ in range(count)], np.int64),
    )


def _logs(ends: tuple[float, float]) -> tuple[float, float]:
    return math.log(ends[0]), math.log(ends[1])


@dataclass(frozen=True)
class ResidentDetectorBatches:
    """Batches by number, as `prehend_training.data.frames.DetectorBatches` makes them; fields as in
    `ResidentCropBatches`."""

    frames: ResidentFrames
    config: DetectorDataConfig
    seed: int
    batch_size: int

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> dict[str, Tensor]:
        """`image` (B, 3, S, S) float32 in [0, 1], channels last in memory, `segments` and the maps of
        `data.frames.detector_targets`, on the device."""
        rows = range(part[0] * self.batch_size // part[1], (part[0] + 1) * self.batch_size // part[1])
        indices = drawn_indices(self.seed, step, self.batch_size, len(self.frames))[rows.start : rows.stop]
        return self.examples(np.array(indices), np.random.default_rng([self.seed, step, *part]))

    def examples(self, indices: NDArray[np.int64], rng: Rng) -> dict[str, Tensor]:
        """Samples of some frames."""
        config, size = self.config, self.config.size_px
        device = self.frames.image.device
        picked = on_device(indices, device)
        draws = draw_frames(config, len(indices), rng)
        labels = {name: value[picked] for name, value in self.frames.labels.items()}
        affine = self._affines(labels, draws)
        window = on_device(draws.window, device)
        image = self._pictures(picked, affine, window, rng)
        flip = on_device(draws.flip, device)
        hands = seen_hands(labels, affine, window, flip)
        return {
            "image": image.contiguous(memory_format=torch.channels_last),
            "segments": self._segments(picked, affine, window),
            **detector_targets(hands, size, config.stride_px),
        }

    def _affines(self, labels: dict[str, Tensor], draws: FrameDraws) -> Tensor:
        """(B, 2, 3) from frames to the input, see `data.frames.draw_affine`."""
        config, (height, width) = self.config, self.frames.image.shape[1:3]
        device = self.frames.image.device
        flip, kind, row, ratio, place, hand_px, scale, turn_rad = (
            on_device(value, device)
            for value in (
                draws.flip, draws.kind, draws.row, draws.ratio, draws.place, draws.hand_px, draws.scale, draws.turn_rad,
            )
        )  # fmt: skip
        count = labels["hand_count"].double()
        near = (count > 0) & (kind < config.hand_p + config.place_p)
        on_hand = (near & (kind < config.hand_p))[:, None]
        chosen = (row * count.clamp(min=1)).long()
        box = boxes_around(labels["keypoints_px"][torch.arange(len(row), device=device), chosen].double())
        longer = sides(box).clamp(min=1.0)
        half = on_device([(width - 1) / 2, (height - 1) / 2], device)
        extent = on_device([float(width), float(height)], device)
        size = config.size_px
        scale = torch.where(near, (hand_px / longer).clamp(max=config.enlarge), scale * size / max(width, height))
        room = (size - 0.6 * scale * longer).clamp(min=0.3 * size)[:, None]
        middle = torch.where(on_hand, centers(box), half + torch.where(near[:, None], place * extent, 0.0))
        target = (size - 1) / 2 + torch.where(
            on_hand, room * ratio, torch.where(near[:, None], 0.0, 2 * config.shift * size * ratio)
        )
        cos, sin = scale * torch.cos(turn_rad), scale * torch.sin(turn_rad)
        sign = 1 - 2.0 * flip
        matrix = torch.stack([torch.stack([cos * sign, -sin], 1), torch.stack([sin * sign, cos], 1)], 1)
        return torch.cat([matrix, (target - (matrix @ middle[..., None])[..., 0])[..., None]], 2)

    def _pictures(self, picked: Tensor, affine: Tensor, window: Tensor, rng: Rng) -> Tensor:
        """(B, 3, S, S) in [0, 1], changed, black outside of the window."""
        config, size = self.config, self.config.size_px
        source = self.frames.image[picked].permute(0, 3, 1, 2).float()
        scale = determinants(affine).abs().sqrt().float()
        to_source = inverse_affines(affine)
        pictures = sample(source, to_source, size, None)
        for halvings, limit in enumerate(_HALVES[1:], 1):
            share = 2**halvings
            shrink = torch.eye(2, 3, dtype=affine.dtype, device=affine.device).repeat(len(affine), 1, 1) / share
            shrink[:, :, 2] = (1 / share - 1) / 2
            small = sample(F.avg_pool2d(source, share), compose(shrink, to_source), size, None)
            pictures = torch.where((scale < limit)[:, None, None, None], small, pictures)
        pictures = pictures[:, None]
        if config.photometric is not None:
            pictures = change_colour(pictures, draw_colours(config.photometric, len(pictures), rng))
            generator = torch.Generator(pictures.device).manual_seed(int(rng.integers(1 << 62)))
            pictures = degrade(pictures, draw_degrading(config.photometric, size, len(pictures), rng), generator)
        return pictures[:, 0] / 255 * _inside(window, size, 1)[:, None]

    def _segments(self, picked: Tensor, affine: Tensor, window: Tensor) -> Tensor:
        """(B, G, G) uint8 what the middle of each cell shows."""
        stride = self.config.stride_px
        cells = self.config.size_px // stride
        grid = torch.eye(2, 3, dtype=affine.dtype, device=affine.device).repeat(len(affine), 1, 1) * stride
        grid[:, :, 2] = stride // 2
        source = self.frames.layers[picked][:, None].float()
        black = torch.zeros(len(affine), dtype=torch.bool, device=affine.device)
        codes = sample(source, compose(inverse_affines(affine), grid), cells, black, "nearest")[:, 0]
        return (codes * _inside(window, cells, stride)).to(torch.uint8)


def _inside(window: Tensor, cells: int, stride: int) -> Tensor:
    """(B, cells, cells) whether the pixel in the middle of each cell is in the window."""
    steps = torch.arange(cells, device=window.device) * stride + stride // 2
    x0, y0, x1, y1 = (edge[:, None] for edge in window.unbind(1))
    on_x, on_y = (steps >= x0) & (steps < x1), (steps >= y0) & (steps < y1)
    return on_y[:, :, None] & on_x[:, None, :]
