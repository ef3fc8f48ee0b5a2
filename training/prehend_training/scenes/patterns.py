"""Pictures made from nothing: cloth, wood, labels, rooms, clutter; square-root coded like the renderer's colours."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError

Picture = NDArray[np.uint8]
Array = NDArray[np.floating]
Rng = np.random.Generator

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
    mixed = low + np.clip(mask, 0, 1)[..., None] * (np.asarray(high) - low)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _gradient(rng: Rng, height: int, width: int) -> Picture:
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1, 1, width) * np.cos(angle) + np.linspace(-1, 1, height)[:, None] * np.sin(angle)
    return blend(0.5 + 0.5 * ramp + 0.1 * noise(rng, height, width), colour(rng), colour(rng))


def _clouds(rng: Rng, height: int, width: int) -> Picture:
    mask = 0.5 + rng.uniform(0.3, 1.5) * noise(rng, height, width, int(rng.integers(1, 9)), int(rng.integers(2, 6)))
    return blend(mask, colour(rng), colour(rng))


def _stripes(rng: Rng, height: int, width: int) -> Picture:
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(80)))
    along = np.arange(width) * np.cos(angle) + np.arange(height)[:, None] * np.sin(angle)
    wave = np.sin(2 * np.pi * along / period + rng.uniform(0, 6) + rng.uniform(0, 1.5) * noise(rng, height, width))
    return blend(0.5 + rng.uniform(0.6, 4) * wave, colour(rng), colour(rng))


def _checks(rng: Rng, height: int, width: int) -> Picture:
    """Plaid, tiles and chequers."""
    period = rng.uniform(6, 60, 2)
    a = np.sin(2 * np.pi * np.arange(width) / period[0]) * rng.uniform(0.7, 4)
    b = np.sin(2 * np.pi * np.arange(height) / period[rng.integers(2)])[:, None] * rng.uniform(0.7, 4)
    both = a * b if rng.random() < 0.5 else (a + b) / 2
    return blend(0.5 + both, colour(rng), colour(rng))


def _wood(rng: Rng, height: int, width: int) -> Picture:
    grain = noise(rng, height, width, 2, 3)
    stretched = cv2.resize(rng.standard_normal((height, 6), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(stretched, (1, 3), 0) if height > 3 else stretched
    ring = np.sin((np.arange(height)[:, None] / height * rng.uniform(4, 20) + 2.5 * grain) * 2 * np.pi)
    base = skin_like(rng) if rng.random() < 0.7 else colour(rng)
    picture = blend(0.5 + 0.3 * ring + 0.15 * fine, base * rng.uniform(0.5, 0.9), base)
    return np.ascontiguousarray(picture.transpose(1, 0, 2)) if height == width and rng.random() < 0.5 else picture


def _polygons(rng: Rng, height: int, width: int) -> Picture:
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colour(rng)
    for _ in range(int(rng.integers(4, 28))):
        centre = rng.uniform(-0.1, 1.1, 2) * (width, height)
        size = np.exp(rng.uniform(np.log(0.03), np.log(0.5))) * max(width, height)
        shade = (skin_like(rng) if rng.random() < 0.2 else colour(rng)).tolist()
        kind = rng.integers(4)
        if kind == 0:
            points = centre + size * rng.normal(0, 0.6, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(picture, [points.astype(np.int32)], shade, cv2.LINE_AA)
        elif kind == 1:
            half = size * rng.uniform(0.2, 1.0, 2)
            turned = cv2.boxPoints((centre.tolist(), (2 * half).tolist(), float(rng.normal(0, 15))))
            cv2.fillPoly(picture, [turned.astype(np.int32)], shade, cv2.LINE_AA)
        elif kind == 2:
            axes = (size * rng.uniform(0.3, 1.0, 2)).astype(int) + 1
            cv2.ellipse(
                picture, centre.astype(int).tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, shade, -1
            )
        else:
            ends = (centre + size * rng.normal(0, 1, (2, 2))).astype(int)
            cv2.line(
                picture, ends[0].tolist(), ends[1].tolist(), shade, int(rng.integers(1, 2 + width // 20)), cv2.LINE_AA
            )
    return picture


def _room(rng: Rng, height: int, width: int) -> Picture:
    """A wall, a floor or table, things hung and standing on both."""
    picture = _gradient(rng, height, width)
    horizon = int(height * rng.uniform(0.3, 0.95))
    lower = _one_of(rng, _PLAIN)(rng, height, width)
    picture[horizon:] = lower[horizon:]
    for _ in range(int(rng.integers(2, 12))):
        w, h = (np.exp(rng.uniform(np.log(0.04), np.log(0.5), 2)) * (width, height)).astype(int) + 2
        x, y = int(rng.uniform(-0.2, 1) * width), int(horizon - h * rng.uniform(-0.2, 1.6))
        shade = colour(rng)
        cv2.rectangle(picture, (x, y), (int(x + w), int(y + h)), shade.tolist(), -1)
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (int(x + w), int(y + h)), (shade * 0.5).tolist(), int(rng.integers(1, 4)))
    return picture


def _shelf(rng: Rng, height: int, width: int) -> Picture:
    """Rows of upright things, like books or bottles on a shelf."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colour(rng) * 0.6
    rows = int(rng.integers(1, 6))
    for row in range(rows):
        bottom, tall = int((row + 0.95) * height / rows), height / rows
        x = int(-rng.uniform(0, 10))
        shared = colour(rng)
        while x < width:
            w = int(np.exp(rng.uniform(np.log(3), np.log(max(5.0, width / 8))))) + 1
            shade = colour(rng) if rng.random() < 0.6 else shared
            cv2.rectangle(
                picture, (x, int(bottom - tall * rng.uniform(0.4, 0.95))), (x + w, bottom), shade.tolist(), -1
            )
            x += w + int(rng.integers(1, 4))
    return picture


