"""Backgrounds and textures: made up or cut out of photographs; square-root coded like the renderer's colours."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import SourceError
from prehend_training.scenes.appearance.rooms import desk, room, screen, shelf
from prehend_training.scenes.appearance.surface_patterns import (
    PLAIN,
    Maker,
    checks,
    clouds,
    colour,
    gradient,
    label,
    one_of,
    skin_like,
    stripes,
    wood,
)

Picture = NDArray[np.uint8]
Array = NDArray[np.floating]
Rng = np.random.Generator

_MADE, _MADE_PX = 200, (256, 320)
"""How many backgrounds are made up, kept, and cut to pieces; their height and width."""
_FRESH_SHARE = 0.15


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


def _person(rng: Rng, height: int, width: int) -> Picture:
    """Someone far from in focus: a trunk in cloth, a head, an arm."""
    picture = one_of(rng, _PLACES)(rng, height, width)
    x, top, size = rng.uniform(0, 1) * width, rng.uniform(0.1, 0.8) * height, rng.uniform(0.2, 0.6) * width
    cloth = one_of(rng, PLAIN)(rng, height, width)
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


_PLACES: Sequence[Maker] = (room, room, desk, desk, shelf, screen, _polygons, label)
_BACKDROPS: Sequence[Maker] = (*_PLACES, *_PLACES, _person, _person, clouds, wood)
_SURFACES: Sequence[Maker] = (gradient, clouds, stripes, checks, wood, label, label, clouds)


@lru_cache(maxsize=_MADE)
def _made(number: int) -> Picture:
    """A background made up, always the same one for a number; two in one sometimes."""
    rng = np.random.default_rng([61, number])
    picture = one_of(rng, _BACKDROPS)(rng, *_MADE_PX)
    if rng.random() < 0.12:
        other = one_of(rng, _BACKDROPS)(rng, *_MADE_PX)
        edge = int(rng.uniform(0.2, 0.8) * _MADE_PX[1])
        picture[:, edge:] = other[:, edge:]
    return picture


class Gallery:
    """Backgrounds and textures: made up, or cut out of photographs where a folder of them is given.

    Args:
        photos: folder with images (searched deeply), None for none; they are read once and kept small.
        photo_share: share of backgrounds that are cut from photographs.

    Raises:
        SourceError: the folder holds no image that can be read.
    """

    def __init__(self, photos: Path | None = None, photo_share: float = 0.6, keep_px: int = 640):
        self.photo_share = photo_share if photos is not None else 0.0
        self.photos: list[Picture] = []
        if photos is not None:
            self.photos = [
                picture for path in sorted(photos.rglob("*")) if (picture := _read_photo(path, keep_px)) is not None
            ]
            if not self.photos:
                raise SourceError(f"no image can be read in {photos}")

    def background(self, rng: Rng, height: int, width: int) -> Picture:
        """(height, width, 3) something to stand behind a hand, mostly out of focus a little."""
        if rng.random() < self.photo_share:
            picture = _cut(rng, self.photos[int(rng.integers(len(self.photos)))], height, width)
        elif rng.random() < _FRESH_SHARE:
            picture = one_of(rng, PLAIN)(rng, height, width)
        else:
            picture = _cut(rng, _made(int(rng.integers(_MADE))), height, width)
        if rng.random() < 0.25:
            self._distract(rng, picture)
        sigma = rng.choice([0.0, 0.7, 1.5, 3.5], p=[0.25, 0.3, 0.25, 0.2]) * rng.uniform(0.6, 1.4) * width / 160
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8) if sigma > 0.3 else picture

    def surface(self, rng: Rng, size: int) -> Picture:
        """(size, size, 3) a texture for objects and cloth."""
        if rng.random() < 0.3 * self.photo_share:
            return _cut(rng, self.photos[int(rng.integers(len(self.photos)))], size, size)
        picture = one_of(rng, _SURFACES)(rng, size, size)
        grain = rng.normal(0, rng.uniform(0, 8), (size, size, 1))
        return np.clip(picture + grain, 0, 255).astype(np.uint8)

    def _distract(self, rng: Rng, picture: Picture) -> None:
        """Draw a few objects of the colour of skin."""
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


def _cut(rng: Rng, photo: Picture, height: int, width: int) -> Picture:
    """A random piece of an image, scaled, mirrored and with other colours sometimes."""
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
