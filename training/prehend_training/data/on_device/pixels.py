"""Pictures of a whole batch on a device: cut out, put before other backgrounds, in other light, with patches erased.

Pictures are (B, V, 3, S, S) float32 grey values from 0 to 255: V is 2 where every picture has its twin, which is
changed as the picture is. What `data.pixels` and `data.crop_targets` do with one picture is done
here with many; numbers are not rounded to whole grey values in between.
"""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prehend_training.data.on_device.draws import BackgroundDraws, ColourDraws, PatchDraws
from prehend_training.data.on_device.tensors import on_device
from prehend_training.data.pixels import LUMA


def sample(pictures: Tensor, to_source: Tensor, size_px: int, smear: Tensor | None, mode: str = "bilinear") -> Tensor:
    """Pictures seen through affine maps.

    Args:
        pictures: (B, C, H, W) float.
        to_source: (B, 2, 3) pixels of the result -> pixels of the picture.
        size_px: side of the result.
        smear: (B,) bool, whether the picture's edge goes on where it ends, instead of 0; None for all.
        mode: `bilinear` or `nearest`.

    Returns:
        (B, C, S, S).
    """
    height, width = pictures.shape[2:]
    extent = on_device([width - 1.0, height - 1.0], pictures.device, to_source.dtype)
    # grid_sample counts from -1 to 1 between the centres of the outer pixels
    unit = (2 * to_source / extent[:, None]).float()
    steps = torch.arange(size_px, dtype=torch.float32, device=pictures.device)
    # sums of products, no matrix product: GPUs may round its factors to ten bits
    grid = unit[:, None, None, :, 0] * steps[:, None] + (unit[:, :, 2] - 1)[:, None, None]
    grid = grid + unit[:, None, None, :, 1] * steps[:, None, None]
    inside = grid.clamp(-1, 1)
    grid = inside if smear is None else torch.where(smear[:, None, None, None], inside, grid)
    return F.grid_sample(pictures, grid, mode=mode, padding_mode="zeros", align_corners=True)


def background_pieces(backgrounds: Tensor, draws: BackgroundDraws, size_px: int) -> Tensor:
    """(B, 3, S, S) square pieces of (P, H, W, 3) backgrounds, turned by quarters."""
    device = backgrounds.device
    which = on_device((draws.which * len(backgrounds)).astype(np.int64), device)
    source = backgrounds[which].permute(0, 3, 1, 2).float()
    extent = np.array(backgrounds.shape[1:3])
    side = (draws.share * extent.min()).astype(np.int64)
    corner = np.floor(draws.corner * (extent - side[:, None] + 1))[:, ::-1]
    scale = side / size_px
    cos, sin = np.array([1, 0, -1, 0])[draws.quarters], np.array([0, 1, 0, -1])[draws.quarters]
    linear = scale[:, None, None] * np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    # the middle of the crop shows the middle of the piece
    middle = corner + (side[:, None] - 1) / 2
    offset = middle - linear.sum(2) * (size_px - 1) / 2
    to_source = on_device(np.concatenate([linear, offset[..., None]], 2), device)
    return sample(source, to_source, size_px, None)


def paste(pictures: Tensor, keep: Tensor, background: Tensor, rows: Tensor) -> Tensor:
    """Pictures before other backgrounds, with an edge of about a pixel.

    Args:
        pictures: (B, V, 3, S, S).
        keep: (B, V, S, S) bool, what stays of each.
        background: (B, 3, S, S).
        rows: (B,) bool, which pictures get another background.
    """
    padded = F.pad(keep.float(), (1, 1, 1, 1), mode="reflect")
    across = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    alpha = (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 4
    alpha = torch.where(rows[:, None, None, None], alpha, torch.ones_like(alpha))[:, :, None]
    return background[:, None] + alpha * (pictures - background[:, None])


def change_colour(pictures: Tensor, draws: ColourDraws) -> Tensor:
    """Pictures in other light, see `augment.change_colour`."""
    numbers = {
        name: on_device(value, pictures.device, torch.float32) for name, value in vars(draws).items() if name != "order"
    }
    if draws.order is None:
        pictures = _mixed(pictures, numbers["mix"] @ numbers["hue"])
        levels = _levels(pictures, numbers)
        return _contrasted(levels, _mean_grey(pictures), numbers["contrast"]).clamp(0, 255)
    pictures = pictures.clone()
    for place, step in product(range(4), range(4)):
        found = np.flatnonzero(draws.order[:, place] == step)
        if len(found):
            rows = on_device(found, pictures.device)
            pictures[rows] = _step(step, pictures[rows], {name: value[rows] for name, value in numbers.items()})
    return pictures


def _step(step: int, pictures: Tensor, numbers: dict[str, Tensor]) -> Tensor:
    """One of the steps that `ColourDraws.order` names."""
    if step == 0:
        return _levels(pictures, numbers).clamp(0, 255)
    if step == 1:
        return _contrasted(pictures, _mean_grey(pictures), numbers["contrast"]).clamp(0, 255)
    return _mixed(pictures, numbers["mix" if step == 2 else "hue"])


def _mixed(pictures: Tensor, matrix: Tensor) -> Tensor:
    return (matrix[:, None] @ pictures.flatten(3)).view(pictures.shape).clamp(0, 255)


def _levels(pictures: Tensor, numbers: dict[str, Tensor]) -> Tensor:
    gain, offset = (numbers[name][:, None, :, None, None] for name in ("gain", "offset"))
    return (pictures / 255).pow(numbers["gamma"].view(-1, 1, 1, 1, 1)) * gain + offset


def _mean_grey(pictures: Tensor) -> Tensor:
    """(B, V, 1, 1, 1)."""
    luma = on_device(LUMA, pictures.device)
    return (pictures.mean((3, 4)) * luma).sum(2)[:, :, None, None, None]


def _contrasted(pictures: Tensor, middle: Tensor, contrast: Tensor) -> Tensor:
    return middle + contrast.view(-1, 1, 1, 1, 1) * (pictures - middle)


def erase(pictures: Tensor, draws: PatchDraws) -> Tensor:
    """Put patches over some pictures, in place.

    Returns:
        (B, S, S) bool, where patches are.
    """
    count, _, _, size, _ = pictures.shape
    hidden = torch.zeros(count, size, size, dtype=torch.bool, device=pictures.device)
    if not len(draws.rows):
        return hidden
    rows, box, pattern, cells = (
        on_device(value, pictures.device) for value in (draws.rows, draws.box, draws.pattern, draws.cells)
    )
    steps = torch.arange(size, device=pictures.device)
    for number in range(box.shape[1]):
        top, left, bottom, right = box[:, number].unbind(1)
        on_y = (steps >= top[:, None]) & (steps < bottom[:, None])
        on_x = (steps >= left[:, None]) & (steps < right[:, None])
        on = on_y[:, :, None] & on_x[:, None, :]
        # cells of the pattern per pixel of the patch
        share = cells[:, number] / torch.maximum(bottom - top, right - left).clamp(min=1)
        linear = torch.diag_embed(share[:, None].double().expand(-1, 2))
        corner = torch.stack([left, top], 1).double()
        offset = (0.5 - corner) * share[:, None] - 0.5
        to_source = torch.cat([linear, offset[..., None]], 2)
        patch = sample(pattern[:, number], to_source, size, None)
        pictures[rows] = torch.where(on[:, None, None], patch[:, None], pictures[rows])
        hidden[rows] |= on
    return hidden
