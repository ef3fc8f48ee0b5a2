"""Signed distance to triangles, and shading normals of triangles: what imported meshes need."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.shapes.mesh import Faces, Patch, Surface, halved

Array = NDArray[np.floating]

_PIECES = 28
"""A body is measured with triangles whose edges are at most this share of its size."""
_CHUNK = 8192
_FEW, _MANY = 10, 96
_SMOOTH_COS = 0.75
_FLAT = 1e-14
"""Squared sine of a corner's angle below which a triangle is a line."""


@dataclass(frozen=True, eq=False)
class Fill:
    """Which cells of a grid are inside, for bodies whose triangles do not close.

    Attributes:
        inside: (n, n, n) bool.
        low_m: (3,) centre of the first cell.
        step_m: (3,) between centres.
    """

    inside: NDArray[np.bool_]
    low_m: Array
    step_m: Array

    def at(self, points_m: Array) -> NDArray[np.bool_]:
        """(N,) whether the cells of points (N, 3) are inside."""
        cell = np.round((points_m - self.low_m) / self.step_m).astype(int)
        within = ((cell >= 0) & (cell < np.array(self.inside.shape))).all(1)
        return within & self.inside[tuple(np.clip(cell, 0, np.array(self.inside.shape) - 1).T)]


@dataclass(frozen=True, eq=False)
class ConnectedSurface:
    """One connected surface.

    Attributes:
        vertices_m: (V, 3), each place once.
        faces: (F, 3), counter-clockwise from outside.
        fill: None where the surface is closed.
    """

    vertices_m: Array
    faces: Faces
    fill: Fill | None = None

    def distance(self, points_m: Array) -> Array:
        """Signed distance (N,) of points (N, 3), negative inside.

        Exact for closed bodies near them; further away than some ten times the pieces that they are cut into, off by
        less than 0.1 mm. Of bodies that are not closed the size is as exact, the sign that of `fill` beyond its cells.
        """
        parts = [self._chunk(points_m[k : k + _CHUNK]) for k in range(0, len(points_m), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    @cached_property
    def _pieces(self) -> tuple[Array, Faces]:
        surface = Surface("", None, (1.0, 1.0))
        nothing = np.zeros((len(self.vertices_m), 3))
        patch = Patch(self.vertices_m, nothing, nothing[:, :2], self.faces, surface)
        small = halved(patch, float(np.ptp(self.vertices_m, axis=0).max()) / _PIECES)
        return small.vertices, small.faces

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        vertices, faces = self._pieces
        return cKDTree(vertices[faces].mean(1))

    @cached_property
    def _reach_m(self) -> Array:
        """(F,) of each piece, from its middle to its farthest corner."""
        corners = self._pieces[0][self._pieces[1]]
        return np.linalg.norm(corners - corners.mean(1, keepdims=True), axis=2).max(1)

    @cached_property
    def _normals(self) -> tuple[Array, Array, Array]:
        """Normals of faces (F, 3), of their edges (F, 3, 3) and corners (F, 3, 3).

        The sign of the distance is that of the offset along the normal of the nearest face, edge or corner; the normal
        of a corner weighs faces by their angle (Baerentzen and Aanaes, 2005).
        """
        vertices, faces = self._pieces
        corners = vertices[faces]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-15)
        along, back = np.roll(corners, -1, 1) - corners, np.roll(corners, 1, 1) - corners
        cosine = (along * back).sum(2) / np.maximum(np.linalg.norm(along, axis=2) * np.linalg.norm(back, axis=2), 1e-15)
        angle = np.arccos(np.clip(cosine, -1, 1))
        at_corner = np.zeros_like(vertices)
        np.add.at(at_corner, faces.reshape(-1), (angle[..., None] * flat[:, None]).reshape(-1, 3))
        edges = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
        _, number = np.unique(edges, axis=0, return_inverse=True)
        at_edge = np.zeros((number.max() + 1, 3))
        np.add.at(at_edge, number.reshape(-1), np.repeat(flat, 3, 0))
        return flat, at_edge[number.reshape(-1, 3)], at_corner[faces]

    def _chunk(self, points: Array) -> Array:
        """Signed distance to the nearest of the pieces whose middles are nearest; of more where one could be nearer."""
        vertices, faces = self._pieces
        few, many = min(_FEW, len(faces)), min(_MANY, len(faces))
        away, index = (found.reshape(len(points), -1) for found in self._tree.query(points, few))
        place, weight = closest_points(points[:, None], vertices[faces[index]])
        reach = ((points[:, None] - place) ** 2).sum(-1)
        rows, best = np.arange(len(points)), reach.argmin(1)
        face, nearest, weight, place = (
            index[rows, best],
            np.sqrt(reach[rows, best]),
            weight[rows, best],
            place[rows, best],
        )
        # far away the pieces around the foot of the perpendicular are among the nearest few
        unsure = np.flatnonzero((away[:, -1] - self._reach_m.max() < nearest) & (nearest < 4 * self._reach_m.max()))
        if many > few and len(unsure):
            away, index = self._tree.query(points[unsure], many)
            row, column = np.nonzero(away - self._reach_m[index] < nearest[unsure, None])
            piece, row = index[row, column], unsure[row]
            closer, share = closest_points(points[row], vertices[faces[piece]])
            gap = np.linalg.norm(points[row] - closer, axis=1)
            order = np.lexsort((gap, row))
            first = order[np.unique(row[order], return_index=True)[1]]
            first = first[gap[first] < nearest[row[first]]]
            face[row[first]], nearest[row[first]] = piece[first], gap[first]
            weight[row[first]], place[row[first]] = share[first], closer[first]
        inside = ((points - place) * self._normal_at(face, weight)).sum(1) < 0
        if self.fill is not None:
            inside = np.where(nearest > np.linalg.norm(self.fill.step_m), self.fill.at(points), inside)
        return np.where(inside, -nearest, nearest)

    def _normal_at(self, face: NDArray[np.int64], weight: Array) -> Array:
        """Normals (N, 3) at barycentric places (N, 3) of faces (N,)."""
        flat, at_edge, at_corner = self._normals
        gone = weight < 1e-7
        number = gone.sum(1)
        opposite = (gone.argmax(1) + 1) % 3  # edge k runs from corner k to the next
        rows = np.arange(len(face))
        normal = np.where((number == 1)[:, None], at_edge[face][rows, opposite], flat[face])
        return np.where((number == 2)[:, None], at_corner[face][rows, weight.argmax(1)], normal)


def closest_points(points: Array, corners: Array) -> tuple[Array, Array]:
    """The nearest places (..., 3) of triangles (..., 3, 3) to points (..., 3), and their barycentric weights."""
    a, b, c = (corners[..., k, :] for k in range(3))
    ab, ac, bc, ap, bp = b - a, c - a, c - b, points - a, points - b
    aa, bb, cross, cc = (np.einsum("...i,...i", u, v) for u, v in ((ab, ab), (ac, ac), (ab, ac), (bc, bc)))
    pb, pc, pr = (np.einsum("...i,...i", u, v) for u, v in ((ap, ab), (ap, ac), (bp, bc)))
    pp = np.einsum("...i,...i", ap, ap)
    square = aa * bb - cross * cross
    area = np.maximum(square, 1e-30)
    v, w = (bb * pb - cross * pc) / area, (aa * pc - cross * pb) / area
    within = (v >= 0) & (w >= 0) & (v + w <= 1) & (square > _FLAT * aa * bb)
    zero = np.zeros_like(v)
    t, s, r = (np.clip(top / np.maximum(size, 1e-30), 0, 1) for top, size in ((pb, aa), (pc, bb), (pr, cc)))
    best_v, best_w, gap = np.where(within, v, 0), np.where(within, w, 0), np.where(within, -1.0, np.inf)
    for on_v, on_w in ((t, zero), (zero, s), (1 - r, r)):  # the three edges
        far = pp - 2 * (on_v * pb + on_w * pc) + on_v**2 * aa + 2 * on_v * on_w * cross + on_w**2 * bb
        nearer = far < gap
        best_v, best_w, gap = np.where(nearer, on_v, best_v), np.where(nearer, on_w, best_w), np.where(nearer, far, gap)
    place = a + best_v[..., None] * ab + best_w[..., None] * ac
    return place, np.stack([1 - best_v - best_w, best_v, best_w], -1)


def shaded(vertices: Array, faces: Faces) -> tuple[Array, Array, Faces]:
    """Split vertices along sharp edges: vertices (W, 3) and unit normals (W, 3), and the faces that use them."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = area / np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-20)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.argsort(faces.reshape(-1), kind="stable")
    vertex = faces.reshape(-1)[order]
    first = np.searchsorted(vertex, np.arange(len(vertices)))
    size = np.bincount(vertex, minlength=len(vertices))
    normals = np.zeros((len(owner), 3))
    for k in range(int(size.max())):  # the k-th face around each corner's vertex
        has = size[faces.reshape(-1)] > k
        other = owner[order[np.minimum(first[faces.reshape(-1)] + k, len(order) - 1)]]
        agrees = has & ((unit[other] * unit[owner]).sum(1) > _SMOOTH_COS)
        normals += np.where(agrees[:, None], area[other], 0)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    key = np.column_stack([faces.reshape(-1), np.round(normals * 200).astype(np.int64)])
    _, chosen, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return vertices[faces.reshape(-1)[chosen]], normals[chosen], number.reshape(-1, 3).astype(np.int32)


def winding(points: Array, vertices: Array, faces: Faces) -> Array:
    """How often a surface goes around each of points (N, 3), 1 inside (Jacobson et al., 2013)."""
    corners = vertices[faces]
    total = np.zeros(len(points))
    for k in range(0, len(points), 256):
        a, b, c = np.moveaxis(corners[None] - points[k : k + 256, None, None], 2, 0)
        la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
        solid = (a * np.cross(b, c)).sum(-1)
        below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        total[k : k + 256] = np.arctan2(solid, below).sum(-1) / (2 * np.pi)
    return total
