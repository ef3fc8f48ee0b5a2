"""How hands move: courses of time as living arms have them, and paths in space.

Reaches follow Jeannerod (The timing of natural prehension movements, 1984): the wrist's speed is bell shaped, with a
longer end than start; the fingers open widest at 60 to 70 % of the reach and then close to the size of the object. The
course of a single movement is that of least jerk (Flash and Hogan, 1985).
"""

import numpy as np
from numpy.typing import NDArray

from prehend.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle

Array = NDArray[np.floating]
Rng = np.random.Generator

APERTURE_PEAK = 0.65
_EARLY = 0.85
"""Below 1 the fastest moment of a reach comes before its middle."""


def least_jerk(share: Array | float) -> NDArray[np.float64]:
    """Share of the way at a share of the time: 0 at 0 and before, 1 at 1 and after, at rest at both."""
    s = np.clip(np.asarray(share, np.float64), 0, 1)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


def reach_course(share: Array | float) -> NDArray[np.float64]:
    """As `least_jerk`, fastest at about 44 % of the time."""
    return least_jerk(np.clip(np.asarray(share, np.float64), 0, 1) ** _EARLY)


def aperture_course(share: Array | float, start: float, end: float) -> NDArray[np.float64]:
    """How far the fingers are open (1 widest) at a share of a reach: from `start` to 1 at 65 %, then to `end`."""
    s = np.asarray(share, np.float64)
    opening = start + (1 - start) * least_jerk(s / APERTURE_PEAK)
    return np.asarray(opening - (1 - end) * least_jerk((s - APERTURE_PEAK) / (1 - APERTURE_PEAK)))


def between(first: Array, second: Array, share: Array) -> NDArray[np.float64]:
    """Rotations (F, 3, 3) on the way from one (3, 3) to another, at shares (F,) of the angle."""
    axis_angle = axis_angle_from_matrix(first.T @ second)
    return np.asarray(first @ matrix_from_axis_angle(np.asarray(share)[:, None] * axis_angle))


def curve(start: Array, control: Array, end: Array, share: Array) -> NDArray[np.float64]:
    """Places (F, 3) at shares (F,) of the length of a quadratic Bezier curve."""
    u = np.linspace(0, 1, 65)[:, None]
    points = (1 - u) ** 2 * start + 2 * u * (1 - u) * control + u**2 * end
    length = np.concatenate([[0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    if length[-1] < 1e-9:
        return np.tile(np.asarray(start, np.float64), (len(share), 1))
    parameter = np.interp(np.asarray(share) * length[-1], length, u[:, 0])[:, None]
    return np.asarray(
        (1 - parameter) ** 2 * start + 2 * parameter * (1 - parameter) * control + parameter**2 * end, np.float64
    )


def poses(rotations: Array, places: Array) -> NDArray[np.float64]:
    """(F, 4, 4) of rotations (F, 3, 3) and places (F, 3)."""
    T = np.tile(np.eye(4), (len(places), 1, 1))
    T[:, :3, :3], T[:, :3, 3] = rotations, places
    return T


def mixed_angles(first: Array, second: Array, share: Array) -> NDArray[np.float64]:
    """Angles (F, 15, 3) between two poses of the fingers (15, 3); `share` is (F,), or (F, 5) one for each digit.

    Digits are in MANO's order: index, middle, little, ring, thumb.
    """
    share = np.asarray(share)
    rows = np.repeat(share, 3, axis=1) if share.ndim == 2 else np.repeat(share[:, None], 15, axis=1)
    return np.asarray(first + rows[..., None] * (second - first))


def sway(rng: Rng, count: int, rate_hz: float, size: float, band_hz: tuple[float, float]) -> Array:
    """(count, 3) smooth movement about zero with standard deviation `size`: waves of a band of frequencies."""
    waves = 5
    frequency = np.exp(rng.uniform(np.log(band_hz[0]), np.log(band_hz[1]), (waves, 3)))
    weight = rng.uniform(0.4, 1.0, (waves, 3)) / frequency**0.5
    weight /= np.linalg.norm(weight, axis=0)
    phase = rng.uniform(0, 2 * np.pi, (waves, 3))
    seconds = np.arange(count)[:, None, None] / rate_hz
    return np.asarray(size * np.sqrt(2) * (weight * np.sin(2 * np.pi * frequency * seconds + phase)).sum(1))
