"""Light: from all around as spherical harmonics, from a sun or window that casts shadows, from lamps nearby."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Rng = np.random.Generator

MAX_LAMPS = 2
_MEAN_LEVEL = 0.85
_PICTURE_LEVEL = 0.2
"""Mean linear brightness of a well exposed photograph."""
_UP = np.array([0.0, -1.0, 0.0])
_AHEAD = np.array([0.0, 0.0, 0.6])
_BLUE, _WARM, _GROUND = np.array([0.75, 0.9, 1.25]), np.array([1.25, 1.0, 0.72]), np.array([1.05, 1.0, 0.85])


@dataclass(frozen=True)
class Lighting:
    """Light of a scene, in its world. A white surface under light 1 is white in the image.

    Attributes:
        ambient: (9, 3) spherical harmonics of the light that comes from all around, order 0, 1, 2.
        sun: (3,) unit vector towards the one light that casts shadows: sun, window, ceiling lamp.
        sun_colour: (3,) linear.
        softness_m: how far its shadows' edges are smeared.
        lamps_m: (N, 3) where lamps are, N up to `MAX_LAMPS`; their light falls off with the square of the distance.
        lamp_colours: (N, 3) linear, of their light one metre away.
        crevices: how much of the light from around is kept out of corners, 0..1.
        follow: how much the light takes on the colours of the image in the background, 0..1.
    """

    ambient: Array
    sun: Array
    sun_colour: Array
    softness_m: float
    lamps_m: Array
    lamp_colours: Array
    crevices: float
    follow: float


class Lobe(NamedTuple):
    """A bright spot around a unit vector (3,): linear colour (3,), and how narrow it is."""

    direction: Array
    colour: Array
    narrow: float


def harmonics(directions: Array) -> Array:
    """(N, 9) real spherical harmonics up to order 2 at unit vectors (N, 3)."""
    x, y, z = np.asarray(directions).T
    ones = np.ones_like(x)
    linear = [0.488603 * y, 0.488603 * z, 0.488603 * x]
    square = [1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z]
    return np.stack([0.282095 * ones, *linear, *square, 0.546274 * (x * x - y * y)], 1)


def irradiance_matrices(ambient: Array) -> Array:
    """(3, 4, 4) matrices M, one a colour: a surface with normal n gets n' M n with n = (x, y, z, 1).

    Ramamoorthi and Hanrahan, An Efficient Representation for Irradiance Environment Maps (2001), eq. 12, over pi.
    """
    c1, c2, c3, c4, c5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708
    l00, l1m, l10, l11, l2m2, l2m1, l20, l21, l22 = ambient
    rows = [
        [c1 * l22, c1 * l2m2, c1 * l21, c2 * l11],
        [c1 * l2m2, -c1 * l22, c1 * l2m1, c2 * l1m],
        [c1 * l21, c1 * l2m1, c3 * l20, c2 * l10],
        [c2 * l11, c2 * l1m, c2 * l10, c4 * l00 - c5 * l20],
    ]
    return np.moveaxis(np.array(rows), 2, 0) / np.pi


@lru_cache(maxsize=1)
def sphere(count: int = 160) -> Array:
    """(count, 3) directions spread evenly (a Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1)


@lru_cache(maxsize=1)
def _gather() -> Array:
    """(9, N) harmonics of a radiance given at `sphere()`."""
    directions = sphere()
    return np.asarray(harmonics(directions).T * (4 * np.pi / len(directions)))


def ambient_of(base: Array, lobes: Sequence[Lobe]) -> Array:
    """(9, 3) harmonics of a radiance (N, 3) at `sphere()` with bright spots on it."""
    directions, radiance = sphere(), base.copy()
    for lobe in lobes:
        radiance += np.exp(lobe.narrow * (directions @ lobe.direction - 1))[:, None] * lobe.colour
    return np.asarray(_gather() @ radiance)


def sample_lighting(rng: Rng, up: Array = _UP, centre_m: Array = _AHEAD) -> Lighting:
    """Random light: outdoors, a room with windows, an office, a lamp in a dim room, a light beside the camera.

    Args:
        up: (3,) unit vector, where the sky or the ceiling is; in a camera frame it is tilted at random.
        centre_m: (3,) what lamps stand around.
    """
    makers = (_outdoors, _room, _room, _office, _lamplight, _frontal)
    up = _turned(rng, np.asarray(up, np.float64), 0.2)
    lighting = makers[int(rng.integers(len(makers)))](rng, up, np.asarray(centre_m, np.float64))
    level = _MEAN_LEVEL * np.exp(rng.normal(0, 0.16))
    return scaled(lighting, level / brightness(lighting, centre_m))


