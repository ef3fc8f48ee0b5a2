"""Changes to pictures that keep their labels true: colour, blur, noise, resolution, erased patches, backgrounds.

Everything works on uint8 with OpenCV; one 128 px crop takes about a millisecond.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
"""(H, W, 3) uint8 RGB. (OpenCV's stubs forget the type of what they return.)"""
Rng = np.random.Generator

_AROUND = np.ones((5, 5), np.uint8)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green and blue in brightness (Rec. 601)."""


@dataclass(frozen=True)
class PhotometricConfig:
    """How much a picture may change; each `..._p` is the probability of its change.

    Rendered scenes vary already; what an hour on two cores teaches is limited by samples, and strong changes cost many.

    Attributes:
        gain: about the largest relative change of the brightness.
        even_gain: the brightness is as often higher as lower; otherwise it is more often lower, since what is white has
            lost its shape.
        channel_gain: largest relative change of one colour channel (white balance).
        gamma: largest |log| of the exponent.
        offset: largest grey value added or taken.
        contrast: largest relative change of the distance from the picture's mean grey.
        exposure_p: probability of a picture exposed so badly that a part of it is cut off at white or black.
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
        coarse_min: smallest resolution kept, as a share of the picture's.
        coarse_blocks_p: probability that fewer pixels show as blocks.
        erase_max: largest side of an erased patch, as a share of the picture's.
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


def change_colour(image: Image, config: PhotometricConfig, rng: Rng) -> Image:
    """(H, W, 3) uint8 RGB -> the same with other light, white balance, contrast, saturation and hue.

    What is drawn does not depend on the picture; of the picture only `contrast` uses the mean grey.
    """
    grey = rng.random() < config.grey_p
    saturation = 0.0 if grey else 1 + rng.uniform(-config.saturation, config.saturation)
    hue = _turn_about_grey(rng.uniform(-config.hue, config.hue))
    gamma = np.exp(rng.uniform(-config.gamma, config.gamma))
    low, high = (1.0, 1.0) if config.even_gain else (1.5, 0.6)
    gain = 1 + rng.uniform(-low * config.gain, high * config.gain)
    offset = rng.uniform(-config.offset, config.offset)
    channel = np.ones(3) if grey else 1 + rng.uniform(-config.channel_gain, config.channel_gain, 3)
    contrast = 1 + rng.uniform(-config.contrast, config.contrast) if config.contrast else 1.0
    if config.exposure_p and rng.random() < config.exposure_p:
        gain *= np.exp(rng.uniform(-1, 1) * np.log(config.exposure))
    mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * np.outer(np.ones(3, np.float32), LUMA)
    if not config.shuffled:  # two passes over the picture
        image = np.asarray(cv2.transform(image, (mix @ hue).astype(np.float32)))
        return _with_levels(image, gamma, gain, offset, channel, contrast)
    steps: list[Callable[[Image], Image]] = [
        lambda image: _with_levels(image, gamma, gain, offset, channel, 1.0),
        lambda image: _with_levels(image, 1.0, 1.0, 0.0, np.ones(3), contrast),
        lambda image: np.asarray(cv2.transform(image, mix)),
        lambda image: np.asarray(cv2.transform(image, hue)),
    ]
    for number in rng.permutation(len(steps)):
        image = steps[number](image)
    return image


def _with_levels(
    image: Image, gamma: float, gain: float, offset: float, channel: NDArray[np.floating], contrast: float
) -> Image:
    """Every channel by a table: exponent, gain and offset, then the distance from the picture's mean grey."""
    levels = 255 * (np.arange(256) / 255) ** gamma * gain + offset
    table = levels[:, None] * channel
    if contrast != 1:
        middle = float(np.asarray(cv2.mean(image)[:3]) @ LUMA)
        table = middle + contrast * (table - middle)
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None]))


def _turn_about_grey(angle_rad: float) -> NDArray[np.float32]:
    """(3, 3) rotation of the RGB cube about its grey diagonal."""
    return cv2.Rodrigues(np.full(3, angle_rad / np.sqrt(3)))[0].astype(np.float32)


