"""The inside of a closed mesh, as voxels."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

VOXEL_M = 0.002


def inner_voxels(vertices: Array, faces: NDArray[np.integer], step_m: float = VOXEL_M) -> Array:
    """Middles (M, 3) of the voxels inside a mesh; holes (as that of a hand at its wrist) are closed by fans.

    Each face adds one to the winding number of the voxels above it where it looks down, and takes one where it looks
    up; voxels with a number above zero are inside, also where the mesh overlaps itself.

    Args:
        vertices: (V, 3) [m].
        faces: (F, 3), counter-clockwise from outside.
        step_m: size of a voxel.
    """
    vertices, faces = _capped(np.asarray(vertices, np.float64), faces)
    low = vertices.min(0) - step_m
    size = (np.ceil((vertices.max(0) - low) / step_m) + 2).astype(int)
    corners = (vertices[faces] - low) / step_m - 0.5  # voxel k has its middle at k
    column, height, sign = _crossings(corners)
    winding = np.zeros(size[0] * size[1] * (size[2] + 1), np.int32)
    level = np.clip(np.ceil(height), 0, size[2]).astype(int)
    flat = (column[:, 0] * size[1] + column[:, 1]) * (size[2] + 1) + level
    np.add.at(winding, flat, sign)
    inside = np.cumsum(winding.reshape(size[0], size[1], -1), 2) > 0
    return low + (np.argwhere(inside) + 0.5) * step_m


def _crossings(corners: Array) -> tuple[NDArray[np.int64], Array, NDArray[np.int32]]:
    """Where the middle lines of columns meet faces (F, 3, 3): columns (C, 2), heights (C,), 1 from below or -1 (C,)."""
    first = np.ceil(corners[..., :2].min(1) - 1e-9).astype(int)
    last = np.floor(corners[..., :2].max(1) + 1e-9).astype(int)
    span = np.maximum(last - first + 1, 0)
    count = span.prod(1)
    face = np.repeat(np.arange(len(corners)), count)
    number = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    wide = np.maximum(span[face, 1], 1)
    column = first[face] + np.stack([number // wide, number % wide], 1)
    a, b, c = (corners[face, k] for k in range(3))
    place = column + np.array([1.3e-6, 2.7e-6])  # no line goes through an edge
    area = _cross(b - a, c - a)
    share_b, share_c = _cross(place - a[:, :2], c - a) / _safe(area), _cross(b - a, place - a[:, :2]) / _safe(area)
    hit = (share_b >= 0) & (share_c >= 0) & (share_b + share_c <= 1) & (area != 0)
    height = a[:, 2] + share_b * (b - a)[:, 2] + share_c * (c - a)[:, 2]
    return column[hit], height[hit], np.where(area[hit] < 0, 1, -1).astype(np.int32)


def _cross(u: Array, v: Array) -> Array:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _safe(area: Array) -> Array:
    return np.where(area == 0, 1.0, area)


def _capped(vertices: Array, faces: NDArray[np.integer]) -> tuple[Array, NDArray[np.integer]]:
    """The mesh with a fan over all open edges together."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = len(vertices)
    there = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    back = edges[:, 1].astype(np.int64) * count + edges[:, 0]
    open_edges = edges[~np.isin(there, back)]
    if not len(open_edges):
        return vertices, faces
    centre = vertices[np.unique(open_edges)].mean(0)
    fan = np.column_stack([open_edges[:, 1], open_edges[:, 0], np.full(len(open_edges), count)])
    return np.vstack([vertices, centre]), np.concatenate([faces, fan])
