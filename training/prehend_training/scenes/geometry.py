"""Triangles as the rasteriser takes them; what puts bodies, clothes and objects together makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERTEX = np.dtype(
    [
        ("position", "3f4"),  # world [m]
        ("normal", "3f4"),
        ("uvw", "3f4"),  # texture coordinates and layer; layer -1: no texture, -2: the hand atlas
        ("colour", "3f4"),  # linear albedo
        ("material", "3f4"),  # specular strength, gloss, how much light bleeds through the skin
        ("code", "f4"),  # what it is, see `Picture.codes`
    ]
)


@dataclass(frozen=True)
class Geometry:
    """Triangles in the world: (V,) records of `VERTEX`, (F, 3) int32 faces, tiles of the hand atlas they use."""

    vertices: NDArray[Any]
    faces: NDArray[np.int32]
    tiles: tuple[int, ...] = ()


def join(parts: Sequence[Geometry]) -> Geometry:
    """One geometry of several."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    tiles = tuple(sorted({tile for part in parts for tile in part.tiles}))
    # numpy copies records field by field, but plain numbers at once
    rows = np.concatenate([part.vertices.view(np.float32) for part in parts])
    return Geometry(rows.view(VERTEX), np.concatenate(faces, dtype=np.int32), tiles)
