"""Worse cameras for a whole batch on a device: fewer pixels, blur, noise, JPEG; see `opencv.degrade`.

Images are those of `torch_`, what is done with them is drawn in `draws`.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from prehend_training.data.pixels.draws import Degrading, Noise, motion_kernel, noise_wall

Window = tuple[int, int, int, int]


def degrade(images: Tensor, draws: Sequence[Degrading], windows: Sequence[Window]) -> Tensor:
    """Images (B, V, 3, S, S) through worse cameras, changed in place; each was drawn for a window x0, y0, x1, y1."""
    size, pairs = images.shape[-1], list(zip(draws, windows, strict=True))
    if rows := [row for row, one in enumerate(draws) if one.coarse_px is not None]:
        images[rows] = _coarse(images[rows], [pairs[row] for row in rows])
    if rows := [row for row, one in enumerate(draws) if one.blur_px is not None]:
        kernels = blur_kernels([(one.blur_px or 0.0, one.motion_rad) for one in (draws[row] for row in rows)])
        images[rows] = _blurred(images[rows], _tensor(kernels, images))
    if rows := [row for row, one in enumerate(draws) if one.noise is not None]:
        images[rows] = _noisy(images[rows], [pairs[row] for row in rows], size)
    if rows := [row for row, one in enumerate(draws) if one.quality is not None]:
        quality = _tensor([draws[row].quality or 0 for row in rows], images).repeat_interleave(images.shape[1])
        chosen = images[rows]
        # OpenCV takes the first channel for blue: red and blue change places for the encoder on the CPU, so here too
        images[rows] = jpeg(chosen.flip(2).flatten(0, 1), quality).view(chosen.shape).flip(2)
    return images


def _tensor(values: ArrayLike, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values)).to(like.device, non_blocking=True)


def _coarse(images: Tensor, draws: Sequence[tuple[Degrading, Window]]) -> Tensor:
    """Shrunk and enlarged again along each axis: two products with a matrix each."""
    size, across, down = images.shape[-1], [], []
    for one, (x0, y0, x1, y1) in draws:
        assert one.coarse_px is not None
        across.append(_resolution(size, (x0, x1), one.coarse_px[0], one.blocks))
        down.append(_resolution(size, (y0, y1), one.coarse_px[1], one.blocks))
    columns, rows = (_tensor(np.stack(part), images)[:, None, None] for part in (across, down))
    return rows @ images @ columns.transpose(-1, -2)


@lru_cache(maxsize=1024)
def _resolution(size_px: int, inside: tuple[int, int], pixels: int, blocks: bool) -> NDArray[np.float32]:
    """(S, S) what fewer pixels leave of a row of pixels in a part of it; the rest stays."""
    length = inside[1] - inside[0]
    small = cv2.resize(np.eye(length, dtype=np.float32), (length, pixels), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_NEAREST if blocks else cv2.INTER_LINEAR
    matrix = np.eye(size_px, dtype=np.float32)
    matrix[slice(*inside), slice(*inside)] = cv2.resize(small, (length, length), interpolation=way)
    return matrix


def blur_kernels(draws: Sequence[tuple[float, float | None]]) -> NDArray[np.float32]:
    """(n, k, k) kernels of standard deviations [px] and directions [rad], None for a lens out of focus."""
    kernels = []
    for sigma, motion in draws:
        if motion is not None:
            kernels.append(motion_kernel(sigma, motion))
            continue
        one = cv2.getGaussianKernel(round(6 * sigma + 1) | 1, sigma)
        kernels.append(np.asarray(one @ one.T, np.float32))
    widest = max((len(kernel) for kernel in kernels), default=1)
    padded = [np.pad(kernel, (widest - len(kernel)) // 2) for kernel in kernels]
    return np.array(padded, np.float32).reshape(-1, widest, widest)


def _noisy(images: Tensor, draws: Sequence[tuple[Degrading, Window]], size: int) -> Tensor:
    """Noise that is the same everywhere, and noise that grows with the root of the light; a twin has its image's."""
    noise = _pieces([(one.noise, window) for one, window in draws], size, images)
    if any(one.shot is not None for one, _ in draws):
        shot = _pieces([(one.shot, window) for one, window in draws], size, images)
        noise = noise + (images / 255).sqrt() * shot
    return (images + noise).clamp(0, 255)


