"""The pixel work of samples on the device in whose memory their images lie: many at once, in float32.

Images in work are (B, V, 3, S, S) grey values from 0 to 255: V is 2 where every image has its twin, which is changed as
the image is. `opencv` does the same with one image; numbers are not rounded to whole grey values in between here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from prehend.types import FloatArray
from prehend_training.data.pixels.draws import CONTRAST, LEVELS, LUMA, MIX, Colours, PixelChanges
from prehend_training.data.pixels.plans import (
    HELD_ALONE,
    MAP_STRIDE,
    NOTHING,
    Background,
    CropPixels,
    FramePixels,
    Source,
    cell_places,
)
from prehend_training.data.pixels.torch_degrade import degrade
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE

_FINE = ((0.75, 1), (0.4, 3), (0.0, 5))
"""Scales of a frame from which so many points a pixel and axis are averaged, so that small hands do not flicker."""


def on_device(values: ArrayLike, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor on a device; what the device still has to do before does not hold the caller up.

    Args:
        values: an array, or numbers.
        device: where to.
        dtype: of the tensor; None for the array's.
    """
    return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype).to(device, non_blocking=True)


@dataclass(frozen=True)
class Pool:
    """Images of any size in the memory of a device, one after the other.

    Attributes:
        pixels: (P, 4) uint8 RGB and a code: of an image its segmentation, of a twin 1 where something stands in front.
        start: (N,) int64 first pixel of each image. size: (N, 2) int64 width and height.
        image, twin, background: (R,) int64 images of record r of the pool: itself, its twin without objects (itself
            where there is no other), it with its front filled up (-1 where that is not kept).
    """

    pixels: Tensor
    start: Tensor
    size: Tensor
    image: NDArray[np.int64]
    twin: NDArray[np.int64]
    background: NDArray[np.int64]

    @property
    def device(self) -> torch.device:
        """Where everything lies."""
        return self.pixels.device

    def seen(self, which: NDArray[np.int64], to_source: FloatArray, size_px: int, smear: NDArray[np.bool_]) -> Tensor:
        """Images through affine maps, bilinear.

        Args:
            which: (B,) numbers of images.
            to_source: (B, 2, 3) pixels of the result -> pixels of the image.
            size_px: side of the result.
            smear: (B,) whether the image's edge goes on where it ends, instead of 0.

        Returns:
            (B, 3, S, S) float32.
        """
        x, y = _places(on_device(to_source, self.device), size_px)
        start, size = self._of(which)
        black = ~on_device(smear, self.device).view(-1, 1, 1)
        x0, y0 = x.floor(), y.floor()
        result = torch.zeros(*x.shape, 3, device=self.device)
        for column, across in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
            for row, down in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
                place, inside = _pixel(column, row, start, size)
                weight = across * down * (inside | ~black)
                result += weight.float()[..., None] * self.pixels[place, :3]
        return result.permute(0, 3, 1, 2)

    def codes(self, which: NDArray[np.int64], to_source: FloatArray, size_px: int) -> Tensor:
        """(B, S, S) uint8 codes at the nearest pixels, 0 outside of the images; see `seen`."""
        x, y = _places(on_device(to_source, self.device), size_px)
        place, inside = _pixel(torch.round(x), torch.round(y), *self._of(which))
        return self.pixels[place, 3] * inside

    def _of(self, which: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        chosen = on_device(which, self.device)
        return self.start[chosen].view(-1, 1, 1), self.size[chosen].view(-1, 1, 1, 2)

    def to_source(self, source: Sequence[Source], affine: FloatArray) -> FloatArray:
        """(B, 2, 3) from samples to the stored images, of the maps (B, 2, 3) from these, or their mirror images."""
        inverse = inverse_affines(affine)
        mirrored = np.array([bool(one["mirrored"]) for one in source])
        width = np.array([int(one["image_size"][0]) for one in source])
        inverse[mirrored, 0] *= -1
        inverse[mirrored, 0, 2] += width[mirrored] - 1
        return inverse


def inverse_affines(affine: FloatArray) -> FloatArray:
    """(B, 2, 3) the maps back."""
    linear = np.linalg.inv(affine[:, :, :2])
    return np.concatenate([linear, -linear @ affine[:, :, 2:]], 2)


def _places(to_source: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """(B, S, S) columns and rows of the images, float64: float32 would be off by hundredths of a pixel."""
    steps = torch.arange(size_px, dtype=to_source.dtype, device=to_source.device)
    m = to_source[:, :, :, None, None]
    # sums of products, no matrix product: GPUs may round its factors to ten bits
    x, y = (m[:, axis, 0] * steps + m[:, axis, 1] * steps[:, None] + m[:, axis, 2] for axis in (0, 1))
    return x, y


def _pixel(column: Tensor, row: Tensor, start: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers in the pool of the pixels nearest to whole columns and rows, and whether these are in the image."""
    x, y = column.long(), row.long()
    width, height = size.unbind(-1)
    near_x = torch.minimum(x.clamp(min=0), width - 1)
    near_y = torch.minimum(y.clamp(min=0), height - 1)
    return start + near_y * width + near_x, (near_x == x) & (near_y == y)


def crop_tensors(pool: Pool, work: Sequence[CropPixels]) -> dict[str, Tensor]:
    """See `opencv.crop_arrays`, of a batch: images (B, 3, S, S) float32 in [0, 1], channels last in memory."""
    size, twin = work[0].size_px, work[0].twin
    source, slots = [one.source for one in work], np.array([int(one.source["slot"]) for one in work])
    to_source = pool.to_source(source, np.stack([one.affine for one in work]))
    smear = np.array([one.smear for one in work])
    twins = np.where([one.own_twin for one in work], pool.twin[slots], pool.image[slots])
    shown = [pool.image[slots], twins] if twin else [pool.image[slots]]
    images = torch.stack([pool.seen(which, to_source, size, smear) for which in shown], 1)
    segments = _shown_segments(pool.codes(pool.image[slots], to_source, size), work)
    if rows := [row for row, one in enumerate(work) if one.background is not None]:
        picked = on_device(rows, pool.device)
        keeps = [segments[picked] > 0]
        if twin:
            own = on_device(twins[rows] != pool.image[slots[rows]], pool.device).view(-1, 1, 1)
            keeps.append(torch.where(own, pool.codes(twins[rows], to_source[rows], size) > 0, keeps[0]))
        behind = backgrounds(pool, [one.background for one in work if one.background is not None], size)
        images[picked] = paste(images[picked], torch.stack(keeps, 1), behind)
    images = changed(images, [one.changes for one in work]).div_(255)
    told = {"image": images[:, 0]} | ({"image_deoccluded": images[:, -1]} if twin else {})
    last = torch.channels_last
    return {name: value.contiguous(memory_format=last) for name, value in told.items()} | _crop_maps(segments, work)


def _shown_segments(segments: Tensor, work: Sequence[CropPixels]) -> Tensor:
    """(B, S, S) what is left of the foreground."""
    front = on_device([one.front for one in work], segments.device).view(-1, 1, 1)
    gone = (front == NOTHING) | ((front == HELD_ALONE) & (segments != OBJECT_CODE))
    return segments * ~gone


def _crop_maps(segments: Tensor, work: Sequence[CropPixels]) -> dict[str, Tensor]:
    """See `opencv._crop_maps`."""
    device, size, grid = segments.device, work[0].size_px, work[0].grid
    labelled = on_device([not one.unlabelled for one in work], device).view(-1, 1, 1)
    coarse = (segments * labelled)[:, MAP_STRIDE // 2 :: MAP_STRIDE, MAP_STRIDE // 2 :: MAP_STRIDE]
    nowhere = np.zeros(4), np.zeros((grid, grid), np.bool_)
    boxes = [nowhere[0] if one.object_box is None else one.object_box for one in work]
    x, y, inside = (np.stack(part) for part in zip(*(cell_places(box, grid, size) for box in boxes), strict=True))
    inside = inside & np.array([one.object_box is not None for one in work])[:, None, None]
    rows = torch.arange(len(work), device=device)[:, None, None]
    picked = segments[rows, on_device(y, device)[:, :, None], on_device(x, device)[:, None, :]] == OBJECT_CODE
    return {
        "segments": ((coarse == HAND_CODE) + 2 * (coarse == OBJECT_CODE)).to(torch.uint8),
        "object_mask": (picked & on_device(inside, device)).flatten(1).float(),
    }


def backgrounds(pool: Pool, chosen: Sequence[Background], size_px: int) -> Tensor:
    """(B, 3, S, S) see `opencv.background`."""
    which = pool.background[[int(one.source["slot"]) for one in chosen]]
    side = np.array([one.side_px for one in chosen])
    corner = np.array([one.corner for one in chosen])[:, ::-1]
    quarters = np.array([one.quarters for one in chosen])
    cos, sin = np.array([1, 0, -1, 0])[quarters], np.array([0, 1, 0, -1])[quarters]
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    linear = (side / size_px)[:, None, None] * turn
    # the middle of the crop shows the middle of the piece
    offset = corner + (side[:, None] - 1) / 2 - linear.sum(2) * (size_px - 1) / 2
    to_source = np.concatenate([linear, offset[..., None]], 2)
    return pool.seen(which, to_source, size_px, np.ones(len(side), np.bool_))


def frame_tensors(pool: Pool, work: Sequence[FramePixels]) -> dict[str, Tensor]:
    """See `opencv.frame_arrays`, of a batch: image (B, 3, S, S) float32 in [0, 1], channels last in memory."""
    size, stride = work[0].size_px, work[0].stride_px
    slots = np.array([int(one.source["slot"]) for one in work])
    affine = np.stack([one.affine for one in work])
    which, to_source = pool.image[slots], pool.to_source([one.source for one in work], affine)
    images = torch.empty(len(work), 1, 3, size, size, device=pool.device)
    scale, upper = np.sqrt(np.abs(np.linalg.det(affine[:, :, :2]))), np.inf
    for lower, fine in _FINE:
        rows = np.flatnonzero((scale >= lower) & (scale < upper))
        upper = lower
        if len(rows):
            picked = on_device(rows, pool.device)
            images[picked, 0] = _averaged(pool, which[rows], to_source[rows], size, fine)
    images = changed(images, [one.changes for one in work], [one.window for one in work])
    window = on_device([one.window for one in work], pool.device)
    image = images[:, 0] / 255 * _inside(window, size, 1)[:, None]
    cells = size // stride
    grid = np.array([[stride, 0, stride // 2], [0, stride, stride // 2], [0, 0, 1]])
    codes = pool.codes(which, to_source @ grid, cells)
    hand = (codes >= HAND_CODE) & (codes < OBJECT_CODE)
    held = (codes >= OBJECT_CODE) & (codes < OTHER_CODE)
    return {
        "image": image.contiguous(memory_format=torch.channels_last),
        "segments": ((hand + 2 * held) * _inside(window, cells, stride)).to(torch.uint8),
    }


def _averaged(pool: Pool, which: NDArray[np.int64], to_source: FloatArray, size_px: int, fine: int) -> Tensor:
    """(B, 3, S, S) means of fine^2 points a pixel."""
    total = torch.zeros(len(which), 3, size_px, size_px, device=pool.device)
    shifts = (np.arange(fine) + 0.5) / fine - 0.5
    for dx in shifts:
        for dy in shifts:
            moved = to_source.copy()
            moved[:, :, 2] += to_source[:, :, :2] @ np.array([dx, dy])
            total += pool.seen(which, moved, size_px, np.ones(len(which), np.bool_))
    return total / fine**2


def _inside(window: Tensor, cells: int, stride: int) -> Tensor:
    """(B, cells, cells) whether the pixel in the middle of each cell is in the window."""
    steps = torch.arange(cells, device=window.device) * stride + stride // 2
    x0, y0, x1, y1 = (edge[:, None] for edge in window.unbind(1))
    on_x, on_y = (steps >= x0) & (steps < x1), (steps >= y0) & (steps < y1)
    return on_y[:, :, None] & on_x[:, None, :]


def paste(images: Tensor, keep: Tensor, background: Tensor) -> Tensor:
    """Images (B, V, 3, S, S) where `keep` (B, V, S, S) is set, `background` (B, 3, S, S) elsewhere, with an edge of
    about a pixel."""
    padded = F.pad(keep.float(), (1, 1, 1, 1), mode="reflect")
    across = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    alpha = ((across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 4)[:, :, None]
    return background[:, None] + alpha * (images - background[:, None])


def changed(
    images: Tensor, changes: Sequence[PixelChanges | None], windows: Sequence[tuple[int, int, int, int]] | None = None
) -> Tensor:
    """Images (B, V, 3, S, S) in other light, erased in places and seen by worse cameras: all of them, or none.

    `windows` (x0, y0, x1, y1) are what was drawn for, None for all of the image.
    """
    drawn = [one for one in changes if one is not None]
    if not drawn:
        return images
    images = change_colour(images, [one.colours for one in drawn])
    erase(images, drawn)
    size = images.shape[-1]
    whole = [(0, 0, size, size)] * len(drawn)
    return degrade(images, [one.degrading for one in drawn], windows or whole)


def change_colour(images: Tensor, draws: Sequence[Colours]) -> Tensor:
    """Images in other light, see `opencv.change_colour`."""
    gain = np.array([255 * one.gain * one.channel for one in draws])
    offset = np.array([one.offset * one.channel for one in draws])
    numbers = {
        "mix": np.stack([one.mix for one in draws]), "hue": np.stack([one.hue for one in draws]),
        "gamma": np.array([one.gamma for one in draws]), "gain": gain, "offset": offset,
        "contrast": np.array([one.contrast for one in draws]),
    }  # fmt: skip
    told = {name: on_device(value, images.device, torch.float32) for name, value in numbers.items()}
    if draws[0].order is None:
        images = _mixed(images, told["mix"] @ told["hue"])
        levels = _levels(images, told)
        return _contrasted(levels, _mean_grey(images), told["contrast"]).clamp(0, 255)
    images = images.clone()
    orders = np.array([one.order for one in draws])
    for place in range(orders.shape[1]):
        for step in range(orders.shape[1]):
            if len(found := np.flatnonzero(orders[:, place] == step)):
                rows = on_device(found, images.device)
                images[rows] = _step(step, images[rows], {name: value[rows] for name, value in told.items()})
    return images


def _step(step: int, images: Tensor, numbers: dict[str, Tensor]) -> Tensor:
    """One of the steps that `Colours.order` names."""
    if step == LEVELS:
        return _levels(images, numbers).clamp(0, 255)
    if step == CONTRAST:
        return _contrasted(images, _mean_grey(images), numbers["contrast"]).clamp(0, 255)
    return _mixed(images, numbers["mix" if step == MIX else "hue"])


def _mixed(images: Tensor, matrix: Tensor) -> Tensor:
    return (matrix[:, None] @ images.flatten(3)).view(images.shape).clamp(0, 255)


def _levels(images: Tensor, numbers: dict[str, Tensor]) -> Tensor:
    gain, offset = (numbers[name][:, None, :, None, None] for name in ("gain", "offset"))
    return (images / 255).pow(numbers["gamma"].view(-1, 1, 1, 1, 1)) * gain + offset


def _mean_grey(images: Tensor) -> Tensor:
    """(B, V, 1, 1, 1)."""
    luma = on_device(LUMA, images.device)
    return (images.mean((3, 4)) * luma).sum(2)[:, :, None, None, None]


def _contrasted(images: Tensor, middle: Tensor, contrast: Tensor) -> Tensor:
    return middle + contrast.view(-1, 1, 1, 1, 1) * (images - middle)


def erase(images: Tensor, changes: Sequence[PixelChanges]) -> None:
    """Put patches over images (B, V, 3, S, S), in place."""
    rows = [row for row, one in enumerate(changes) if one.patches]
    if not rows:
        return
    size = images.shape[-1]
    shown, hidden = np.zeros((len(rows), size, size, 3), np.uint8), np.zeros((len(rows), size, size), np.bool_)
    for number, row in enumerate(rows):
        for patch in changes[row].patches:
            shown[number][patch.place], hidden[number][patch.place] = patch.pixels, True
    picked, mask = on_device(rows, images.device), on_device(hidden, images.device)[:, None, None]
    over = on_device(shown, images.device).permute(0, 3, 1, 2)[:, None].float()
    images[picked] = torch.where(mask, over, images[picked])
