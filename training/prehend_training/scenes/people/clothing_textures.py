"""Painted textures of what hands wear: gloves on the hand's own layout, cloth of sleeves, watch faces."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.people.skin import coded
from prehend_training.scenes.people.skin_map import TILE_PX, SkinMap, skin_map, smooth_step

Array = NDArray[np.floating]
Float = NDArray[np.float32]
Rng = np.random.Generator

# linear colours of back and palm, and whether they are leather: hide, dipped knit, cotton, riggers', synthetic, bright
_WORK = (
    ((0.55, 0.36, 0.17), (0.55, 0.36, 0.17), True),
    ((0.42, 0.43, 0.44), (0.03, 0.03, 0.035), False),
    ((0.72, 0.70, 0.66), (0.70, 0.68, 0.64), False),
    ((0.08, 0.14, 0.28), (0.60, 0.42, 0.20), True),
    ((0.03, 0.03, 0.035), (0.06, 0.06, 0.06), True),
    ((0.75, 0.30, 0.04), (0.12, 0.12, 0.13), False),
    ((0.30, 0.45, 0.08), (0.05, 0.16, 0.06), False),
)
WORK_GLOVES, THIN_GLOVES = len(_WORK), 3
GLOVES = WORK_GLOVES + THIN_GLOVES
"""Gloves: those for work have their own colours; the thin ones are white and take the colour of their vertices."""
CLOTH_KINDS = {
    "knit": (0, 1),
    "weave": (2, 3),
    "denim": (4,),
    "striped": (5, 6),
    "jersey": (7, 8),
    "checked": (9, 10),
    "film": (11,),
}
"""Cloths, all light: the colour comes from the vertices. Film is the cuff of a thin glove."""
CLOTHS = 12
DIAL_GRID = 4
"""Watch faces along each side of their tile."""
DIAL_COUNT = DIAL_GRID**2


def paint_glove(number: int) -> NDArray[np.uint8]:
    """A glove's texture (see `hand_atlas.paint_tile`): work gloves first, then thin ones."""
    rng = np.random.default_rng([43, number])
    return _work_glove(rng, skin_map(), *_WORK[number]) if number < WORK_GLOVES else _thin_glove(rng, skin_map())


def _work_glove(
    rng: Rng, layout: SkinMap, back: tuple[float, ...], palm: tuple[float, ...], leather: bool
) -> NDArray[np.uint8]:
    """Knitted or leather back, a palm dipped in rubber or sewn on, seams along the fingers."""
    coarse, middle, fine = (band[int(rng.integers(len(band)))] for band in layout.noises)
    back_colour, palm_colour = np.array(back), np.array(palm)
    edge = layout.facing + 0.06 * coarse + 0.03 * middle
    dipped = smooth_step(-edge, -0.15, -0.05)
    if rng.random() < 0.4:  # the rubber reaches around the fingertips
        dipped = np.maximum(dipped, smooth_step(layout.tip, 0.3, 0.5))
    albedo = back_colour + dipped[:, None] * (palm_colour - back_colour)
    knit, knit_height = _stitches(rng, layout, leather)
    albedo = albedo * (1 - (0.25 * knit * (1 - dipped))[:, None])
    seam = np.exp(-(((edge + 0.10) / 0.03) ** 2))
    height = (1 - dipped) * knit_height + dipped * (0.00012 * fine + 0.0002) - 0.0004 * seam
    albedo *= np.exp(0.06 * coarse + 0.05 * middle + 0.05 * fine - 0.5 * seam)[:, None]
    dirt = rng.uniform(0, 0.5) * np.clip(0.5 * coarse + 0.4 * middle, 0, 1) * dipped
    albedo = albedo + dirt[:, None] * (np.array([0.05, 0.04, 0.03]) - albedo)
    height += _flex_folds(layout, middle, 0.0005)
    return layout.spread(coded(albedo, height))


def _stitches(rng: Rng, layout: SkinMap, leather: bool) -> tuple[Float, Float]:
    """Darkness 0..1 and height [m] of a knit (rows across the hand) or of grained leather."""
    fine = layout.noises[2]
    if not leather:
        pitch = rng.uniform(0.0024, 0.0036)
        rows = np.sin(layout.places @ (np.array([1.0, 0.2, 0.35]) * 2 * np.pi / pitch))
        ribs = np.sin(layout.places @ (np.array([0.3, 0.8, 1.0]) * 2 * np.pi / (1.4 * pitch)))
        knit = 0.5 - 0.5 * rows * np.abs(ribs)
    else:
        knit = np.clip(0.5 + 0.3 * fine[1] + 0.3 * fine[2], 0, 1)
    return np.asarray(knit, np.float32), np.asarray(-0.00022 * knit, np.float32)


def _flex_folds(layout: SkinMap, middle: Float, depth_m: float) -> Float:
    """(N,) height [m] of creases around the bends of the fingers."""
    wave = np.abs(np.sin((layout.bend_m + 0.0015 * middle) * (np.pi / 0.005)))
    return np.asarray(-depth_m * (1 - wave) ** 2 * np.exp(-((layout.bend_m / 0.011) ** 2)), np.float32)