def brightness(lighting: Lighting, centre_m: Array) -> float:
    """Light on a surface at a place, over all directions that it may face; surfaces turned to a light count."""
    lamps = lighting.lamp_colours / np.maximum(((lighting.lamps_m - centre_m) ** 2).sum(1, keepdims=True), 1e-4)
    return float((0.282095 * lighting.ambient[0] + 0.5 * lighting.sun_colour + 0.5 * lamps.sum(0)).mean())


def scaled(lighting: Lighting, factor: Array | float) -> Lighting:
    """All light times a factor, a number or (3,)."""
    return replace(
        lighting,
        ambient=lighting.ambient * factor,
        sun_colour=lighting.sun_colour * factor,
        lamp_colours=lighting.lamp_colours * factor,
    )


def fitted(lighting: Lighting, backdrop: NDArray[np.uint8], R_camera_world: Array) -> Lighting:
    """The lighting with colour and direction taken from the image behind everything.

    What is behind the camera is not known; like in the image it is thought to be bright above where the image is
    bright above, and so on. All light takes on part of the image's tint and brightness.

    Args:
        lighting: in the world.
        backdrop: (H, W, 3) uint8, square-root coded.
        R_camera_world: (3, 3).
    """
    if lighting.follow <= 0:
        return lighting
    small = (cv2.resize(backdrop, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float64) / 255) ** 2
    side = (np.arange(8) - 3.5) / 4
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    z = np.sqrt(np.maximum(1.3 - x * x - y * y, 0.05))
    half = np.stack([x, y, z], 1)
    both = np.concatenate([half, half * [1, 1, -1]]) / np.linalg.norm(half, axis=1).mean()
    basis = harmonics(both / np.linalg.norm(both, axis=1, keepdims=True) @ R_camera_world)
    seen = basis.T @ np.concatenate([small.reshape(-1, 3)] * 2) * (4 * np.pi / len(both))
    # cameras balance colours away, and what is lit reflects its own: only a part of the tint is the light's
    mean = small.mean((0, 1)) + 0.01
    tint = np.clip(mean / mean.mean(), 0.4, 1.8) ** (0.3 * lighting.follow)
    seen = 0.35 * seen + 0.65 * seen.mean(1, keepdims=True)
    level = np.clip(mean.mean() / _PICTURE_LEVEL, 0.35, 3.0) ** (0.35 * lighting.follow)
    own = lighting.ambient[0].mean()
    around = seen * (own / max(float(seen[0].mean()), 1e-6))
    share = 0.6 * lighting.follow
    mixed = replace(lighting, ambient=(1 - share) * lighting.ambient + share * around)
    return scaled(mixed, tint * level)


def _turned(rng: Rng, direction: Array, spread: float) -> Array:
    moved = direction + rng.normal(0, spread, 3)
    return np.asarray(moved / np.linalg.norm(moved))


def _base(up: Array, above: Array, level: Array, below: Array) -> Array:
    """(N, 3) radiance at `sphere()`: three colours, above, at eye level, below."""
    height = (sphere() @ up)[:, None]
    return np.asarray(level + np.maximum(height, 0) * (above - level) + np.maximum(-height, 0) * (below - level))


def _sideways(rng: Rng, up: Array, low_deg: float, high_deg: float) -> Array:
    """(3,) a direction between two heights above the horizon."""
    aside = np.cross(up, rng.standard_normal(3))
    aside /= np.linalg.norm(aside)
    height = np.deg2rad(rng.uniform(low_deg, high_deg))
    return np.asarray(np.cos(height) * aside + np.sin(height) * up)


def _tinted(rng: Rng, tint: Array, spread: float = 0.05) -> Array:
    return np.asarray(tint ** rng.uniform(0, 1) * np.exp(rng.normal(0, spread, 3)))


def _made(
    rng: Rng, base: Array, lobes: Sequence[Lobe], sun: Lobe, softness_m: float, lamps: Sequence[Array]
) -> Lighting:
    """A lighting of its pieces; `lamps` are rows (6,) of place and colour."""
    rows = np.array(lamps).reshape(-1, 6)
    crevices = rng.uniform(0.7, 1.0)
    follow = rng.uniform(0.2, 1.0) if rng.random() < 0.8 else 0.0
    ambient = ambient_of(base, lobes)
    return Lighting(ambient, sun.direction, sun.colour, softness_m, rows[:, :3], rows[:, 3:], crevices, follow)