def _label(rng: Rng, height: int, width: int) -> Picture:
    """Print: lines of something like text, blocks, a mark."""
    picture = _one_of(rng, _PLAIN)(rng, height, width)
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


def _person(rng: Rng, height: int, width: int) -> Picture:
    """Someone far from in focus: a trunk in cloth, a head, an arm."""
    picture = _one_of(rng, _BACKDROPS[:-1])(rng, height, width)
    x, top, size = rng.uniform(0, 1) * width, rng.uniform(0.1, 0.8) * height, rng.uniform(0.2, 0.6) * width
    cloth = _one_of(rng, _PLAIN)(rng, height, width)
    trunk = np.zeros((height, width), np.uint8)
    outline = [
        (x - size, top + 0.3 * size),
        (x - 0.35 * size, top),
        (x + 0.35 * size, top),
        (x + size, top + 0.3 * size),
    ]
    outline += [(x + 1.1 * size, 3 * height), (x - 1.1 * size, 3 * height)]
    cv2.fillPoly(trunk, [np.array(outline, np.int32)], 255, cv2.LINE_AA)
    picture[trunk > 127] = cloth[trunk > 127]
    skin = skin_like(rng)
    head = (int(0.36 * size) + 1, int(0.5 * size) + 1)
    centre = (int(x), int(top - 0.35 * size))
    cv2.ellipse(
        picture, centre, (int(1.15 * head[0]), int(1.1 * head[1])), 0, 150, 390, (skin * 0.2).tolist(), -1, cv2.LINE_AA
    )
    cv2.ellipse(picture, centre, head, 0, 0, 360, skin.tolist(), -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (int(x + side * 0.15 * size), int(top - 0.42 * size))
        cv2.circle(picture, eye, int(0.05 * size) + 1, (skin * 0.25).tolist(), -1, cv2.LINE_AA)
    if rng.random() < 0.6:
        elbow = np.array([x, top]) + size * rng.normal(0, 1, 2)
        end = elbow + size * rng.normal(0, 0.8, 2)
        cv2.line(
            picture,
            elbow.astype(int).tolist(),
            end.astype(int).tolist(),
            skin.tolist(),
            int(0.25 * size) + 1,
            cv2.LINE_AA,
        )
    return picture


_Maker = Callable[[Rng, int, int], Picture]
_PLAIN: Sequence[_Maker] = (_gradient, _clouds, _stripes, _checks, _wood)
_BACKDROPS: Sequence[_Maker] = (
    _gradient,
    _clouds,
    _wood,
    _polygons,
    _polygons,
    _room,
    _room,
    _shelf,
    _label,
    _stripes,
    _person,
)
_SURFACES: Sequence[_Maker] = (_gradient, _clouds, _stripes, _checks, _wood, _label, _label, _clouds)


def _one_of(rng: Rng, makers: Sequence[_Maker]) -> _Maker:
    return makers[int(rng.integers(len(makers)))]


class Gallery:
    """Backgrounds and textures: made up, or cut out of photographs where a folder of them is given.

    Args:
        photos: folder with pictures (searched deeply), None for none; they are read once and kept small.
        photo_share: share of backgrounds that are cut from photographs.

    Raises:
        SourceError: the folder holds no picture that can be read.
    """

    def __init__(self, photos: Path | None = None, photo_share: float = 0.6, keep_px: int = 640):
        self.photo_share = photo_share if photos is not None else 0.0
        self.photos: list[Picture] = []
        if photos is not None:
            self.photos = [
                picture for path in sorted(photos.rglob("*")) if (picture := _read_photo(path, keep_px)) is not None
            ]
            if not self.photos:
                raise SourceError(f"no picture can be read in {photos}")

    def background(self, rng: Rng, height: int, width: int) -> Picture:
        """(height, width, 3) something to stand behind a hand, mostly out of focus a little."""
        if rng.random() < self.photo_share:
            picture = self._cut(rng, height, width)
        else:
            picture = _one_of(rng, _BACKDROPS)(rng, height, width)
            if rng.random() < 0.3:  # two worlds in one picture
                other = _one_of(rng, _BACKDROPS)(rng, height, width)
                mask = noise(rng, height, width, 1, 2) > rng.uniform(-0.3, 0.3)
                picture[mask] = other[mask]
        if rng.random() < 0.25:
            self._distract(rng, picture)
        sigma = rng.choice([0.0, 0.7, 1.5, 3.5], p=[0.25, 0.3, 0.25, 0.2]) * rng.uniform(0.6, 1.4) * width / 160
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8) if sigma > 0.3 else picture

    def surface(self, rng: Rng, size: int) -> Picture:
        """(size, size, 3) a texture for things and cloth."""
        if rng.random() < 0.3 * self.photo_share:
            return self._cut(rng, size, size)
        picture = _one_of(rng, _SURFACES)(rng, size, size)
        grain = rng.normal(0, rng.uniform(0, 8), (size, size, 1))
        return np.clip(picture + grain, 0, 255).astype(np.uint8)

    def _cut(self, rng: Rng, height: int, width: int) -> Picture:
        photo = self.photos[int(rng.integers(len(self.photos)))]
        most = min(photo.shape[0] / height, photo.shape[1] / width)
        zoom = most * np.exp(rng.uniform(np.log(0.25), 0))
        h, w = max(int(zoom * height), 8), max(int(zoom * width), 8)
        y, x = int(rng.integers(photo.shape[0] - h + 1)), int(rng.integers(photo.shape[1] - w + 1))
        shape = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
        picture = cv2.resize(photo[y : y + h, x : x + w], (width, height), interpolation=shape)
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if rng.random() < 0.3:
            gain = rng.uniform(0.6, 1.4) * np.exp(rng.normal(0, 0.15, 3))
            picture = np.clip(picture * gain + rng.uniform(-30, 30), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(picture)

    def _distract(self, rng: Rng, picture: Picture) -> None:
        """Draw a few things of the colour of skin."""
        height, width = picture.shape[:2]
        for _ in range(int(rng.integers(1, 5))):
            shade = skin_like(rng).tolist()
            centre = (rng.uniform(0, 1, 2) * (width, height)).astype(int)
            if rng.random() < 0.5:
                axes = (rng.uniform(0.04, 0.25, 2) * width).astype(int) + 1
                cv2.ellipse(
                    picture, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA
                )
            else:
                end = centre + (rng.normal(0, 0.4, 2) * width).astype(int)
                cv2.line(
                    picture, centre.tolist(), end.tolist(), shade, int(rng.uniform(0.03, 0.2) * width) + 1, cv2.LINE_AA
                )


def _read_photo(path: Path, keep_px: int) -> Picture | None:
    if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
        return None
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None or min(picture.shape[:2]) < 300:
        return None
    scale = keep_px / min(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1])


def texture_bank(gallery: Gallery, seed: int, count: int = 72, size: int = 128) -> Picture:
    """(count, size, size, 3) textures, the same for the same seed and gallery."""
    rng = np.random.default_rng(seed)
    return np.stack([gallery.surface(rng, size) for _ in range(count)])