def _pieces(draws: Sequence[tuple[Noise | None, Window]], size: int, like: Tensor) -> Tensor:
    """(n, 1, 3, S, S) pieces of the wall, whose corners are those of the windows, times their deviations."""
    wall = _wall_on(like.device)
    nothing = Noise((0, 0), 0.0)
    drawn = [(one or nothing, window) for one, window in draws]
    corner = _tensor([[one.corner[0] - window[1], one.corner[1] - window[0]] for one, window in drawn], like)
    steps = torch.arange(size, device=like.device)
    rows, columns = ((corner[:, axis, None] + steps) % len(wall) for axis in (0, 1))
    sigma = _tensor(np.array([one.sigma for one, _ in drawn], np.float32), like)
    return (wall[rows[:, :, None], columns[:, None]] * sigma[:, None, None, None]).permute(0, 3, 1, 2)[:, None]


@lru_cache(maxsize=2)
def _wall_on(device: torch.device) -> Tensor:
    return torch.from_numpy(noise_wall()).to(device)


def _blurred(images: Tensor, kernels: Tensor) -> Tensor:
    """Each image with its own (k, k) kernel, at the edges mirrored."""
    count, size, radius = len(kernels), images.shape[-1], kernels.shape[-1] // 2
    channels = images[0].numel() // size**2
    padded = F.pad(images.reshape(1, -1, size, size), (radius,) * 4, mode="reflect")
    each = kernels.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(padded, each, groups=count * channels).view(images.shape)


_BLOCK = 8
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *((99,) * 8,) * 4,
)  # fmt: skip
"""Quantisation tables of JPEG (ITU-T T.81, annex K), which encoders scale by the quality."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """What JPEG with half the resolution of colour leaves of images.

    Args:
        images: (N, 3, S, S) RGB from 0 to 255.
        quality: (N,) 1 to 100, as encoders of the Independent JPEG Group count it.
    """
    size = images.shape[-1]
    room = -size % (2 * _BLOCK)
    padded = F.pad(images, (0, room, 0, room), mode="replicate")
    to_ycc = _tensor(np.array(_TO_YCC, np.float32), images)
    to_rgb = _tensor(np.linalg.inv(_TO_YCC).astype(np.float32), images)
    ycc = (to_ycc @ padded.flatten(2)).view(padded.shape)
    factor = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality.double()).float()
    light = _quantised(ycc[:, :1] - 128, _LUMINANCE, factor) + 128
    colour = _quantised(F.avg_pool2d(ycc[:, 1:], 2), _CHROMINANCE, factor)
    colour = F.interpolate(colour, scale_factor=2, mode="bilinear", align_corners=False)
    whole = torch.cat([light, colour], 1).flatten(2)
    rgb = (to_rgb @ whole).view(padded.shape)
    return rgb[..., :size, :size].clamp(0, 255)


def _quantised(planes: Tensor, table: tuple[tuple[int, ...], ...], factor: Tensor) -> Tensor:
    """(N, C, h, w) planes whose cosine transforms of 8 x 8 blocks are rounded to multiples of the scaled table."""
    steps = torch.arange(_BLOCK, device=planes.device, dtype=torch.float32)
    basis = torch.cos(torch.pi / _BLOCK * (steps + 0.5) * steps[:, None]) * (2 / _BLOCK) ** 0.5
    basis[0] *= 0.5**0.5
    base = _tensor(np.array(table, np.float32), planes)
    unit = ((base * factor[:, None, None] + 50) / 100).floor().clamp(1, 255)[:, None, None, None]
    blocks = planes.unflatten(3, (-1, _BLOCK)).unflatten(2, (-1, _BLOCK)).transpose(3, 4)
    waves = torch.round(basis @ blocks @ basis.T / unit) * unit
    return (basis.T @ waves @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)
