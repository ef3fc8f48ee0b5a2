"""Lines on skin, drawn into the hand's texture: palm creases, veins, hair, freckles."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend_training.scenes.people.skin_map import TILE_PX, SkinMap, skin_map

Array = NDArray[np.floating]
Float = NDArray[np.float32]
Rng = np.random.Generator

_SHIFT = 4  # sub-pixel bits of OpenCV's drawing
_CELL_M = 0.002
# flexion creases of the palm as points (share of the way from the wrist to the middle finger, towards the thumb [m])
_Curves = tuple[tuple[tuple[float, float], ...], ...]
_CREASES: _Curves = (
    ((0.70, -0.051), (0.77, -0.036), (0.82, -0.018), (0.87, -0.003), (0.95, 0.010)),
    ((0.80, 0.036), (0.75, 0.024), (0.66, 0.006), (0.55, -0.016), (0.47, -0.034)),
    ((0.80, 0.037), (0.76, 0.027), (0.62, 0.013), (0.44, 0.003), (0.25, 0.002), (0.09, 0.008)),
    ((0.05, -0.022), (0.02, 0.0), (0.04, 0.022)),
    ((-0.03, -0.020), (-0.06, 0.0), (-0.03, 0.018)),
)
_PALM_LENGTH_M = 0.0958
# veins of the back: from the wrist, where they split, and between which knuckles they end
_TREES: _Curves = (
    ((0.10, 0.016), (0.45, 0.010), (0.92, 0.012)),
    ((0.10, -0.004), (0.5, -0.012), (0.90, -0.010)),
    ((0.12, -0.018), (0.5, -0.024), (0.86, -0.027)),
    ((0.45, 0.010), (0.6, -0.004), (0.88, -0.008)),
    ((0.5, -0.012), (0.62, -0.020), (0.86, -0.026)),
    ((-0.9, 0.012), (-0.3, 0.02), (0.10, 0.016)),
    ((-0.8, -0.016), (-0.4, -0.008), (0.12, -0.018)),
)
_WRIST_VEINS: _Curves = (
    ((-1.2, 0.006), (-0.5, -0.002), (0.05, 0.010)),
    ((-0.9, -0.014), (-0.4, -0.010), (0.0, -0.006)),
)


@lru_cache(maxsize=2)
def _plane(palm: bool) -> tuple[Float, Float]:
    """(X, Z, 2) texel of each place of a grid seen from the palm or from the back, and the grid's first corner (2,)."""
    layout = skin_map()
    side = layout.facing < -0.25 if palm else layout.facing > 0.25
    texels, places = layout.xy[side], layout.places[side][:, [0, 2]]
    first = places.min(0)
    cells = np.floor((places - first) / _CELL_M).astype(int)
    shape = cells.max(0) + 1
    flat = cells[:, 0] * shape[1] + cells[:, 1]
    grid = np.full((shape[0] * shape[1], 2), np.nan, np.float32)
    grid[flat] = texels
    return grid.reshape(*shape, 2), first.astype(np.float32)


def _on_texture(path: Array, palm: bool) -> Array:
    """(K, 2) texels of a path (K, 2) of x and z [m]; rows where nothing lies are left out."""
    grid, first = _plane(palm)
    cells = np.round((path - first) / _CELL_M - 0.5).astype(int)
    inside = ((cells >= 0) & (cells < grid.shape[:2])).all(1)
    points = grid[cells[inside, 0], cells[inside, 1]]
    return points[np.isfinite(points[:, 0])]


def _curve(rng: Rng, points: ArrayLike, jitter_m: float, count: int = 22) -> Array:
    """(count, 2) x and z [m] of a smooth curve near control points given as in `_CREASES`."""
    control = np.asarray(points) * [-_PALM_LENGTH_M, 1.0]
    control += rng.normal(0, jitter_m, control.shape) * np.minimum(1, np.arange(len(control)) + 0.4)[:, None]
    at, wanted = np.linspace(0, 1, len(control)), np.linspace(0, 1, count)
    curve = np.stack([np.interp(wanted, at, control[:, k]) for k in range(2)], 1)
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    padded = np.pad(curve, ((2, 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], kernel, "valid") for k in range(2)], 1)


def _draw(canvas: NDArray[np.uint8], points: Array, strength: Array, width: int) -> None:
    """Draw a line whose strength (K,) 0..1 changes along it, piece by piece where the texture is cut."""
    cuts = np.flatnonzero(np.linalg.norm(np.diff(points, axis=0), axis=1) > 16) + 1
    for part, force in zip(np.split(points, cuts), np.split(strength, cuts), strict=True):
        if len(part) < 2:
            continue
        # the grid's cells are coarse: their steps go
        padded = np.pad(part, ((2, 2), (0, 0)), mode="edge")
        soft = np.mean([padded[k : k + len(part)] for k in range(5)], 0)
        soft[0], soft[-1] = part[0], part[-1]
        fixed = np.round(soft * (1 << _SHIFT)).astype(int)
        shades = (255 * np.clip(force, 0, 1)).astype(int)
        for k in range(len(part) - 1):
            cv2.line(canvas, fixed[k].tolist(), fixed[k + 1].tolist(), int(shades[k]), width, cv2.LINE_AA, _SHIFT)