def degrade(image: Image, config: PhotometricConfig, rng: Rng) -> Image:
    """(H, W, 3) uint8 -> the same through a worse camera: fewer pixels, blur, noise, JPEG."""
    height, width = image.shape[:2]
    if rng.random() < config.coarse_p:
        share = rng.uniform(config.coarse_min, 1)
        blocks = config.coarse_blocks_p > 0 and rng.random() < config.coarse_blocks_p
        small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        way = cv2.INTER_NEAREST if blocks else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(small, (width, height), interpolation=way))
    if rng.random() < config.blur_p:
        image = _blur(image, rng.uniform(config.blur_min_px, config.blur_sigma_px), config.motion_p, rng)
    if rng.random() < config.noise_p:
        noise = _noise(height, width, rng.uniform(0, config.noise_sigma), rng)
        if config.shot_noise:
            light = np.sqrt(np.arange(256, dtype=np.float32) / 255) * np.float32(rng.uniform(0, config.shot_noise))
            noise = noise + cv2.LUT(image, light) * _noise(height, width, 1.0, rng)
        image = np.asarray(cv2.add(image, np.rint(noise).astype(np.int16), dtype=cv2.CV_8U))
    if rng.random() < config.jpeg_p:
        quality = int(rng.integers(*config.jpeg_quality))
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED))
    return image


def _noise(height: int, width: int, sigma: float, rng: Rng) -> Image:
    """(height, width, 3) normal noise: a random piece of a wall of it, which is faster than drawing it anew."""
    wall = _noise_wall()
    top, left = rng.integers(0, wall.shape[0] - height + 1), rng.integers(0, wall.shape[1] - width + 1)
    return np.asarray(wall[top : top + height, left : left + width] * np.float32(sigma))


@lru_cache(maxsize=1)
def _noise_wall(side: int = 1024) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((side, side, 3), np.float32)


def _blur(image: Image, sigma_px: float, motion_p: float, rng: Rng) -> Image:
    """Out of focus, or moved along a line while the shutter was open."""
    if rng.random() < 1 - motion_p:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px))
    radius = max(1, round(2 * sigma_px))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    angle = rng.uniform(0, np.pi)
    step = radius * np.array([np.cos(angle), np.sin(angle)])
    start, stop = np.rint(radius - step).astype(int), np.rint(radius + step).astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))


def erase(image: Image, config: PhotometricConfig, rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
    """Hide one or two rectangles behind a flat colour or noise.

    Returns:
        The picture, and an (H, W) mask of what is hidden.
    """
    hidden = np.zeros(image.shape[:2], np.bool_)
    if rng.random() >= config.erase_p:
        return image, hidden
    image = image.copy()
    for _ in range(rng.integers(1, 3)):
        height, width = (np.array(image.shape[:2]) * rng.uniform(0.06, config.erase_max, 2)).astype(int)
        top, left = rng.integers(0, image.shape[0] - height), rng.integers(0, image.shape[1] - width)
        patch = np.s_[top : top + height, left : left + width]
        if rng.random() < 0.5:
            image[patch] = rng.integers(0, 256, 3)
        else:
            image[patch] = procedural_background(max(height, width), rng)[:height, :width]
        hidden[patch] = True
    return image, hidden


def procedural_background(size_px: int, rng: Rng) -> Image:
    """(size, size, 3) uint8 smooth random colours with some grain."""
    cells = int(rng.integers(2, 12))
    spread = rng.uniform(5, 90)
    coarse = rng.normal(rng.uniform(20, 235, 3), spread, (cells, cells, 3)).clip(0, 255).astype(np.uint8)
    way = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(coarse, (size_px, size_px), interpolation=way), np.uint8)


def without_front(image: Image, front: NDArray[np.bool_], cells: int = 16) -> Image:
    """(H, W, 3) picture whose `front` (H, W) is replaced by colours from around it, without detail."""
    hidden = front.view(np.uint8)
    size = (cells, cells)
    share = 1 - cv2.resize(hidden * np.uint8(255), size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    bare = cv2.copyTo(image, 1 - hidden)
    colour = cv2.resize(bare, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    near: NDArray[Any] = colour
    near_share: NDArray[Any] = share
    for _ in range(4):  # spread inwards; cells that know their colour keep it
        near, near_share = cv2.blur(near, (5, 5)), cv2.blur(near_share, (5, 5))
        near, near_share = np.where(share[..., None] > 0.5, colour, near), np.where(share > 0.5, share, near_share)
    fill = near / np.maximum(near_share, 1e-3)[..., None]
    fill = cv2.resize(fill.clip(0, 255).astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(fill, cv2.dilate(hidden, _AROUND), image.copy()))


def paste(image: Image, keep: NDArray[np.uint8], background: Image) -> Image:
    """`image` where `keep` (H, W) is 1 and `background` where it is 0, with an edge of about a pixel."""
    alpha = cv2.GaussianBlur(keep * np.uint8(255), (3, 3), 0)[..., None].astype(np.uint16)
    mixed = image * alpha + background * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)
