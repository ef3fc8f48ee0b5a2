"""What a camera makes of light: focus, movement, exposure, colour, noise, compression."""

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Rng = np.random.Generator

_SHEET = 768
_SHARPEST_PX = 0.6
"""Standard deviation of the blur of the best lens, also what keeps drawn edges from looking cut out [px]."""
_LEVELS = 2048
_GREY = np.array([0.3, 0.59, 0.11])


@dataclass(frozen=True)
class CameraEffects:
    """Settings of a simulated camera. Lengths are for an image 160 px wide and grow with it.

    Attributes:
        matrix: (3, 3) exposure, white balance and colours: from the scene's linear light to the sensor's.
        contrast: slope of the tone curve in the middle.
        lift: what black becomes.
        gamma: exponent after the square root.
        vignette: how much darker the corners are.
        blur_px: standard deviation of the blur when in focus.
        focus_m, depth_blur: distance in focus and how blurred the rest is, the blur of what is infinitely far.
        motion_px: (2,) streak of the motion blur.
        read_noise, shot_noise: standard deviation [share of white] in the dark, and in white light.
        coarse_noise: noise in coarse grains, as after scaling up.
        bands: (3,) strength, waves over the image's height and phase of brightness that rolls through it.
        quality: of JPEG, 0 for none.
        seed: of the noise.
    """

    matrix: Array = field(default_factory=lambda: np.eye(3))
    contrast: float = 1.0
    lift: float = 0.0
    gamma: float = 1.0
    vignette: float = 0.0
    blur_px: float = 0.0
    focus_m: float = 0.5
    depth_blur: float = 0.0
    motion_px: Array = field(default_factory=lambda: np.zeros(2))
    read_noise: float = 0.0
    shot_noise: float = 0.0
    coarse_noise: float = 0.0
    bands: Array = field(default_factory=lambda: np.zeros(3))
    quality: int = 0
    seed: int = 0


def sample_effects(rng: Rng, focus_m: float = 0.5) -> CameraEffects:
    """A random camera: mostly decent, sometimes bad.

    Args:
        rng: random numbers.
        focus_m: how far away what it looks at is.
    """
    exposure = np.exp(rng.normal(0, 0.22))
    kind = rng.random()
    if kind < 0.05:
        exposure *= rng.uniform(1.7, 2.6)  # skin burns out to white
    elif kind < 0.1:
        exposure *= rng.uniform(0.3, 0.6)
    # a dark scene at a high gain: photons are few
    photons = np.exp(rng.uniform(7.3, 10.6) if rng.random() < 0.85 else rng.uniform(5.6, 7.3))
    coarse = rng.uniform(0, 0.015) if rng.random() < 0.15 else 0.0
    return CameraEffects(
        matrix=exposure * _colour_matrix(rng),
        contrast=float(np.exp(rng.normal(0, 0.14))),
        lift=float(max(rng.normal(0, 0.025), -0.03)),
        gamma=float(np.exp(rng.normal(0, 0.1))),
        vignette=float(rng.uniform(0, 0.45) if rng.random() < 0.4 else 0.0),
        blur_px=float(abs(rng.normal(0, 0.5)) if rng.random() < 0.88 else rng.uniform(0.7, 2.0)),
        focus_m=focus_m,
        depth_blur=float(rng.uniform(0.5, 2.5)) if rng.random() < 0.2 else 0.0,
        motion_px=rng.normal(0, 1, 2) * np.exp(rng.uniform(0, 1.3)) if rng.random() < 0.18 else np.zeros(2),
        read_noise=float(0.6 / photons**0.7),
        shot_noise=float(photons**-0.5),
        coarse_noise=coarse,
        bands=np.array([rng.uniform(0.02, 0.2), rng.uniform(0.5, 5), rng.uniform(0, 6.3)])
        if rng.random() < 0.06
        else np.zeros(3),
        quality=int(rng.uniform(25, 97)) if rng.random() < 0.7 else 0,
        seed=int(rng.integers(2**32)),
    )


def _colour_matrix(rng: Rng) -> Array:
    """(3, 3) white balance, a sensor's imperfect separation of colours, saturation."""
    balance = np.exp(rng.normal(0, 0.07, 3) + rng.normal(0, 0.08) * np.array([1.0, 0.0, -1.0]))
    mixing = np.eye(3) + rng.normal(0, 0.03, (3, 3))
    mixing /= mixing.sum(1, keepdims=True)  # grey stays grey
    saturation = np.clip(rng.normal(1.0, 0.22), 0.3, 1.6) if rng.random() > 0.03 else 0.0
    colours = saturation * np.eye(3) + (1 - saturation) * _GREY
    return np.asarray(colours @ mixing * (balance / balance.mean()))