def _thin_glove(rng: Rng, layout: SkinMap) -> NDArray[np.uint8]:
    """Nitrile, vinyl or latex: one colour, drawn tight over the fingers, fine wrinkles where it is loose."""
    coarse, middle, fine = (band[int(rng.integers(len(band)))] for band in layout.noises)
    warped = layout.places @ rng.normal(0, 1, 3) + 0.004 * coarse + 0.002 * middle
    ridges = (1 - np.abs(np.sin(warped * (np.pi / rng.uniform(0.004, 0.009))))) ** 3
    loose = np.clip(0.2 + 0.5 * middle, 0, 1) * (1 - 0.7 * layout.tip) * (0.15 + 0.85 * (1 - layout.digit))
    height = 0.00045 * ridges * loose + 0.00002 * fine + _flex_folds(layout, middle, 0.0004)
    tight = np.clip(0.5 + layout.knuckle + layout.tip, 0, 1.5)
    shade = 0.8 * np.exp(0.03 * coarse + 0.02 * fine + 0.05 * ridges * loose - 0.04 * tight)
    return layout.spread(coded(np.repeat(shade[:, None], 3, 1), height))


def paint_cloth(number: int) -> NDArray[np.uint8]:
    """A sleeve's texture, rows along the arm; light, so that the vertices' colour gives it its own."""
    rng = np.random.default_rng([47, number])
    kind = next(name for name, numbers in CLOTH_KINDS.items() if number in numbers)
    shade, height = _WEAVERS[kind](rng)
    folds = _crumple(rng)
    height = height + 0.0007 * folds
    shade = shade * np.exp(0.10 * folds + 0.03 * rng.standard_normal(folds.shape))[..., None]
    return coded(shade.reshape(-1, 3), height.ravel()).reshape(TILE_PX, TILE_PX, 4)


@lru_cache(maxsize=1)
def _grid() -> tuple[Float, Float]:
    """Angle around the arm (1, S) 0..2 pi, and rows (S, 1) 0..1 along it."""
    step = (np.arange(TILE_PX, dtype=np.float32) + 0.5) / TILE_PX
    return np.asarray(2 * np.pi * step, np.float32)[None], np.asarray(step, np.float32)[:, None]


def _crumple(rng: Rng) -> Float:
    """(S, S) folds in about -1..1, the same on both sides of the cut."""
    around, along = _grid()
    total = np.zeros((TILE_PX, TILE_PX), np.float32)
    for k in range(8):
        turns, rows = int(rng.integers(-4, 5)), rng.uniform(4, 26)
        bend = 0.6 * np.sin(2 * around + rng.uniform(0, 6)) + 0.5 * np.sin(9 * along + rng.uniform(0, 6))
        wave = np.sin(turns * around + rows * along + bend + rng.uniform(0, 6))
        total += (1 - np.abs(wave)) ** 2 * (1 if k % 2 else -1) * rng.uniform(0.4, 1.0)
    return total / 2.5


def _plain(value: Array) -> Float:
    return np.repeat(np.asarray(value, np.float32)[..., None], 3, 2)


def _ribbed(rng: Rng) -> tuple[Float, Float]:
    """Coarse knit: ribs along the arm, stitches in them."""
    around, along = _grid()
    ribs, rows = int(rng.integers(30, 56)), rng.uniform(38, 64)
    rib = np.cos(ribs * around)
    stitch = np.abs(np.sin(np.pi * rows * along + 1.2 * np.abs(np.sin(ribs * around / 2))))
    relief = 0.6 * rib + 0.4 * stitch
    return _plain(0.72 + 0.12 * relief), np.asarray(0.0003 * relief, np.float32)


def _film(rng: Rng) -> tuple[Float, Float]:
    """Rubber: nothing but folds."""
    flat = np.full((TILE_PX, TILE_PX), 0.72, np.float32)
    return _plain(flat), np.asarray(0.0003 * _crumple(rng), np.float32)


def _denim(rng: Rng) -> tuple[Float, Float]:
    """Slanted threads, some of them white, worn at random."""
    around, along = _grid()
    wave = np.sin(64 * around + 320 * along)
    slubs = cv2.GaussianBlur(rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (0, 0), 0.6, sigmaY=5)
    worn = cv2.GaussianBlur(rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (0, 0), 14) * 14
    value = 0.62 + 0.06 * wave + 0.25 * slubs + 0.06 * worn
    return _plain(value), np.asarray(0.00008 * slubs, np.float32)


def _woven(rng: Rng) -> tuple[Float, Float]:
    """Poplin, twill and linen: diagonal or crossing threads with slubs."""
    around, along = _grid()
    threads = int(rng.integers(90, 150))
    lean = int(rng.integers(0, 2)) * threads * 5
    wave = np.sin(threads * around + lean * along) * (1.0 if lean else np.sin(5.2 * threads * along))
    slubs = cv2.GaussianBlur(rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (0, 0), 0.6, sigmaY=4)
    value = 0.76 + 0.02 * wave + 0.08 * slubs
    return _plain(value), np.asarray(0.00005 * slubs, np.float32)


