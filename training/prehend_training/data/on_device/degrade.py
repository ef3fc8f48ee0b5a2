"""Worse cameras for a whole batch on a device: fewer pixels, blur, noise, JPEG; see `augment.degrade`.

Which pictures are changed, and how, is drawn on the CPU; pictures are those of `resident_pixels`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from prehend_training.data.on_device.draws import Numbers, Rng
from prehend_training.data.on_device.tensors import on_device
from prehend_training.data.pixels import PhotometricConfig

_COARSE_STEP_PX = 8
"""Resolutions are multiples of it, so that pictures of one resolution are shrunk together."""


@dataclass(frozen=True)
class DegradeDraws:
    """Rows of the batch (n,) and what is done with them: coarse_px resolution [px], blocks whether it shows as blocks,
    kernels (n, k, k) of the blur, sigma and shot (at white) of the noise [grey values], quality of JPEG."""

    coarse_rows: Numbers
    coarse_px: Numbers
    blocks: NDArray[np.bool_]
    blur_rows: Numbers
    kernels: NDArray[np.float32]
    noise_rows: Numbers
    sigma: NDArray[np.float32]
    shot: NDArray[np.float32]
    jpeg_rows: Numbers
    quality: Numbers


def draw_degrading(config: PhotometricConfig, size_px: int, count: int, rng: Rng) -> DegradeDraws:
    """Draws of `augment.degrade`."""
    coarse, blur, noise, jpeg = (
        np.flatnonzero(rng.random(count) < p) for p in (config.coarse_p, config.blur_p, config.noise_p, config.jpeg_p)
    )
    coarse_px = size_px * rng.uniform(config.coarse_min, 1, len(coarse)) / _COARSE_STEP_PX
    return DegradeDraws(
        coarse,
        _COARSE_STEP_PX * np.rint(coarse_px).astype(np.int64).clip(1),
        rng.random(len(coarse)) < config.coarse_blocks_p,
        blur,
        blur_kernels(rng.uniform(config.blur_min_px, config.blur_sigma_px, len(blur)), config.motion_p, rng),
        noise,
        rng.uniform(0, config.noise_sigma, len(noise)).astype(np.float32),
        rng.uniform(0, config.shot_noise, len(noise)).astype(np.float32),
        jpeg,
        rng.integers(*config.jpeg_quality, len(jpeg)),
    )


def blur_kernels(sigmas_px: NDArray[np.floating], motion_p: float, rng: Rng) -> NDArray[np.float32]:
    """(n, k, k) kernels of a lens out of focus, or moved along a line while the shutter was open, as in `augment`."""
    kernels = []
    for sigma in sigmas_px:
        if rng.random() >= motion_p:
            one = cv2.getGaussianKernel(round(6 * sigma + 1) | 1, float(sigma))
            kernels.append(np.asarray(one @ one.T, np.float32))
            continue
        radius = max(1, round(2 * float(sigma)))
        kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
        angle = rng.uniform(0, np.pi)
        step = radius * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(kernel, np.rint(radius - step).astype(int).tolist(), np.rint(radius + step).astype(int).tolist(), 1.0)
        kernels.append(kernel / kernel.sum())
    widest = max((len(kernel) for kernel in kernels), default=1)
    padded = [np.pad(kernel, (widest - len(kernel)) // 2) for kernel in kernels]
    return np.array(padded, np.float32).reshape(-1, widest, widest)


def degrade(pictures: Tensor, draws: DegradeDraws, generator: torch.Generator) -> Tensor:
    """Pictures (B, V, 3, S, S) through worse cameras, changed in place; `generator` makes the noise."""
    device = pictures.device
    for resolution, blocks in sorted({*zip(draws.coarse_px.tolist(), draws.blocks.tolist(), strict=True)}):
        together = (draws.coarse_px == resolution) & (draws.blocks == blocks)
        rows = on_device(draws.coarse_rows[together], device)
        pictures[rows] = _coarse(pictures[rows], resolution, blocks)
    if len(draws.blur_rows):
        rows = on_device(draws.blur_rows, device)
        pictures[rows] = _blurred(pictures[rows], on_device(draws.kernels, device))
    if len(draws.noise_rows):
        rows = on_device(draws.noise_rows, device)
        pictures[rows] = _noisy(pictures[rows], draws, generator)
    if len(draws.jpeg_rows):
        rows, quality = on_device(draws.jpeg_rows, device), on_device(draws.quality, device)
        each = quality.repeat_interleave(pictures.shape[1])
        pictures[rows] = jpeg(pictures[rows].flatten(0, 1), each).view(len(rows), *pictures.shape[1:])
    return pictures


def _coarse(pictures: Tensor, resolution_px: int, blocks: bool) -> Tensor:
    flat, size = pictures.flatten(0, 1), pictures.shape[-1]
    small = F.interpolate(flat, (resolution_px, resolution_px), mode="bilinear", antialias=True, align_corners=False)
    if blocks:
        return F.interpolate(small, (size, size), mode="nearest").view(pictures.shape)
    return F.interpolate(small, (size, size), mode="bilinear", align_corners=False).view(pictures.shape)


def _noisy(pictures: Tensor, draws: DegradeDraws, generator: torch.Generator) -> Tensor:
    """Noise that is the same everywhere, and noise that grows with the root of the light; a twin has its picture's."""
    device = pictures.device
    sigma, shot = (on_device(value, device).view(-1, 1, 1, 1, 1) for value in (draws.sigma, draws.shot))
    even, grown = torch.randn(2, len(pictures), 1, *pictures.shape[2:], generator=generator, device=device)
    return (pictures + sigma * even + shot * (pictures / 255).sqrt() * grown).clamp(0, 255)


def _blurred(pictures: Tensor, kernels: Tensor) -> Tensor:
    """Each picture with its own (k, k) kernel, at the edges mirrored."""
    count, size, radius = len(kernels), pictures.shape[-1], kernels.shape[-1] // 2
    channels = pictures[0].numel() // size**2
    padded = F.pad(pictures.reshape(1, -1, size, size), (radius,) * 4, mode="reflect")
    each = kernels.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(padded, each, groups=count * channels).view(pictures.shape)


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


def jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """What JPEG with half the resolution of colour leaves of pictures.

    Args:
        pictures: (N, 3, S, S) RGB from 0 to 255.
        quality: (N,) 1 to 100, as encoders of the Independent JPEG Group count it.
    """
    size = pictures.shape[-1]
    room = -size % (2 * _BLOCK)
    padded = F.pad(pictures, (0, room, 0, room), mode="replicate")
    to_ycc = on_device(_TO_YCC, pictures.device, torch.float32)
    to_rgb = on_device(np.linalg.inv(_TO_YCC), pictures.device, torch.float32)
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
    base = on_device(table, planes.device, torch.float32)
    unit = ((base * factor[:, None, None] + 50) / 100).floor().clamp(1, 255)[:, None, None, None]
    blocks = planes.unflatten(3, (-1, _BLOCK)).unflatten(2, (-1, _BLOCK)).transpose(3, 4)
    waves = torch.round(basis @ blocks @ basis.T / unit) * unit
    return (basis.T @ waves @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)