def develop(light: NDArray[np.float32], depth_m: NDArray[np.float32], effects: CameraEffects) -> NDArray[np.uint8]:
    """The image a camera gives.

    Two images of equal size get the same noise; where they are equal, further than the blur from any difference,
    they stay equal but for the blocks of JPEG.

    Args:
        light: (H, W, 3) float32 linear, 1 is white.
        depth_m: (H, W) for the depth of field, 0 is infinitely far.
        effects: the camera.

    Returns:
        (H, W, 3) uint8.
    """
    scale = light.shape[1] / 160
    picture = _blurred(light, np.hypot(_SHARPEST_PX, effects.blur_px * scale))
    if effects.depth_blur * scale > 0.4:
        picture = _out_of_focus(picture, depth_m, effects, scale)
    picture = _streak(picture, effects.motion_px * scale)
    picture = np.asarray(cv2.transform(picture, effects.matrix.astype(np.float32)), np.float32)
    if effects.vignette or effects.bands[0]:
        picture *= _falloff(picture.shape[0], picture.shape[1], effects)
    picture = _noisy(np.maximum(picture, 0, out=picture), effects)
    level = cv2.sqrt(np.clip(picture, 0, 1, out=picture))
    result = _tones(effects)[(level * np.float32(_LEVELS - 1) + np.float32(0.5)).astype(np.uint16)]
    return _compressed(result, effects.quality) if effects.quality else result


def _blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def _out_of_focus(
    picture: NDArray[np.float32], depth_m: NDArray[np.float32], effects: CameraEffects, scale: float
) -> NDArray[np.float32]:
    """Blur what is nearer or farther than the focus; the circle of confusion grows with |1 / z - 1 / focus|."""
    nearness = np.divide(1, depth_m, out=np.zeros_like(depth_m), where=depth_m > 0)
    circle = np.minimum(np.abs(nearness * np.float32(effects.focus_m) - 1), 2) * np.float32(effects.depth_blur * scale)
    soft = _blurred(picture, effects.depth_blur * scale)
    # a blurred object spreads over its surroundings, and what is in focus keeps its edge half
    share = _blurred(np.minimum(circle / np.float32(effects.depth_blur * scale), 1), 0.8)[..., None]
    return np.asarray(picture + share * (soft - picture), np.float32)


def _streak(picture: NDArray[np.float32], motion: Array) -> NDArray[np.float32]:
    length = float(np.hypot(*motion))
    if length < 0.8:
        return picture
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = np.array([size // 2, size // 2], np.float64)
    ends = np.stack([middle - motion / 2, middle + motion / 2]) * 16
    cv2.line(kernel, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), 1.0, 1, cv2.LINE_AA, 4)
    kernel = kernel + kernel[::-1, ::-1]  # lines are drawn up to half a pixel aside: labels would be
    kernel /= max(float(kernel.sum()), 1e-6)
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _falloff(height: int, width: int, effects: CameraEffects) -> NDArray[np.float32]:
    """(H, W, 1) darker corners (cosine to the fourth, nearly), rows that flicker with the mains."""
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    strength, waves, phase = effects.bands
    flicker = 1 + np.float32(strength) * np.sin(np.float32(np.pi * waves) * rows + np.float32(phase))
    return np.asarray((1 - np.float32(effects.vignette / 2) * (x + rows**2)) * flicker, np.float32)[..., None]


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    """A sheet of white noise; images take pieces of it, which is much quicker than fresh noise."""
    return np.random.default_rng(3).standard_normal((_SHEET, _SHEET, 3), np.float32)


def _noisy(picture: NDArray[np.float32], effects: CameraEffects) -> NDArray[np.float32]:
    """Noise of photons (its variance grows with the light) and of the electronics."""
    rng = np.random.default_rng(effects.seed)
    height, width = picture.shape[:2]
    spread = cv2.sqrt(picture * np.float32(effects.shot_noise**2) + np.float32(effects.read_noise**2))
    picture = picture + spread * _piece(rng, height, width)
    if effects.coarse_noise:
        rough = _piece(rng, height // 2 + 1, width // 2 + 1) * np.float32(effects.coarse_noise)
        picture += cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture


def _piece(rng: Rng, height: int, width: int) -> NDArray[np.float32]:
    sheet = _noise()
    if max(height, width) > _SHEET:
        return rng.standard_normal((height, width, 3), np.float32)
    y, x = rng.integers(0, [_SHEET - height + 1, _SHEET - width + 1])
    return sheet[y : y + height, x : x + width] * np.float32(rng.choice([-1, 1]))


def _tones(effects: CameraEffects) -> NDArray[np.uint8]:
    """(_LEVELS,) what becomes of the square root of the light: contrast around the middle, lift, gamma."""
    level = np.linspace(0, 1, _LEVELS)
    bent = np.clip((level - 0.5) * effects.contrast + 0.5 + effects.lift, 0, 1) ** effects.gamma
    return np.asarray(bent * 255 + 0.5, np.uint8)


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
