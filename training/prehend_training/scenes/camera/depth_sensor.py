"""Depth as an active stereo camera (Intel RealSense D435) measures it.

From the D400 series' data sheet (337029): two infrared imagers 50 mm apart, 87 degrees wide (848 pixels at full speed),
an infrared projector, nearest depth 195 mm at 848 x 480, depth error under 2 % at 2 m, depth in whole millimetres,
0 for none. From Intel's tuning guide (Grunnet-Jepsen et al.): the error is subpixel error * z^2 / (focal * baseline),
with a subpixel error of 0.05 to 0.1 pixels on well-textured surfaces; disparities are told in 1/32 pixel.
What is near looks larger, because matching takes a window of several pixels; left of near objects lies a band that the
right imager does not see; black, mirroring and steep surfaces send too little of the projector's pattern back.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Rng = np.random.Generator

_SHEET = 512


@dataclass(frozen=True)
class DepthSensor:
    """A stereo depth camera.

    Attributes:
        focal_px: of its own imagers.
        baseline_m: between them.
        step_px: of the disparities that it tells.
        error_px: standard deviation of a disparity.
        window_px: radius by which near objects grow.
        nearest_m, farthest_m: range.
        wall_m: where the background of a rendered image is.
        seed: of its errors.
    """

    focal_px: float = 447.0
    baseline_m: float = 0.05
    step_px: float = 1 / 32
    error_px: float = 0.06
    window_px: float = 1.5
    nearest_m: float = 0.195
    farthest_m: float = 8.0
    wall_m: float = 2.5
    seed: int = 0


def sample_sensor(rng: Rng) -> DepthSensor:
    """A random sensor: well lit or badly, with the wall near or far."""
    return DepthSensor(
        error_px=float(np.exp(rng.uniform(np.log(0.03), np.log(0.15)))),
        window_px=float(rng.uniform(0.7, 3.0)),
        step_px=float(rng.choice([1 / 32, 1 / 16, 1 / 8], p=[0.7, 0.2, 0.1])),
        wall_m=float(rng.uniform(1.0, 6.0)),
        seed=int(rng.integers(2**32)),
    )


def sense(
    depth_m: NDArray[np.float32], returned: NDArray[np.float32], focal_px: float, sensor: DepthSensor
) -> NDArray[np.uint16]:
    """(H, W) uint16 measured depth [mm], 0 for none, aligned to an image.

    Args:
        depth_m: (H, W) true depth, 0 for background.
        returned: (H, W) share of the projector's light that comes back (see `returned_light`).
        focal_px: of the image.
        sensor: what measures.
    """
    rng = np.random.default_rng(sensor.seed)
    scale = sensor.focal_px * sensor.baseline_m
    zoom = focal_px / sensor.focal_px
    disparity = scale / np.where(depth_m > 0, depth_m, np.float32(sensor.wall_m))
    hidden = _unseen_by_second(disparity * np.float32(zoom))
    radius = min(round(sensor.window_px * zoom), 12)
    if radius:
        window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        disparity = np.asarray(cv2.dilate(disparity, window), np.float32)
    wobble, chance = _piece(rng, depth_m.shape)
    told = np.round((disparity + sensor.error_px * wobble) / sensor.step_px) * np.float32(sensor.step_px)
    depth = scale / np.maximum(told, np.float32(1e-3))
    lost = hidden | (chance > _found_share(returned)) | (depth < sensor.nearest_m) | (depth > sensor.farthest_m)
    return np.where(lost, 0, np.round(1000 * depth)).astype(np.uint16)


def returned_light(
    places_z: NDArray[np.float32], normals: NDArray[np.float32], albedo: NDArray[np.uint8], shine: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(H, W) share of the projector's light that comes back to the imagers; 0.5 for background.

    Args:
        places_z: (H, W) depth [m], 0 for background.
        normals: (H, W, 3) in the camera frame.
        albedo: (H, W, 3) uint8, square-root coded.
        shine: (H, W) specular strength times how narrow the gloss is (0 dull .. 1 mirror).
    """
    brightness = (albedo @ np.full(3, 1 / 765, np.float32)) ** 2
    facing = np.clip(-normals[..., 2], 0, 1)
    light = brightness * facing * (1 - 0.9 * np.clip(shine, 0, 1))
    return np.where(places_z > 0, light, np.float32(0.5))


def _found_share(returned: Array) -> Array:
    """How probably a match is found: nearly always above 3 % returned light."""
    return np.asarray(np.clip((returned - 0.002) / 0.03, 0, 1) * 1.02)


def _unseen_by_second(disparity: Array) -> NDArray[np.bool_]:
    """(H, W) what something nearer hides from the second imager, which sees a point `disparity` further left."""
    place = np.arange(disparity.shape[1], dtype=np.float32) - disparity
    nearest = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(place > nearest + 1.0)


@lru_cache(maxsize=1)
def _sheets() -> tuple[Array, Array]:
    """Errors of disparity (unit deviation, alike within a matching window), and even chances in small blobs."""
    rng = np.random.default_rng(8)
    wobble = cv2.GaussianBlur(rng.standard_normal((_SHEET, _SHEET), np.float32), (0, 0), 1.3)
    blobs = cv2.GaussianBlur(rng.standard_normal((_SHEET, _SHEET), np.float32), (0, 0), 2.0).ravel()
    chance = np.empty(len(blobs), np.float32)
    chance[np.argsort(blobs)] = np.linspace(0, 1, len(blobs))
    return np.asarray(wobble / wobble.std()), chance.reshape(_SHEET, _SHEET)


def _piece(rng: Rng, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Pieces of both sheets, repeated where the image is larger."""
    y, x = rng.integers(0, _SHEET, 2)
    rows, columns = (y + np.arange(shape[0])) % _SHEET, (x + np.arange(shape[1])) % _SHEET
    wobble, chance = (sheet[rows[:, None], columns] for sheet in _sheets())
    return wobble, chance
