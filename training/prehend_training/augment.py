"""Changes to pictures that keep their labels true: colour, blur, noise, resolution, erased patches, backgrounds.

Everything works on uint8 with OpenCV; one 128 px crop takes about a millisecond.
"""

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
        channel_gain: largest relative change of one colour channel (white balance).
        gamma: largest |log| of the exponent.
        offset: largest grey value added or taken (contrast).
        saturation: largest relative change of the distance from grey.
        hue: largest turn about the grey axis [rad].
        grey_p, blur_p, noise_p, jpeg_p, coarse_p, erase_p: probabilities.
        blur_sigma_px: largest standard deviation of the blur [px].
        noise_sigma: largest standard deviation of the noise [grey values].
        coarse_min: smallest resolution kept, as a share of the picture's.
        erase_max: largest side of an erased patch, as a share of the picture's.
    """

    gain: float = 0.18
    channel_gain: float = 0.07
    gamma: float = 0.18
    offset: float = 8.0
    saturation: float = 0.25
    hue: float = 0.05
    grey_p: float = 0.04
    blur_p: float = 0.15
    blur_sigma_px: float = 1.2
    noise_p: float = 0.3
    noise_sigma: float = 8.0
    jpeg_p: float = 0.1
    coarse_p: float = 0.2
    coarse_min: float = 0.4
    erase_p: float = 0.1
    erase_max: float = 0.35


def change_colour(image: Image, config: PhotometricConfig, rng: Rng) -> Image:
    """(H, W, 3) uint8 RGB -> the same with other light, white balance, contrast, saturation and hue."""
    grey = rng.random() < config.grey_p
    saturation = 0.0 if grey else 1 + rng.uniform(-config.saturation, config.saturation)
    matrix = _turn_about_grey(rng.uniform(-config.hue, config.hue))
    matrix = saturation * matrix + (1 - saturation) * np.outer(np.ones(3, np.float32), LUMA)
    image = cv2.transform(image, matrix.astype(np.float32))
    gamma = np.exp(rng.uniform(-config.gamma, config.gamma))
    # more often darker: what is white has lost its shape
    gain = 1 + rng.uniform(-1.5 * config.gain, 0.6 * config.gain)
    offset = rng.uniform(-config.offset, config.offset)
    channel = np.ones(3) if grey else 1 + rng.uniform(-config.channel_gain, config.channel_gain, 3)
    levels = 255 * (np.arange(256) / 255) ** gamma * gain + offset
    table = np.clip(levels[:, None] * channel, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(image, table))


def _turn_about_grey(angle_rad: float) -> NDArray[np.float32]:
    """(3, 3) rotation of the RGB cube about its grey diagonal."""
    return cv2.Rodrigues(np.full(3, angle_rad / np.sqrt(3)))[0].astype(np.float32)


def degrade(image: Image, config: PhotometricConfig, rng: Rng) -> Image:
    """(H, W, 3) uint8 -> the same through a worse camera: fewer pixels, blur, noise, JPEG."""
    height, width = image.shape[:2]
    if rng.random() < config.coarse_p:
        share = rng.uniform(config.coarse_min, 1)
        small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < config.blur_p:
        image = _blur(image, rng.uniform(0.3, config.blur_sigma_px), rng)
    if rng.random() < config.noise_p:
        noise = _noise(height, width, rng.uniform(0, config.noise_sigma), rng)
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if rng.random() < config.jpeg_p:
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED))
    return image


def _noise(height: int, width: int, sigma: float, rng: Rng) -> Image:
    """(height, width, 3) int16 normal noise: a random piece of a wall of it, which is faster than drawing it anew."""
    wall = _noise_wall()
    top, left = rng.integers(0, wall.shape[0] - height + 1), rng.integers(0, wall.shape[1] - width + 1)
    return np.asarray(np.rint(wall[top : top + height, left : left + width] * np.float32(sigma)), np.int16)


@lru_cache(maxsize=1)
def _noise_wall(side: int = 1024) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((side, side, 3), np.float32)


def _blur(image: Image, sigma_px: float, rng: Rng) -> Image:
    """Out of focus, or moved along a line while the shutter was open."""
    if rng.random() < 0.5:
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
    behind = (~front).astype(np.float32)
    size = (cells, cells)
    share = cv2.resize(behind, size, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(image * behind[..., None], size, interpolation=cv2.INTER_AREA)
    near: NDArray[Any] = colour
    near_share: NDArray[Any] = share
    for _ in range(4):  # spread inwards; cells that know their colour keep it
        near, near_share = cv2.blur(near, (5, 5)), cv2.blur(near_share, (5, 5))
        near, near_share = np.where(share[..., None] > 0.5, colour, near), np.where(share > 0.5, share, near_share)
    fill = near / np.maximum(near_share, 1e-3)[..., None]
    fill = cv2.resize(fill, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    result = image.copy()
    np.copyto(
        result, fill.clip(0, 255).astype(np.uint8), where=cv2.dilate(front.view(np.uint8), _AROUND)[..., None] > 0
    )
    return result


def paste(image: Image, keep: NDArray[np.uint8], background: Image) -> Image:
    """`image` where `keep` (H, W) is 1 and `background` where it is 0, with an edge of about a pixel."""
    alpha = cv2.GaussianBlur(keep * np.uint8(255), (3, 3), 0)[..., None].astype(np.uint16)
    mixed = image * alpha + background * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)
