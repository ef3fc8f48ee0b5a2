"""Triangles with all that the renderer needs of them, and what is done to triangles of any origin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Faces = NDArray[np.int32]

LONGEST_EDGE_M = 0.04
"""Lens distortion is applied to vertices, so no edge may be longer."""


@dataclass(frozen=True)
class Mesh:
    """Triangles of a solid.

    Attributes:
        vertices, normals: (V, 3) [m], unit vectors outwards.
        uv: (V, 2) texture coordinates; (0, 0) is the top left corner of a label, (1, 1) its bottom right.
        faces: (F, 3) int32, counter-clockwise from outside.
        part: (V,) int, number of the surface (see `Surface`) that a vertex belongs to.
    """

    vertices: Array
    normals: Array
    uv: Array
    faces: Faces
    part: NDArray[np.int64]


class Surface(NamedTuple):
    """A piece of the outside that has one paint and at most one label.

    Attributes:
        paint: name of the paint in the solid's file.
        label: kind of print on it (see `prints.KINDS`), None for none.
        size_m: how wide and how high the square of the texture coordinates lies on the object [m].
    """

    paint: str
    label: str | None
    size_m: tuple[float, float]


class Patch(NamedTuple):
    """A mesh of one surface: (V, 3) vertices and normals, (V, 2) uv, (F, 3) faces."""

    vertices: Array
    normals: Array
    uv: Array
    faces: Faces
    surface: Surface


def assemble(patches: Sequence[Patch]) -> tuple[Mesh, tuple[Surface, ...]]:
    """One mesh of several patches; patches with equal surfaces share a number."""
    surfaces = list(dict.fromkeys(patch.surface for patch in patches))
    meshes = [
        Mesh(*patch[:4], np.full(len(patch.vertices), surfaces.index(patch.surface), np.int64)) for patch in patches
    ]
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)]
    whole = Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate(faces).astype(np.int32),
        np.concatenate([mesh.part for mesh in meshes]),
    )
    return whole, tuple(surfaces)


def stretched(mesh: Mesh, scale: Array) -> Mesh:
    """The mesh with each axis stretched by (3,) `scale`."""
    normals = mesh.normals / scale
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return replace(mesh, vertices=mesh.vertices * scale, normals=normals)


def tidy(patch: Patch, longest_m: float = LONGEST_EDGE_M) -> Patch:
    """Faces turned outwards (as the normals say), those without area dropped, long edges halved."""
    corners = patch.vertices[patch.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = np.linalg.norm(across, axis=1) > 1e-12
    inwards = (across * patch.normals[patch.faces].sum(1)).sum(1) < 0
    faces = np.where(inwards[:, None], patch.faces[:, ::-1], patch.faces)[keep]
    return halved(patch._replace(faces=faces.astype(np.int32)), longest_m)


def halved(patch: Patch, longest_m: float) -> Patch:
    """Cut faces until no edge is longer; vertices that faces share stay shared."""
    while True:
        shorter = _halve(patch, longest_m)
        if shorter is patch:
            return patch
        patch = shorter


def _halve(patch: Patch, longest_m: float) -> Patch:
    """Put a vertex in the middle of each edge that is too long, and cut its faces there."""
    faces, count = patch.faces, len(patch.vertices)
    edges = np.stack([faces, faces[:, [1, 2, 0]]], -1).reshape(-1, 2)
    along = patch.vertices[edges[:, 0]] - patch.vertices[edges[:, 1]]
    long = np.flatnonzero((along * along).sum(1) > longest_m**2)
    if not len(long):
        return patch
    ends = np.sort(edges[long], 1).astype(np.int64)
    keys, number = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    cut = np.stack([keys // count, keys % count], 1)
    middle = np.full(len(edges), -1)
    middle[long] = count + number
    pieces = _cut(faces, middle.reshape(-1, 3))
    normals = patch.normals[cut].mean(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return patch._replace(
        vertices=np.concatenate([patch.vertices, patch.vertices[cut].mean(1)]),
        normals=np.concatenate([patch.normals, normals]),
        uv=np.concatenate([patch.uv, patch.uv[cut].mean(1)]),
        faces=pieces,
    )


def _cut(faces: Faces, mids: NDArray[np.integer]) -> Faces:
    """The pieces of faces (F, 3) whose edges k have vertices `mids[:, k]` in their middles (-1: none)."""
    cut = mids >= 0
    count = cut.sum(1)
    # turn each face so that its first edge is cut (with two cuts: the first and the second)
    turn = np.where((count == 2) & cut[:, 0] & ~cut[:, 1], 2, cut.argmax(1))
    order = (turn[:, None] + np.arange(3)) % 3
    corners, middles = np.take_along_axis(faces, order, 1), np.take_along_axis(mids, order, 1)
    pieces = [faces[count == 0]]
    for number, patterns in _PIECES.items():
        both = np.concatenate([corners[count == number], middles[count == number]], 1)
        pieces += [both[:, pattern] for pattern in patterns]
    return np.concatenate(pieces).astype(np.int32)


_PIECES = {
    1: ([0, 3, 2], [3, 1, 2]),
    2: ([3, 1, 4], [0, 3, 4], [0, 4, 2]),
    3: ([0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]),
}
"""By the number of edges cut: pieces of corners a, b, c (0, 1, 2) and middles of ab, bc, ca (3, 4, 5)."""


def grid_faces(bands: int, width: int, stride: int) -> Faces:
    """Faces of `bands` strips, each of two rows with `width` points, `stride` points apart."""
    k = np.arange(width - 1)
    quad = np.stack([k, k + 1, k + 1 + width, k + width], -1)
    strip = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    return (np.arange(bands)[:, None, None] * stride + strip).reshape(-1, 3).astype(np.int32)


def smooth_curve(points: Array, steps: int, *, closed: bool = False, mirror: Array | None = None) -> Array:
    """A curve through points (N, D), `steps` pieces between two of them (Catmull-Rom splines).

    Args:
        points: what it goes through.
        steps: pieces each; 1 gives the points themselves.
        closed: the last point is joined to the first.
        mirror: (D,) signs that reflect the curve at its ends, so that it meets an axis at a right angle.
    """
    if steps == 1:
        return points
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        sign = np.ones(points.shape[1]) if mirror is None else mirror
        ends = (2 * points[0] - points[1], 2 * points[-1] - points[-2]) if mirror is None else (points[1], points[-2])
        padded = np.concatenate([[ends[0] * sign], points, [ends[1] * sign]])
    t = np.linspace(0, 1, steps + 1)[:-1, None, None]
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    curve = start + 0.5 * t * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    curve = curve.transpose(1, 0, 2).reshape(-1, points.shape[1])
    return curve if closed else np.concatenate([curve, points[-1:]])
