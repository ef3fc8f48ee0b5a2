"""A small software renderer for hand meshes: no GPU, no window, a few milliseconds a hand."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.draw.canvas import Colour
from prehend.errors import InvalidInput
from prehend.io.pixels.images import Image
from prehend.types import FloatArray

_RENDER_PX = 320
"""Longer side of the image that is drawn; it is then resized to its place, which smooths the edges."""

_REACH_PX = 4000.0
"""Faces with a corner farther outside the image than this are left out."""

_LIGHT = np.array([-0.35, -0.65, -0.68], np.float32)
"""Direction to the light in the camera frame: from the upper left, behind the camera."""


class MeshImage(NamedTuple):
    """A rendered mesh and where it belongs.

    Attributes:
        left, top: place of the picture in the image [px].
        colour: (h, w, 3) uint8 RGB; outside the mesh the base colour, so that edges blend cleanly.
        mask: (h, w) uint8 coverage, 255 inside.
    """

    left: int
    top: int
    colour: Image
    mask: NDArray[np.uint8]


def render_mesh(
    vertices_m: FloatArray,
    vertices_px: FloatArray,
    faces: NDArray[np.integer],
    colour: Colour,
    size: tuple[int, int],
) -> MeshImage | None:
    """Draw a mesh, near faces over far ones, with smooth (Gouraud) shading.

    Args:
        vertices_m: (V, 3) in the camera frame [m].
        vertices_px: (V, 2) their projections; NaN behind the camera.
        faces: (F, 3) counter-clockwise from outside.
        colour: of the material.
        size: width and height of the image the picture is for [px].

    Returns:
        None where nothing of the mesh lies in the image.

    Raises:
        InvalidInput: the faces are of another mesh.
    """
    vertices = np.asarray(vertices_m, np.float32)
    check_shape("vertices_m", vertices, ["V", 3])
    if faces.size and int(faces.max()) >= len(vertices):
        raise InvalidInput(
            f"faces point at vertex {int(faces.max())} of {len(vertices)}: they are of another hand model"
        )
    pixels = np.asarray(vertices_px, np.float32)
    window = _window(pixels, size)
    if window is None:
        return None
    left, top, width, height = window
    scale = np.float32(min(2.0, _RENDER_PX / max(width, height)))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    drawn = (pixels - np.array([left, top], np.float32) + 0.5) * scale - 0.5
    with np.errstate(invalid="ignore"):
        near = (np.abs(drawn) < _REACH_PX).all(1)  # NaN compares false
    normals, outside = _normals(vertices, faces)
    faces = faces[outside & near[faces].all(1)]
    faces = faces[np.argsort(-vertices[:, 2][faces].sum(1))]
    face_at = rasterise(drawn[faces], small)
    layer = _shade(drawn, faces, _brightness(vertices, normals), face_at, colour)
    picture = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
    mask = np.asarray(cv2.extractChannel(picture, 3), np.uint8)
    if scale < 1:  # round off the steps of the enlarged edge
        mask = np.asarray(cv2.blur(mask, (3, 3)), np.uint8)
    return MeshImage(left, top, np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8), mask)


def rasterise(corners_px: FloatArray, size: tuple[int, int]) -> NDArray[np.int32]:
    """Which triangle each pixel shows: scanlines of all triangles at once, later triangles over earlier ones.

    Args:
        corners_px: (N, 3, 2) finite, far triangles first.
        size: width and height [px].

    Returns:
        (height, width) row of `corners_px` whose triangle holds the pixel's centre, -1 for none.
    """
    width, height = size
    shown = np.full(height * width, -1, np.int32)
    corners = np.take_along_axis(corners_px, np.argsort(corners_px[..., 1], axis=1)[..., None], axis=1)
    (x0, x1, x2), (y0, y1, y2) = corners[..., 0].T, corners[..., 1].T
    first = np.maximum(np.ceil(y0), 0).astype(np.int32)
    last = np.minimum(np.floor(y2), height - 1).astype(np.int32)
    triangle, row = _expand(first, last)
    level = row.astype(np.float32)
    upper, lower, whole = _slope(x0, y0, x1, y1), _slope(x1, y1, x2, y2), _slope(x0, y0, x2, y2)
    below = level - y1[triangle]
    on_whole = x0[triangle] + (level - y0[triangle]) * whole[triangle]
    on_short = x1[triangle] + below * np.where(below < 0, upper[triangle], lower[triangle])
    left, right = np.minimum(on_whole, on_short), np.maximum(on_whole, on_short)
    begin = np.clip(np.ceil(left - 1e-3), 0, width).astype(np.int32)
    end = np.clip(np.floor(right + 1e-3), -1, width - 1).astype(np.int32)
    span, column = _expand(begin, end)
    shown[row[span] * width + column] = triangle[span]  # the last of several values stays
    return shown.reshape(height, width)


def _slope(xa: FloatArray, ya: FloatArray, xb: FloatArray, yb: FloatArray) -> FloatArray:
    """Change of x per row along edges; 0 for a level one, which no row crosses."""
    run = yb - ya
    return np.divide(xb - xa, run, out=np.zeros_like(run), where=run > 1e-6)


def _expand(first: NDArray[np.int32], last: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Every whole number of the ranges first..last (inclusive, may be empty), and the range each belongs to."""
    counts = np.maximum(last - first + 1, 0)
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    start = np.cumsum(counts, dtype=np.int32) - counts
    return owner, np.arange(len(owner), dtype=np.int32) - np.repeat(start - first, counts)


