"""Cameras as they are found on desks, heads and robots: intrinsics and distortion."""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from prehend.types import Camera

Array = NDArray[np.floating]
Rng = np.random.Generator
CameraKind = Literal["webcam", "d435", "d455", "phone"]

CAMERA_KINDS: tuple[CameraKind, ...] = get_args(CameraKind)
_SHARES = (0.45, 0.2, 0.15, 0.2)
_SIZES: dict[CameraKind, tuple[tuple[int, int], ...]] = {
    "webcam": ((640, 480), (1280, 720), (640, 360), (1920, 1080)),
    "d435": ((640, 480), (1280, 720), (848, 480)),
    "d455": ((640, 480), (1280, 720), (848, 480)),
    "phone": ((1280, 720), (720, 1280), (640, 480), (480, 640)),
}


def sample_camera(rng: Rng, width: int | None = None, height: int | None = None, *, straight: bool = False) -> Camera:
    """A webcam, the colour camera of a RealSense, or a phone.

    Args:
        rng: source of randomness.
        width, height: of its image, None for one of the sizes it has.
        straight: without distortion, as an image that was undistorted.
    """
    kind = CAMERA_KINDS[int(rng.choice(len(CAMERA_KINDS), p=_SHARES))]
    if width is None or height is None:
        width, height = _SIZES[kind][rng.integers(len(_SIZES[kind]))]
    return camera_of(rng, kind, width, height, straight=straight)


def camera_of(rng: Rng, kind: CameraKind, width: int, height: int, *, straight: bool = False) -> Camera:
    """A camera of a kind: no two have the same focal length, principal point and distortion.

    Webcams see 55 to 95 degrees across, a D435 69 and a D455 90 degrees in 16:9 and less in 4:3 (its data sheet;
    librealsense crops the sides), phones 58 to 76 degrees along the longer side.
    """
    focal = _FOCAL[kind](rng, width, height)
    stretch = 1 + rng.normal(0, 0.002)
    spread = 0.006 if kind in ("d435", "d455") else 0.012
    centre = np.array([width - 1, height - 1]) / 2 + rng.normal(0, spread, 2) * max(width, height)
    K = np.array([[focal, 0, centre[0]], [0, focal * stretch, centre[1]], [0, 0, 1.0]])
    half_rad = float(np.arctan(np.hypot(width, height) / 2 / focal))
    distortion = np.zeros(0) if straight else _distortion(rng, kind, half_rad)
    return Camera(K, width, height, distortion)


def _across(fov_deg: float, length_px: int) -> float:
    return length_px / 2 / float(np.tan(np.deg2rad(fov_deg) / 2))


def _webcam(rng: Rng, width: int, height: int) -> float:
    return _across(rng.uniform(55, 95), max(width, height))


def _d435(rng: Rng, width: int, height: int) -> float:
    return 1.281 * min(width, height) * (1 + rng.normal(0, 0.006))


def _d455(rng: Rng, width: int, height: int) -> float:
    wide = max(width, height) / min(width, height) > 1.5
    return (0.889 if wide else 0.8) * min(width, height) * (1 + rng.normal(0, 0.006))


def _phone(rng: Rng, width: int, height: int) -> float:
    return _across(rng.uniform(58, 76), max(width, height))


_FOCAL: dict[CameraKind, Callable[[Rng, int, int], float]] = {
    "webcam": _webcam,
    "d435": _d435,
    "d455": _d455,
    "phone": _phone,
}


def _distortion(rng: Rng, kind: CameraKind, half_rad: float) -> Array:
    """(5,) k1 k2 p1 p2 k3 in OpenCV's order, given half the angle that the image's diagonal spans.

    Given as the shift of the corner in shares of its radius: wide webcams up to -18 % (barrel), narrow ones about
    none, phones under 1.5 %, RealSense under 0.3 % (their images are rectified).
    """
    corner = float(np.tan(half_rad)) ** 2
    if kind == "webcam":
        wide = np.clip((half_rad - 0.55) / 0.5, 0, 1)
        shift = -rng.uniform(0.0, 0.18) * wide + rng.normal(0, 0.012)
    else:
        shift = rng.normal(0, 0.005 if kind == "phone" else 0.001)
    # a second term of the other sign, as calibrations give it; a third rarely matters
    second = -rng.uniform(0.0, 0.5) * shift
    third = rng.normal(0, 0.05) * second
    tangential = rng.normal(0, {"webcam": 8e-4, "phone": 4e-4}.get(kind, 1e-4), 2)
    return np.array([(shift - second - third) / corner, second / corner**2, *tangential, third / corner**3])
