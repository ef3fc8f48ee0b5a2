"""RoIAlign (He et al., ICCV 2017) in plain torch, as two matrix products, and the boxes that go into it.

Boxes are (B, 4) x0, y0, x1, y1 in pixels of the network's input. Cell i of a map of stride s is centred on pixel
s * i (the convolutions here are odd and padded alike on both sides), so map coordinates are pixels / s.
"""

import torch
from torch import Tensor


def scale_box(box: Tensor, factor: float, square: bool = False) -> Tensor:
    """The box `factor` times as large around its centre; with `square` the square on its longer side.

    Args:
        box: (B, 4) px.
        factor: 1 leaves the size as it is.
        square: widen the shorter side to the longer one first.
    """
    low, high = box[:, :2], box[:, 2:]
    center, half = (low + high) / 2, (high - low) * (factor / 2)
    if square:
        half = half.amax(dim=1, keepdim=True)
    return torch.cat([center - half, center + half], dim=1)


def intersect_boxes(a: Tensor, b: Tensor) -> Tensor:
    """(B, 4) shared part of two boxes; where there is none, the far corner is not beyond the near one."""
    return torch.cat([torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])], dim=1)


def has_area(box: Tensor) -> Tensor:
    """(B,) float 1 where the box has an area, else 0."""
    size = box[:, 2:] - box[:, :2]
    return (size.amin(dim=1) > 0).to(box.dtype)


def _sampling_matrices(box: Tensor, cells: int, bins: int, samples: int) -> Tensor:
    """(B, 4) in map coordinates -> (B, 2, bins, cells), weights of the cells in each bin along x and along y."""
    points = bins * samples
    where = (torch.arange(points, dtype=box.dtype, device=box.device) + 0.5) / points
    along = torch.stack([1 - where, where])  # places between the corners, as one product with (x0, x1), (y0, y1)
    x = box.reshape(-1, 2, 2).transpose(1, 2) @ along
    grid = torch.arange(cells, dtype=box.dtype, device=box.device)
    hat = (1.0 - (x[..., None] - grid).abs()).clamp(min=0.0)  # linear interpolation; outside of the map is 0
    return hat if samples == 1 else hat.reshape(-1, 2, bins, samples, cells).mean(dim=3)


def roi_align(feature: Tensor, box: Tensor, size: int, input_size: int, stride: int, samples: int = 1) -> Tensor:
    """Resample the part of a map under a box to `size` x `size`.

    A bin takes the mean of `samples` x `samples` bilinear samples at regular places inside it. Bilinear samples on a
    grid are separable, so the whole is `Wy @ feature @ Wx^T`: exact, and two products in place of a gather.
    Outside of the map the feature is 0, as for a padded convolution.

    Args:
        feature: (B, C, S, S), S = input_size / stride.
        box: (B, 4) px of the network's input, one box per item.
        size: bins on each side.
        input_size: side of the network's input [px]; given, so that exported graphs hold constants.
        stride: input pixels per cell.
        samples: samples per bin and axis.

    Returns:
        (B, C, size, size).
    """
    across, down = _sampling_matrices(box / stride, input_size // stride, size, samples).split(1, dim=1)
    return down @ (feature @ across.transpose(2, 3))
