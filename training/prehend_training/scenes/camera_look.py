"""What a camera makes of light: exposure, colour, blur, noise, compression."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Rng = np.random.Generator

_SHEET = 768


@dataclass(frozen=True)
class CameraLook:
    """Settings of a simulated camera; everything works on square-root coded colours 0..1.

    Attributes:
        gains: (3,) exposure and white balance.
        contrast: slope around the middle.
        lift: what black becomes.
        gamma: exponent.
        saturation: 0 grey, 1 as it is.
        vignette: how much darker the corners are.
        blur_px: standard deviation of the defocus.
        motion_px: (2,) streak of the motion blur.
        noise: standard deviation of the sensor's noise, (2,) fine and coarse (as after scaling up).
        quality: of JPEG, 0 for none.
        seed: of the noise.
    """

    gains: Array
    contrast: float
    lift: float
    gamma: float
    saturation: float
    vignette: float
    blur_px: float
    motion_px: Array
    noise: Array
    quality: int
    seed: int


def sample_look(rng: Rng) -> CameraLook:
    """A random camera: mostly decent, sometimes bad."""
    exposure = np.exp(rng.normal(0, 0.16))
    if rng.random() < 0.06:
        exposure *= rng.uniform(1.2, 1.5)  # skin burns out
    balance = np.exp(rng.normal(0, 0.05, 3))
    motion = rng.normal(0, 1, 2) * np.exp(rng.uniform(0, 1.3)) if rng.random() < 0.18 else np.zeros(2)
    coarse = rng.uniform(0, 0.03) if rng.random() < 0.18 else 0.0
    return CameraLook(
        gains=exposure * balance / balance.mean(),
        contrast=float(np.exp(rng.normal(0, 0.14))),
        lift=float(max(rng.normal(0, 0.025), -0.03)),
        gamma=float(np.exp(rng.normal(0, 0.12))),
        saturation=float(np.clip(rng.normal(1.0, 0.2), 0.3, 1.5)) if rng.random() > 0.03 else 0.0,
        vignette=float(rng.uniform(0, 0.35) if rng.random() < 0.35 else 0.0),
        blur_px=float(abs(rng.normal(0, 0.5)) if rng.random() < 0.88 else rng.uniform(0.7, 2.0)),
        motion_px=motion,
        noise=np.array([rng.exponential(0.009), coarse]),
        quality=int(rng.uniform(25, 97)) if rng.random() < 0.7 else 0,
        seed=int(rng.integers(2**32)),
    )


def develop(picture: NDArray[np.float32], look: CameraLook) -> NDArray[np.uint8]:
    """(H, W, 3) float32 square-root coded 0..1.5 -> (H, W, 3) uint8 as the camera would give it."""
    rng = np.random.default_rng(look.seed)
    scale = picture.shape[1] / 160
    if look.blur_px * scale > 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), look.blur_px * scale), np.float32)
    picture = _streak(picture, look.motion_px * scale)
    picture = picture * look.gains.astype(np.float32)
    if look.vignette:
        picture *= _vignette(picture.shape[0], picture.shape[1], look.vignette)[..., None]
    picture = np.clip((picture - 0.5) * look.contrast + 0.5 + look.lift, 0, 1)
    picture = np.asarray(cv2.pow(picture, look.gamma), np.float32)
    if look.saturation != 1.0:
        grey = picture @ np.array([0.3, 0.59, 0.11], np.float32)
        picture = grey[..., None] + np.float32(look.saturation) * (picture - grey[..., None])
    picture = picture + _grain(rng, picture.shape, look.noise)
    result = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    return _compressed(result, look.quality) if look.quality else result


def _streak(picture: NDArray[np.float32], motion: Array) -> NDArray[np.float32]:
    length = float(np.hypot(*motion))
    if length < 0.8:
        return picture
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = np.array([size // 2, size // 2], np.float64)
    ends = np.stack([middle - motion / 2, middle + motion / 2]) * 16
    cv2.line(kernel, ends[0].astype(int).tolist(), ends[1].astype(int).tolist(), 1.0, 1, cv2.LINE_AA, 4)
    kernel /= max(float(kernel.sum()), 1e-6)
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    return 1 - np.float32(strength / 2) * (x + y)


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    """A sheet of white noise; pictures take pieces of it, which is much quicker than fresh noise."""
    return np.random.default_rng(3).standard_normal((_SHEET, _SHEET, 3), np.float32)


def _grain(rng: Rng, shape: tuple[int, ...], strength: Array) -> NDArray[np.float32]:
    grain = _piece(rng, shape[0], shape[1]) * np.float32(strength[0])
    if strength[1] > 0:
        rough = _piece(rng, shape[0] // 2 + 1, shape[1] // 2 + 1) * np.float32(strength[1])
        grain += cv2.resize(rough, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return grain


def _piece(rng: Rng, height: int, width: int) -> NDArray[np.float32]:
    sheet = _noise()
    if max(height, width) > _SHEET:
        return rng.standard_normal((height, width, 3), np.float32)
    y, x = rng.integers(0, [_SHEET - height + 1, _SHEET - width + 1])
    return sheet[y : y + height, x : x + width] * np.float32(rng.choice([-1, 1]))


def _compressed(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