def _canvas() -> NDArray[np.uint8]:
    return np.zeros((TILE_PX, TILE_PX), np.uint8)


def _soft(canvas: NDArray[np.uint8], sigma: float) -> Float:
    """(N,) of the skin's texels, in 0..1."""
    wide = cv2.GaussianBlur(canvas, (0, 0), sigma) if sigma > 0 else canvas
    return np.asarray(wide.ravel()[skin_map().texels], np.float32) / np.float32(255)


def palm_creases(rng: Rng) -> Float:
    """(N,) the long creases of the palm and at the wrist, and the short ones between them."""
    canvas = _canvas()
    for k, crease in enumerate(_CREASES):
        path = _curve(rng, crease, 0.0022)
        points = _on_texture(path, palm=True)
        swell = np.sin(np.linspace(0.35, np.pi - 0.1, len(points))) ** 0.6
        strength = (rng.uniform(0.65, 1.0) if k < 3 else rng.uniform(0.2, 0.6)) * swell
        _draw(canvas, points, strength, 1)
        if k < 3:
            _draw(canvas, points[4:-6] + rng.normal(0, 0.5, 2), 0.6 * strength[4:-6], 2)
    for _ in range(int(rng.integers(8, 26))):
        start = np.array([rng.uniform(0.1, 0.85), rng.uniform(-0.04, 0.035)])
        way = rng.normal(0, 1, 2) * [0.12, 0.012]
        path = _curve(rng, np.stack([start, start + 0.5 * way, start + way]), 0.001, 8)
        points = _on_texture(path, palm=True)
        _draw(canvas, points, np.full(len(points), rng.uniform(0.1, 0.45)), 1)
    return _soft(canvas, 0.6)


def veins(rng: Rng) -> Float:
    """(N,) veins of the back of the hand, the forearm and the wrist's inside."""
    canvas = _canvas()
    for trees, palm in ((_TREES, False), (_WRIST_VEINS, True)):
        for tree in trees:
            if rng.random() < 0.15:
                continue
            points = _on_texture(_curve(rng, tree, 0.0035, 30), palm)
            fade = np.sin(np.linspace(0.25, np.pi - 0.25, len(points))) ** 0.5
            _draw(canvas, points, fade * rng.uniform(0.5, 1.0), int(rng.integers(2, 4)))
    return _soft(canvas, 1.3)


def freckles(rng: Rng, count: int, pigment: Float) -> Float:
    """(N,) spots on the back of hand and arm; `pigment` (N,) 0..1 is where they may be."""
    canvas, layout = _canvas(), skin_map()
    rows = rng.integers(0, len(layout.texels), 3 * count + 8)
    rows = rows[pigment[rows] > rng.random(len(rows))][:count]
    radius = np.exp(rng.normal(np.log(0.6), 0.45, len(rows)))
    for (x, y), r, shade in zip(layout.xy[rows], radius, rng.uniform(60, 255, len(rows)), strict=True):
        cv2.circle(canvas, (int(x) << _SHIFT, int(y) << _SHIFT), int(r * (1 << _SHIFT)), int(shade), -1, 16, _SHIFT)
    return _soft(canvas, 0.7)


def hair(rng: Rng, density: float, layout: SkinMap) -> Float:
    """(N,) how much hair covers: dense on the forearm's outside, sparse on the back of the hand and of the fingers.

    A hair is a tenth of a texel wide: each stroke is faint, and they add up.
    """
    area = np.clip((layout.facing + 0.25) / 0.8, 0, 1) * (0.16 + 0.84 * layout.arm)
    finger = layout.digit * (layout.tip < 0.01) * (np.abs(layout.bend_m) > 0.005)
    ulnar = np.clip(0.5 - layout.places[:, 2] / 0.05, 0.15, 1)
    area *= np.where(layout.digit > 0.5, 0.8 * finger, ulnar) * (layout.facing > -0.2)
    rows = rng.integers(0, len(layout.texels), int(32000 * density))
    rows = rows[area[rows] > rng.random(len(rows))]
    start = layout.xy[rows].astype(np.float64) + rng.uniform(-0.5, 0.5, (len(rows), 2))
    length = np.exp(rng.normal(np.log(0.0085), 0.35, (len(rows), 1))) * (0.5 + 0.8 * layout.arm[rows, None])
    way = layout.hair_flow[rows] * length
    way += np.stack([-way[:, 1], way[:, 0]], 1) * rng.normal(0, 0.35, (len(rows), 1))
    bent = np.stack([-way[:, 1], way[:, 0]], 1) * rng.normal(0, 0.3, (len(rows), 1))
    strokes = np.stack([start, start + 0.5 * way + 0.3 * bent, start + way + bent], 1)
    strokes = np.round(strokes * (1 << _SHIFT)).astype(np.int32)
    total = np.zeros(len(layout.texels), np.float32)
    for part, shade in zip(np.array_split(strokes, 4), (20, 30, 42, 60), strict=True):
        canvas = _canvas()
        cv2.polylines(canvas, list(part), False, shade, 1, cv2.LINE_AA, _SHIFT)
        total += _soft(canvas, 0.0)
    return total
