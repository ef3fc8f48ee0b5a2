"""Patterns made from nothing: cloth, wood, print; square-root coded like the renderer's colours."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Array = NDArray[np.floating]
Rng = np.random.Generator
Maker = Callable[[Rng, int, int], Picture]

_SKIN_LIKE = np.array([[225, 180, 150], [200, 150, 120], [180, 125, 95], [140, 95, 70], [95, 62, 45], [205, 170, 130]])


def colour(rng: Rng) -> Array:
    """(3,) a colour 0..255: mostly dull, sometimes loud, sometimes grey."""
    value = rng.uniform(15, 250)
    tint = rng.normal(0, rng.choice([4.0, 20.0, 60.0], p=[0.35, 0.4, 0.25]), 3)
    return np.clip(value + tint, 0, 255)


def skin_like(rng: Rng) -> Array:
    """(3,) a colour 0..255 that skin could have too: wood, cardboard, faces."""
    return np.clip(_SKIN_LIKE[rng.integers(len(_SKIN_LIKE))] * rng.uniform(0.7, 1.15) + rng.normal(0, 8, 3), 0, 255)


def noise(rng: Rng, height: int, width: int, coarsest: int = 2, octaves: int = 4, decay: float = 0.55) -> Array:
    """(height, width) float32 smooth noise in about -1..1."""
    total = np.zeros((height, width), np.float32)
    strength, cells = 1.0, coarsest
    for _ in range(octaves):
        grid = rng.standard_normal((min(cells + 1, height), min(cells + 1, width)), np.float32)
        total += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        strength *= decay
        cells *= 2
    return total / (np.abs(total).max() + 1e-6)


def blend(mask: Array, low: Array, high: Array) -> Picture:
    """Mix two colours (3,) by a mask (H, W) in 0..1."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    mixed = low + np.clip(mask, 0, 1)[..., None] * (high - low)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def gradient(rng: Rng, height: int, width: int) -> Picture:
    """One colour into another."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1, 1, width) * np.cos(angle) + np.linspace(-1, 1, height)[:, None] * np.sin(angle)
    return blend(0.5 + 0.5 * ramp + 0.1 * noise(rng, height, width), colour(rng), colour(rng))


def clouds(rng: Rng, height: int, width: int) -> Picture:
    """Two colours in soft blots."""
    mask = 0.5 + rng.uniform(0.3, 1.5) * noise(rng, height, width, int(rng.integers(1, 9)), int(rng.integers(2, 6)))
    return blend(mask, colour(rng), colour(rng))


def stripes(rng: Rng, height: int, width: int) -> Picture:
    """Stripes, straight or wavy."""
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(80)))
    along = np.arange(width) * np.cos(angle) + np.arange(height)[:, None] * np.sin(angle)
    wave = np.sin(2 * np.pi * along / period + rng.uniform(0, 6) + rng.uniform(0, 1.5) * noise(rng, height, width))
    return blend(0.5 + rng.uniform(0.6, 4) * wave, colour(rng), colour(rng))


def checks(rng: Rng, height: int, width: int) -> Picture:
    """Plaid, tiles and chequers."""
    period = rng.uniform(6, 60, 2)
    a = np.sin(2 * np.pi * np.arange(width) / period[0]) * rng.uniform(0.7, 4)
    b = np.sin(2 * np.pi * np.arange(height) / period[rng.integers(2)])[:, None] * rng.uniform(0.7, 4)
    both = a * b if rng.random() < 0.5 else (a + b) / 2
    return blend(0.5 + both, colour(rng), colour(rng))


def wood(rng: Rng, height: int, width: int) -> Picture:
    """Grain of wood, mostly brown."""
    grain = noise(rng, height, width, 2, 3)
    stretched = cv2.resize(rng.standard_normal((height, 6), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(stretched, (1, 3), 0) if height > 3 else stretched
    ring = np.sin((np.arange(height)[:, None] / height * rng.uniform(4, 20) + 2.5 * grain) * 2 * np.pi)
    base = skin_like(rng) if rng.random() < 0.7 else colour(rng)
    picture = blend(0.5 + 0.3 * ring + 0.15 * fine, base * rng.uniform(0.5, 0.9), base)
    return np.ascontiguousarray(picture.transpose(1, 0, 2)) if height == width and rng.random() < 0.5 else picture


def one_of(rng: Rng, makers: Sequence[Maker]) -> Maker:
    """A maker of images: (random numbers, height, width) -> (height, width, 3) uint8."""
    return makers[int(rng.integers(len(makers)))]


PLAIN: Sequence[Maker] = (gradient, clouds, stripes, checks, wood)


def label(rng: Rng, height: int, width: int) -> Picture:
    """Print: lines of something like text, blocks, a mark."""
    picture = one_of(rng, PLAIN)(rng, height, width)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0, 0.7, 2) * (width, height)
        w, h = rng.uniform(0.15, 0.9, 2) * (width, height)
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour(rng).tolist(), -1)
    ink = colour(rng).tolist()
    for _ in range(int(rng.integers(2, 14))):
        text = "".join(chr(c) for c in rng.integers(33, 122, int(rng.integers(2, 12))))
        place = (rng.uniform(-0.1, 0.8, 2) * (width, height)).astype(int).tolist()
        size = float(np.exp(rng.uniform(np.log(0.25), np.log(1.6))))
        cv2.putText(picture, text, place, int(rng.integers(8)), size, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    return picture