def _window(pixels: FloatArray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, width, height of the part of the image that the mesh may cover [px]."""
    finite = pixels[np.isfinite(pixels).all(1)]
    if len(finite) == 0:
        return None
    low = np.maximum(np.floor(finite.min(0)) - 1, 0)
    high = np.minimum(np.ceil(finite.max(0)) + 2, size)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _shade(
    drawn: FloatArray, faces: NDArray[np.integer], brightness: FloatArray, face_at: NDArray[np.int32], colour: Colour
) -> NDArray[np.uint8]:
    """(h, w, 4) RGB and coverage: the brightness of the vertices, interpolated over each face."""
    height, width = face_at.shape
    layer = np.empty((height * width, 4), np.uint8)
    layer[:] = (*colour, 0)
    places = np.flatnonzero(face_at >= 0)
    owner = face_at.ravel()[places]
    c0, cx, cy = _planes(drawn, faces, brightness)
    rows = (places // width).astype(np.float32)
    columns = places.astype(np.float32) - rows * width
    value = c0[owner] + cx[owner] * columns + cy[owner] * rows
    shade = np.clip(value * 200, 0, 255).astype(np.uint8)
    layer.view(np.uint32)[places, 0] = _material(colour)[shade]
    return layer.reshape(height, width, 4)


def _material(colour: Colour) -> NDArray[np.uint32]:
    """(256,) RGB and full coverage, in one number, for brightness 0..1.275: matte, with a gleam at the bright end."""
    value = np.arange(256, dtype=np.float32)[:, None] / 200
    rgb = np.array(colour, np.float32) * value + 60 * np.clip((value - 0.8) / 0.3, 0, 1) ** 3
    table = np.full((256, 4), 255, np.uint8)
    table[:, :3] = np.clip(rgb, 0, 255)
    return table.view(np.uint32)[:, 0]


def _normals(vertices: FloatArray, faces: NDArray[np.integer]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(V, 3) unit normals of vertices, and (F,) whether a face turns its outer side to the camera."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    u, v = b - a, c - a
    flat = np.stack([u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1], u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]], 1)
    flat = np.concatenate([flat, (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])[:, None]], 1)
    corners = faces.ravel()
    normals = np.stack([np.bincount(corners, np.repeat(flat[:, k], 3), len(vertices)) for k in range(3)], 1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(length, 1e-20)).astype(np.float32), np.einsum("fk,fk->f", flat, a) < 0


def _brightness(vertices: FloatArray, normals: FloatArray) -> FloatArray:
    """(V,) factor of the colour: matte, darker at grazing angles so that fingers stand out from each other."""
    view = vertices / np.maximum(np.linalg.norm(vertices, axis=1, keepdims=True), 1e-20)
    light = np.clip(normals @ _LIGHT, 0, 1)
    grazing = 1 - np.clip(-np.einsum("vk,vk->v", normals, view), 0, 1)
    return np.asarray((0.4 + 0.72 * light) * (1 - 0.5 * grazing**2), np.float32)


def _planes(
    drawn: FloatArray, faces: NDArray[np.integer], values: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(F,) c0, cx, cy of value = c0 + cx x + cy y on each face in the image, from (V,) at its corners."""
    origin, u, v = drawn[faces[:, 0]], drawn[faces[:, 1]], drawn[faces[:, 2]]
    u, v = u - origin, v - origin
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    area = np.where(np.abs(area) < 0.05, np.float32(np.inf), area)  # edge-on: one value all over
    value = values[faces[:, 0]]
    du, dv = values[faces[:, 1]] - value, values[faces[:, 2]] - value
    cx = (du * v[:, 1] - dv * u[:, 1]) / area
    cy = (dv * u[:, 0] - du * v[:, 0]) / area
    return value - cx * origin[:, 0] - cy * origin[:, 1], cx, cy