def _outdoors(rng: Rng, up: Array, centre_m: Array) -> Lighting:
    """Sun and sky, from clear to overcast."""
    clouds = rng.uniform(0, 1)
    sky = (1 - clouds) * _BLUE + clouds * np.ones(3)
    sun = Lobe(_sideways(rng, up, 12, 75), (1 - clouds) ** 1.3 * rng.uniform(1.2, 2.6) * _tinted(rng, _WARM), 30.0)
    ground = rng.uniform(0.1, 0.5) * _tinted(rng, _GROUND, 0.15)
    halo = Lobe(sun.direction, 0.8 * sky, 3.0)
    base = _base(up, rng.uniform(0.6, 1.0) * sky, rng.uniform(0.6, 1.1) * sky, ground)
    return _made(rng, base, [halo], sun, rng.uniform(0.0008, 0.002) + 0.012 * clouds, [])


def _room(rng: Rng, up: Array, centre_m: Array) -> Lighting:
    """Windows in the walls of a room; the brightest casts the shadows."""
    walls = rng.uniform(0.15, 0.5) * _tinted(rng, _WARM, 0.12)
    base = _base(up, 1.3 * walls, walls, rng.uniform(0.3, 0.9) * walls * _tinted(rng, _WARM))
    day = _tinted(rng, _BLUE)
    windows = [Lobe(_sideways(rng, up, -10, 45), rng.uniform(1, 5) * day, rng.uniform(4, 14)) for _ in range(3)]
    windows = windows[: int(rng.integers(1, 4))]
    main = max(windows, key=lambda lobe: float(lobe.colour.sum() / lobe.narrow))
    sun = main._replace(colour=main.colour * 1.6 / main.narrow)
    others = [lobe._replace(colour=0.3 * lobe.colour) if lobe is main else lobe for lobe in windows]
    lamp = _lamp(rng, up, centre_m, 0.5) if rng.random() < 0.3 else []
    return _made(rng, base, others, sun, rng.uniform(0.004, 0.014), lamp)


def _office(rng: Rng, up: Array, centre_m: Array) -> Lighting:
    """Panels in a bright ceiling."""
    white = _tinted(rng, _BLUE if rng.random() < 0.5 else _WARM)
    walls = rng.uniform(0.3, 0.7) * white
    base = _base(up, rng.uniform(0.5, 1.0) * white, walls, rng.uniform(0.2, 0.8) * walls)
    panels = [Lobe(_sideways(rng, up, 35, 90), rng.uniform(1, 3) * white, rng.uniform(4, 12)) for _ in range(3)]
    sun = Lobe(_sideways(rng, up, 50, 88), rng.uniform(0.2, 0.8) * white, 10.0)
    return _made(rng, base, panels[1:], sun, rng.uniform(0.006, 0.016), [])


def _lamplight(rng: Rng, up: Array, centre_m: Array) -> Lighting:
    """A dim room and a lamp or two nearby."""
    dim = rng.uniform(0.06, 0.3) * _tinted(rng, _WARM if rng.random() < 0.7 else _BLUE, 0.15)
    lamps = _lamp(rng, up, centre_m, 1.0) + (_lamp(rng, up, centre_m, 0.5) if rng.random() < 0.4 else [])
    near = lamps[0][:3] - centre_m
    distance = float(np.linalg.norm(near))
    # the lamp's shadow is that of a far light in the same direction
    sun = Lobe(near / distance, 0.65 * lamps[0][3:] / distance**2, 20.0)
    lamps[0][3:] *= 0.35
    return _made(rng, _base(up, dim, dim, 0.7 * dim), [], sun, rng.uniform(0.0015, 0.008), lamps)


def _frontal(rng: Rng, up: Array, centre_m: Array) -> Lighting:
    """A light beside the viewer: a screen, a ring light, a window behind the camera."""
    dim = rng.uniform(0.15, 0.5) * _tinted(rng, _WARM, 0.1)
    towards = -centre_m / max(float(np.linalg.norm(centre_m)), 1e-6)
    sun = Lobe(_turned(rng, towards, 0.35), rng.uniform(0.3, 1.0) * _tinted(rng, _BLUE, 0.1), 8.0)
    glow = Lobe(_turned(rng, towards, 0.3), rng.uniform(0.3, 1.2) * _tinted(rng, _BLUE, 0.1), 3.0)
    return _made(rng, _base(up, dim, dim, 0.6 * dim), [glow], sun, rng.uniform(0.003, 0.012), [])


def _lamp(rng: Rng, up: Array, centre_m: Array, strength: float) -> list[Array]:
    """Place and colour (6,) of a lamp."""
    distance = rng.uniform(0.35, 1.5)
    colour = strength * distance**2 * rng.uniform(0.5, 1.1) * _tinted(rng, _WARM, 0.08)
    return [np.concatenate([centre_m + distance * _sideways(rng, up, 0, 80), colour])]