def _jersey(rng: Rng) -> tuple[Float, Float]:
    """Fleece, sweatshirts: fine grain and mottling."""
    fine = cv2.GaussianBlur(rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (0, 0), 0.9)
    blots = cv2.GaussianBlur(rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32), (0, 0), 9) * 12
    return _plain(0.75 + rng.uniform(0.05, 0.25) * fine + 0.03 * blots), np.asarray(0.00025 * fine, np.float32)


def _striped(rng: Rng) -> tuple[Float, Float]:
    """Stripes around the arm or along it, over a fine weave."""
    around, along = _grid()
    value, relief = _woven(rng)
    count = int(rng.integers(3, 14))
    wave = np.sin(count * around + 0 * along) if rng.random() < 0.5 else np.sin(2 * np.pi * count * along + 0 * around)
    second = rng.uniform(0.03, 1.0, 3).astype(np.float32)
    share = smooth_step(wave, rng.uniform(-0.3, 0.8), 0.9)[..., None]
    return value * (1 - share * (1 - second)), relief


def _checked(rng: Rng) -> tuple[Float, Float]:
    """Plaid."""
    around, along = _grid()
    value, relief = _woven(rng)
    counts = int(rng.integers(4, 10)), rng.uniform(4, 10)
    for wave in (np.sin(counts[0] * around), np.sin(2 * np.pi * counts[1] * along)):
        for edge in (rng.uniform(-0.4, 0.3), rng.uniform(0.85, 0.95)):
            second = rng.uniform(0.1, 1.0, 3).astype(np.float32)
            share = 0.6 * smooth_step(wave, edge, edge + 0.05)[..., None]
            value = value * (1 - share * (1 - second))
    return value, relief


_WEAVERS = {
    "knit": _ribbed,
    "weave": _woven,
    "denim": _denim,
    "striped": _striped,
    "jersey": _jersey,
    "checked": _checked,
    "film": _film,
}


def paint_dials() -> NDArray[np.uint8]:
    """Watch faces in a grid of `DIAL_GRID` x `DIAL_GRID`: hands and marks, or figures on a screen."""
    rng = np.random.default_rng(53)
    size = TILE_PX // DIAL_GRID
    picture = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    picture[..., 3] = 128
    for k in range(DIAL_COUNT):
        y, x = size * (k // DIAL_GRID), size * (k % DIAL_GRID)
        face = _screen(rng, size) if k % 4 == 3 else _dial(rng, size)
        picture[y : y + size, x : x + size, :3] = face
    return picture


def _dial(rng: Rng, size: int) -> NDArray[np.uint8]:
    dark = rng.random() < 0.5
    ground = rng.uniform(10, 60, 3) if dark else rng.uniform(190, 245) + rng.uniform(-12, 8, 3)
    ink = (rng.uniform(190, 250, 3) if dark else rng.uniform(10, 60, 3)).tolist()
    face = np.full((size, size, 3), ground, np.uint8)
    middle, radius = size / 2 - 0.5, size / 2
    for hour in range(60):
        angle, whole = hour * np.pi / 30, hour % 5 == 0
        way = np.array([np.sin(angle), np.cos(angle)])
        ends = [middle + way * radius * share for share in (0.92, 0.76 if whole else 0.88)]
        _stroke(face, ends[0], ends[1], ink, 3 if whole else 1)
    for reach, width in ((0.5, 5), (0.75, 3), (0.8, 1)):
        angle = rng.uniform(0, 2 * np.pi)
        _stroke(
            face, np.full(2, middle), middle + radius * reach * np.array([np.sin(angle), np.cos(angle)]), ink, width
        )
    return face


def _stroke(face: NDArray[np.uint8], start: Array, end: Array, ink: list[float], width: int) -> None:
    ends = [tuple(np.round(point * 16).astype(int).tolist()) for point in (start, end)]
    cv2.line(face, ends[0], ends[1], ink, width, cv2.LINE_AA, 4)


def _screen(rng: Rng, size: int) -> NDArray[np.uint8]:
    """Rings, bars and dots: nothing that a left hand, which is a mirrored right one, would show mirrored."""
    face = np.full((size, size, 3), rng.uniform(4, 24), np.uint8)
    inks = [rng.uniform(90, 255, 3).tolist() for _ in range(3)]
    middle = (int(0.5 * size), int(0.56 * size))
    for k, ink in enumerate(inks):
        reach = rng.uniform(120, 340)
        axes = (int((0.32 - 0.09 * k) * size),) * 2
        cv2.ellipse(face, middle, axes, -90, 0, reach, ink, max(2, size // 16), cv2.LINE_AA)
    for k in range(5):
        x = int((0.22 + 0.14 * k) * size)
        cv2.line(face, (x, int(0.12 * size)), (x, int(rng.uniform(0.13, 0.2) * size)), inks[k % 3], 3, cv2.LINE_AA)
    return face
