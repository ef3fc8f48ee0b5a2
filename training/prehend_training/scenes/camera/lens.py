"""Where a camera's lens puts things: the same distortion for labels (here) and for pixels (shaders/lens.glsl)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.geometry.camera import check_distortion
from prehend.types import Camera

Array = NDArray[np.floating]

NEAR_M, FAR_M = 0.02, 30.0
_WIDEST = 6.0
"""Largest radius on the plane z = 1 that is searched, 80 degrees off the axis."""
_COEFFICIENTS = 12


@dataclass(frozen=True)
class Lens:
    """A camera's distortion, made monotone.

    OpenCV's polynomials turn round beyond some radius, and what lies far outside of the image would be folded back
    into it. Here the distortion grows in proportion beyond the largest radius at which it still rises; up to there it
    is the same as `prehend.geometry.camera.project`.

    Attributes:
        fisheye: whether the coefficients are of the equidistant model (k1..k4), else k1 k2 p1 p2 k3 k4 k5 k6 s1..s4.
        coefficients: (12,).
        reach: largest radius on the plane z = 1 (angle off the axis [rad] for a fisheye) at which the image radius
            rises.
        straight: whether there is no distortion.
    """

    fisheye: bool
    coefficients: Array
    reach: float
    straight: bool

    @classmethod
    def of(cls, camera: Camera) -> "Lens":
        """The lens of a camera.

        Raises:
            InvalidInput: the number of coefficients does not fit the model, or the sensor is tilted (tau).
        """
        return _lens(camera.distortion_model, tuple(camera.distortion.tolist()), camera)

    def plane(self, points_m: Array) -> Array:
        """(..., 2) distorted places on the plane z = 1 of points (..., 3); those behind the camera land far outside."""
        depth = np.maximum(points_m[..., 2:], 1e-3)
        plane = points_m[..., :2] / depth
        if self.straight:
            return np.asarray(plane)
        radius = np.linalg.norm(plane, axis=-1, keepdims=True)
        if self.fisheye:
            angle = np.arctan(radius)
            inside = np.minimum(angle, self.reach)
            scale = _fisheye(inside, self.coefficients) * angle / np.maximum(inside * radius, 1e-12)
            return np.asarray(plane * np.where(radius > 1e-9, scale, 1.0))
        excess = np.maximum(radius / self.reach, 1.0)
        return np.asarray(_brown(plane / excess, self.coefficients) * excess)


@lru_cache(maxsize=256)
def _checked(model: str, distortion: tuple[float, ...]) -> Lens:
    coefficients = np.zeros(_COEFFICIENTS)
    coefficients[: min(len(distortion), _COEFFICIENTS)] = distortion[:_COEFFICIENTS]
    fisheye, straight = model == "equidistant", not np.any(distortion)
    steps = np.linspace(0, np.pi / 2 if fisheye else _WIDEST, 600)
    if fisheye:
        rising = np.diff(_fisheye(steps, coefficients)) > 0
    else:
        rising = np.diff(steps * _radial(steps**2, coefficients)) > 0
    stop = len(rising) if rising.all() else int(rising.argmin())
    return Lens(fisheye, coefficients, max(0.98 * float(steps[stop]), 1e-3), straight)


def _lens(model: str, distortion: tuple[float, ...], camera: Camera) -> Lens:
    check_distortion(camera)
    if any(distortion[_COEFFICIENTS:]):
        raise InvalidInput("images of a camera with a tilted sensor (14 coefficients) cannot be rendered")
    return _checked(model, distortion)


def _radial(square: Array, k: Array) -> Array:
    above = 1 + square * (k[0] + square * (k[1] + square * k[4]))
    return np.asarray(above / (1 + square * (k[5] + square * (k[6] + square * k[7]))))


def _brown(plane: Array, k: Array) -> Array:
    """OpenCV's radial, tangential and thin prism distortion."""
    x, y = plane[..., :1], plane[..., 1:]
    square = x * x + y * y
    radial = _radial(square, k)
    across = 2 * k[2] * x * y + k[3] * (square + 2 * x * x) + square * (k[8] + k[9] * square)
    down = k[2] * (square + 2 * y * y) + 2 * k[3] * x * y + square * (k[10] + k[11] * square)
    return np.concatenate([x * radial + across, y * radial + down], -1)


def _fisheye(angle: Array, k: Array) -> Array:
    square = angle * angle
    return np.asarray(angle * (1 + square * (k[0] + square * (k[1] + square * (k[2] + square * k[3])))))


def pixels(points_m: Array, camera: Camera) -> Array:
    """Pixels (..., 2) of points (..., 3) in the camera frame, distorted; those behind the camera land far outside."""
    return Lens.of(camera).plane(points_m) @ camera.K[:2, :2].T + camera.K[:2, 2]


def projection(K: Array, width: float, height: float) -> Array:
    """(4, 4) from the camera frame to clip space; row 0 of what is read back is the top row of the image.

    Pixel (0, 0) has its centre at 0, so its clip range begins half a pixel before.
    """
    clip = np.zeros((4, 4))
    clip[0, :3] = 2 * np.asarray(K[0]) / width
    clip[1, :3] = 2 * np.asarray(K[1]) / height
    clip[0, 2] += 1 / width - 1
    clip[1, 2] += 1 / height - 1
    clip[2, 2] = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    clip[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    clip[3, 2] = 1
    return clip


def sun_projection(points: Array, direction: Array, margin_m: float, deep_m: float = 4.0) -> Array:
    """(4, 4) parallel projection along a light that shows all (N, 3) points and what lies around them.

    Args:
        points: that must be inside.
        direction: (3,) unit vector to the light.
        margin_m: how far around them it reaches.
        deep_m: how far towards the light and away from it.
    """
    forward = -np.asarray(direction, np.float64)
    helper = np.eye(3)[np.abs(forward).argmin()]
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    seen = points @ turn.T
    margin = np.array([margin_m, margin_m, deep_m])
    low, high = seen.min(0) - margin, seen.max(0) + margin
    clip = np.eye(4)
    clip[:3, :3] = 2 * turn / (high - low)[:, None]
    clip[:3, 3] = -(high + low) / (high - low)
    return clip
