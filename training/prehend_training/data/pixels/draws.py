"""What is drawn by chance for the pixels of one image: numbers alone, the same for OpenCV and for a device.

Nothing here looks at an image: an image and its twin are changed alike, and what a seed gives depends on nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Image = NDArray[Any]
"""(H, W, 3) uint8 RGB. (OpenCV's stubs forget the type of what they return.)"""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green and blue in brightness (Rec. 601)."""
LEVELS, CONTRAST, MIX, HUE = range(4)
"""Steps of a change of colour, see `Colours.order`."""


@dataclass(frozen=True)
class PhotometricConfig:
    """How much an image may change; each `..._p` is the probability of its change.

    Rendered scenes vary already; what an hour on two cores teaches is limited by samples, and strong changes cost many.

    Attributes:
        gain: about the largest relative change of the brightness.
        even_gain: the brightness is as often higher as lower; otherwise it is more often lower, since what is white has
            lost its shape.
        channel_gain: largest relative change of one colour channel (white balance).
        gamma: largest |log| of the exponent.
        offset: largest grey value added or taken.
        contrast: largest relative change of the distance from the image's mean grey.
        exposure_p: probability of an image exposed so badly that a part of it is cut off at white or black.
        exposure: largest such gain, and the inverse of the smallest.
        saturation: largest relative change of the distance from grey.
        hue: largest turn about the grey axis [rad].
        shuffled: brightness, contrast, saturation and hue come in an order by chance.
        grey_p, blur_p, noise_p, jpeg_p, coarse_p, erase_p: probabilities.
        blur_sigma_px, blur_min_px: largest and smallest standard deviation of the blur [px].
        motion_p: probability that a blur is along a line.
        shot_noise: largest standard deviation of noise that grows with the root of the light, at white [grey values].
        jpeg_quality: lowest and highest quality.
        noise_sigma: largest standard deviation of the noise [grey values].
        coarse_min: smallest resolution kept, as a share of the image's.
        coarse_blocks_p: probability that fewer pixels show as blocks.
        erase_max: largest side of an erased patch, as a share of the image's.
    """

    gain: float = 0.18
    even_gain: bool = False
    channel_gain: float = 0.07
    gamma: float = 0.18
    offset: float = 8.0
    contrast: float = 0.0
    exposure_p: float = 0.0
    exposure: float = 2.0
    saturation: float = 0.25
    hue: float = 0.05
    shuffled: bool = False
    grey_p: float = 0.04
    blur_p: float = 0.15
    blur_sigma_px: float = 1.2
    blur_min_px: float = 0.3
    motion_p: float = 0.5
    noise_p: float = 0.3
    noise_sigma: float = 8.0
    shot_noise: float = 0.0
    jpeg_p: float = 0.1
    jpeg_quality: tuple[int, int] = (25, 90)
    coarse_p: float = 0.2
    coarse_min: float = 0.4
    coarse_blocks_p: float = 0.0
    erase_p: float = 0.1
    erase_max: float = 0.35


@dataclass(frozen=True)
class Colours:
    """Other light, white balance, contrast, saturation and hue.

    Attributes:
        mix, hue: (3, 3) float32 on RGB: towards grey, about the grey axis.
        gamma, gain, offset: exponent, gain and offset [grey values] of the brightness.
        channel: (3,) gain of each channel.
        contrast: factor of the distance from the image's mean grey.
        order: of the four steps; None for mix and hue in one, then levels and contrast in one.
    """

    mix: NDArray[np.float32]
    hue: NDArray[np.float32]
    gamma: float
    gain: float
    offset: float
    channel: NDArray[np.float64]
    contrast: float
    order: tuple[int, ...] | None


def draw_colours(config: PhotometricConfig, rng: Rng) -> Colours:
    """Draws of a change of colour."""
    grey = rng.random() < config.grey_p
    saturation = 0.0 if grey else 1 + rng.uniform(-config.saturation, config.saturation)
    hue = _turn_about_grey(rng.uniform(-config.hue, config.hue))
    gamma = float(np.exp(rng.uniform(-config.gamma, config.gamma)))
    low, high = (1.0, 1.0) if config.even_gain else (1.5, 0.6)
    gain = 1 + rng.uniform(-low * config.gain, high * config.gain)
    offset = rng.uniform(-config.offset, config.offset)
    channel = np.ones(3) if grey else 1 + rng.uniform(-config.channel_gain, config.channel_gain, 3)
    contrast = 1 + rng.uniform(-config.contrast, config.contrast) if config.contrast else 1.0
    if config.exposure_p and rng.random() < config.exposure_p:
        gain *= float(np.exp(rng.uniform(-1, 1) * np.log(config.exposure)))
    mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * np.outer(np.ones(3, np.float32), LUMA)
    order = tuple(int(step) for step in rng.permutation(4)) if config.shuffled else None
    return Colours(mix, hue, gamma, gain, offset, channel, contrast, order)


def _turn_about_grey(angle_rad: float) -> NDArray[np.float32]:
    """(3, 3) rotation of the RGB cube about its grey diagonal."""
    return cv2.Rodrigues(np.full(3, angle_rad / np.sqrt(3)))[0].astype(np.float32)


@dataclass(frozen=True)
class OccludingPatch:
    """A rectangle that hides a part of an image: its first row and column, and (h, w, 3) uint8 what is shown there."""

    top: int
    left: int
    pixels: Image

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the image."""
        height, width = self.pixels.shape[:2]
        return np.s_[self.top : self.top + height, self.left : self.left + width]


def draw_patches(config: PhotometricConfig, size: tuple[int, int], rng: Rng) -> tuple[OccludingPatch, ...]:
    """One or two erased rectangles of an image of this height and width, in a flat colour or a pattern, or none."""
    if rng.random() >= config.erase_p:
        return ()
    patches = []
    for _ in range(rng.integers(1, 3)):
        height, width = (np.array(size) * rng.uniform(0.06, config.erase_max, 2)).astype(int)
        top, left = rng.integers(0, size[0] - height), rng.integers(0, size[1] - width)
        if rng.random() < 0.5:
            pixels = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), (height, width, 3))
        else:
            pixels = pattern(max(height, width), rng)[:height, :width]
        patches.append(OccludingPatch(int(top), int(left), pixels))
    return tuple(patches)


def pattern(size_px: int, rng: Rng) -> Image:
    """(size, size, 3) uint8 smooth random colours with some grain."""
    cells = int(rng.integers(2, 12))
    spread = rng.uniform(5, 90)
    coarse = rng.normal(rng.uniform(20, 235, 3), spread, (cells, cells, 3)).clip(0, 255).astype(np.uint8)
    way = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(coarse, (size_px, size_px), interpolation=way), np.uint8)


def hidden_by(patches: Sequence[OccludingPatch], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) where patches hide an image of this height and width."""
    hidden = np.zeros(size, np.bool_)
    for patch in patches:
        hidden[patch.place] = True
    return hidden


@dataclass(frozen=True)
class Noise:
    """Normal noise: a piece of `noise_wall` at a corner (row, column), times a standard deviation [grey values]."""

    corner: tuple[int, int]
    sigma: float


@dataclass(frozen=True)
class Degrading:
    """A worse camera.

    Attributes:
        coarse_px: width and height of fewer pixels, None for all.
        blocks: they show as blocks.
        blur_px: standard deviation of the blur, None for none.
        motion_rad: direction of a blur along a line, None for one out of focus.
        noise: the same everywhere. shot: grows with the root of the light, at white.
        quality: of JPEG, None for none.
    """

    coarse_px: tuple[int, int] | None
    blocks: bool
    blur_px: float | None
    motion_rad: float | None
    noise: Noise | None
    shot: Noise | None
    quality: int | None


_PIXEL_SIGMA = 0.5
"""Standard deviation of what a pixel and interpolation between pixels smear, about, in pixels."""


def draw_degrading(config: PhotometricConfig, size: tuple[int, int], rng: Rng, resolution: float = 1.0) -> Degrading:
    """Draws of a worse camera for an image of this height and width.

    Args:
        config: how much worse.
        size: height and width [px].
        rng: draws.
        resolution: pixels that the image was enlarged from, as a share of its own along a side: a small hand is coarse
            and blurred already, and gets no worse than a large one does.
    """
    coarse, blocks = None, False
    if rng.random() < config.coarse_p:
        share = rng.uniform(config.coarse_min, 1)
        blocks = bool(config.coarse_blocks_p > 0 and rng.random() < config.coarse_blocks_p)
        if share < resolution:
            coarse = round(size[1] * share), round(size[0] * share)
    blur, motion = None, None
    if rng.random() < config.blur_p:
        blur = rng.uniform(config.blur_min_px, config.blur_sigma_px)
        motion = None if rng.random() < 1 - config.motion_p else rng.uniform(0, np.pi)
        if resolution < 1:
            left = blur**2 - _PIXEL_SIGMA**2 * (resolution**-2 - 1)
            blur = float(np.sqrt(left)) if left > config.blur_min_px**2 else None
            motion = None if blur is None else motion
    noise, shot = None, None
    if rng.random() < config.noise_p:
        noise = _draw_noise(size, config.noise_sigma, rng)
        shot = _draw_noise(size, config.shot_noise, rng) if config.shot_noise else None
    quality = int(rng.integers(*config.jpeg_quality)) if rng.random() < config.jpeg_p else None
    return Degrading(coarse, blocks, blur, motion, noise, shot, quality)


def _draw_noise(size: tuple[int, int], most: float, rng: Rng) -> Noise:
    sigma = rng.uniform(0, most)
    side = len(noise_wall())
    return Noise((int(rng.integers(0, side - size[0] + 1)), int(rng.integers(0, side - size[1] + 1))), sigma)


@lru_cache(maxsize=1)
def noise_wall(side: int = 1024) -> NDArray[np.float32]:
    """(side, side, 3) normal noise; pieces of it come faster than new noise."""
    return np.random.default_rng(0).standard_normal((side, side, 3), np.float32)


def motion_kernel(sigma_px: float, angle_rad: float) -> NDArray[np.float32]:
    """(k, k) kernel of what moved along a line while the shutter was open."""
    radius = max(1, round(2 * sigma_px))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    step = radius * np.array([np.cos(angle_rad), np.sin(angle_rad)])
    start, stop = np.rint(radius - step).astype(int), np.rint(radius + step).astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


@dataclass(frozen=True)
class PixelChanges:
    """All that is done to the pixels of one image, in this order."""

    colours: Colours
    patches: tuple[OccludingPatch, ...]
    degrading: Degrading


def draw_changes(
    config: PhotometricConfig, size: tuple[int, int], rng: Rng, erase: bool = True, resolution: float = 1.0
) -> PixelChanges:
    """Draws for an image of this height and width: other light, patches (where `erase` says so), a worse camera; see
    `draw_degrading` for the resolution."""
    colours = draw_colours(config, rng)
    patches = draw_patches(config, size, rng) if erase else ()
    return PixelChanges(colours, patches, draw_degrading(config, size, rng, resolution))
