"""One big texture for all that hands are and wear: which tile is what, and its mip levels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.people.clothing_textures import CLOTHS, GLOVES, paint_cloth, paint_dials, paint_glove
from prehend_training.scenes.people.skin import SKINS, paint_skin
from prehend_training.scenes.people.skin_map import TILE_PX

ATLAS_TILES = 8
"""Tiles along each side of the atlas, so 64 in all."""
ATLAS_LAYER = -2.0
"""`uvw.z` of vertices whose texture is the atlas; their u and v are its coordinates."""
LEVELS = 6
"""Mip levels: tiles stay apart down to 16 texels."""

FIRST_GLOVE = SKINS
FIRST_CLOTH = FIRST_GLOVE + GLOVES
DIALS = FIRST_CLOTH + CLOTHS


def paint_tile(number: int) -> NDArray[np.uint8]:
    """(TILE_PX, TILE_PX, 4) tile `number`: square root of the linear albedo, and height (see `skin.HEIGHT_M`).

    Args:
        number: skins from 0 on, then gloves, cloths and the watch faces.
    """
    if number < FIRST_GLOVE:
        return paint_skin(number)
    if number < FIRST_CLOTH:
        return paint_glove(number - FIRST_GLOVE)
    if number < DIALS:
        return paint_cloth(number - FIRST_CLOTH)
    return paint_dials()


def tile_levels(number: int) -> list[NDArray[np.uint8]]:
    """A tile and its halves: `LEVELS` images (S, S, 4), S = TILE_PX and down."""
    levels = [paint_tile(number)]
    for _ in range(1, LEVELS):
        size = levels[-1].shape[0] // 2
        levels.append(np.asarray(cv2.resize(levels[-1], (size, size), interpolation=cv2.INTER_AREA), np.uint8))
    return levels


def tile_corner(number: int) -> tuple[int, int]:
    """Column and row of the atlas, counted in tiles."""
    return number % ATLAS_TILES, number // ATLAS_TILES


def atlas_uv(number: int, uv: NDArray[np.floating]) -> NDArray[np.floating]:
    """Coordinates (..., 2) in the atlas of coordinates in a tile; half a texel of its edge is left out."""
    inset = 0.5 / TILE_PX
    return (np.clip(uv, inset, 1 - inset) + tile_corner(number)) / ATLAS_TILES
