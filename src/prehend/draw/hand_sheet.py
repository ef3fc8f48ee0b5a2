"""Sheets of hand meshes to look at, and one that turns."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend.draw.canvas import WHITE, Colour, blend, draw_text
from prehend.draw.mesh import render_mesh
from prehend.io.pixels.images import Image
from prehend.types import FloatArray

SKIN: Colour = (222, 184, 160)
_BACKGROUND: Colour = (30, 34, 42)
_FAR_M, _SPAN_M = 2.0, 0.24
"""Distance of the camera that looks on, and what a tile shows across."""

UPRIGHT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""From the frame `hand` to a camera that sees a right hand's palm, the fingers up."""


def tile(vertices_m: FloatArray, faces: NDArray[np.integer], turn: FloatArray, size_px: int, text: str = "") -> Image:
    """One hand in the middle of a dark square.

    Args:
        vertices_m: (V, 3) in any frame [m].
        faces: (F, 3) counter-clockwise from outside.
        turn: (3, 3) from that frame to the camera that looks on.
        size_px: side of the square [px].
        text: below it.
    """
    canvas = np.full((size_px, size_px, 3), _BACKGROUND, np.uint8)
    turned = np.asarray(vertices_m, np.float64) @ turn.T
    turned = turned - (turned.min(0) + turned.max(0)) / 2 + [0, 0, _FAR_M]
    pixels = turned[:, :2] / turned[:, 2:] * _FAR_M * (size_px / _SPAN_M) + (size_px - 1) / 2
    drawn = render_mesh(turned, pixels, faces, SKIN, (size_px, size_px))
    if drawn is not None:
        blend(canvas, drawn.left, drawn.top, drawn.colour, drawn.mask, 1.0)
    if text:
        draw_text(canvas, text, 8, size_px - 8, max(11, size_px / 16), WHITE)
    return canvas


def on_picture(
    image: Image, vertices_m: FloatArray, pixels: FloatArray, faces: NDArray[np.integer], opacity: float = 0.85
) -> Image:
    """An image with a hand drawn over it.

    Args:
        image: (H, W, 3). vertices_m: (V, 3) in the camera frame [m]. pixels: (V, 2) their projections.
        faces: (F, 3). opacity: of the hand.
    """
    canvas = image.copy()
    drawn = render_mesh(vertices_m, pixels, faces, SKIN, (image.shape[1], image.shape[0]))
    if drawn is not None:
        blend(canvas, drawn.left, drawn.top, drawn.colour, drawn.mask, opacity)
    return canvas


def grid(tiles: list[Image], columns: int) -> Image:
    """Tiles of one size side by side, row by row, filled up with dark."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * height, min(columns, len(tiles)) * width, 3), _BACKGROUND, np.uint8)
    for number, picture in enumerate(tiles):
        row, column = divmod(number, columns)
        canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture
    return canvas


def view_of_hand(side: Side) -> FloatArray:
    """(3, 3) from the frame `hand` to a camera that sees the palm of this hand half from the side, the fingers up."""
    right = _about_y(np.deg2rad(-25)) @ UPRIGHT
    # fingers of a left hand point along +x: it is seen as the right one in a mirror
    return right if side == "right" else MIRROR @ right @ MIRROR


def turntable(
    vertices_m: FloatArray, faces: NDArray[np.integer], turn: FloatArray, size_px: int, frames: int
) -> list[Image]:
    """Images of a hand that turns once about the upright axis.

    Args:
        vertices_m: (V, 3) [m]. faces: (F, 3). turn: (3, 3) the view to begin with.
        size_px: side [px]. frames: how many.
    """
    return [tile(vertices_m, faces, _about_y(2 * np.pi * k / frames) @ turn, size_px) for k in range(frames)]


def _about_y(angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
