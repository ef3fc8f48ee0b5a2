"""Plates cut along an outline, and the plane geometry that they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.shapes.mesh import Faces, Patch, Surface, grid_faces, smooth_curve
from prehend_training.objects.shapes.parts import Part

Array = NDArray[np.floating]

_ROUND_STEPS = 3
_SMOOTH_COS = 0.75
"""Edges that meet at a flatter angle than this are shaded as one round."""


@dataclass(frozen=True, eq=False)
class Extrusion(Part):
    """A plate in the xy plane, `height_m` thick along z around 0, cut along an outline.

    `outline_m` (N, 2) runs counter-clockwise; `radius_m` rounds the rims above and below.
    """

    outline_m: Array
    height_m: float
    radius_m: float
    kind: ClassVar[str] = "extrusion"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        outline = smooth_curve(np.asarray(entry["outline_m"], np.float64), int(entry.get("smooth", 1)), closed=True)
        return {
            "outline_m": outline if signed_area(outline) > 0 else outline[::-1],
            "height_m": float(entry["height_m"]),
            "radius_m": float(entry.get("radius_m", 0.0)),
        }

    def suits(self, scale: Array) -> bool:
        """Plates stay plates; only the rounding of their rims is not stretched."""
        return True

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact without rounding; with it the rims are exact along straight edges."""
        radius = self.radius_m * float(scale.min())
        flat = outline_distance(self.outline_m * scale[:2], points_m[..., :2]) + radius
        above = np.abs(points_m[..., 2]) - self.height_m / 2 * scale[2] + radius
        outside = np.hypot(np.maximum(flat, 0), np.maximum(above, 0))
        return outside + np.minimum(np.maximum(flat, above), 0) - radius

    def patches(self) -> list[Patch]:
        """A band around the outline, with the label, a lid above and one below."""
        size, low = np.ptp(self.outline_m, axis=0), self.outline_m.min(0)
        surface = Surface(self.paint, None, (round(float(size[0]), 4), round(float(size[1]), 4)))
        lid = inset(self.outline_m, self.radius_m)
        triangles = triangulate(lid)
        patches = [self._rim()]
        for sign in (-1.0, 1.0):
            vertices = np.concatenate([lid, np.full((len(lid), 1), sign * self.height_m / 2)], 1)
            u, v = ((lid - low) / size).T
            uv = np.stack([u if sign > 0 else 1 - u, 1 - v], 1)
            patches.append(Patch(vertices, np.tile([0, 0, sign], (len(lid), 1)), uv, triangles, surface))
        return patches

    def _rim(self) -> Patch:
        """Rings from below to above; each edge has two points of its own in a ring."""
        starts, ends = edge_normals(self.outline_m)
        steps = np.linalg.norm(np.roll(self.outline_m, -1, 0) - self.outline_m, axis=1)
        along = np.cumsum(steps) - steps
        u = np.stack([along, along + steps], 1).reshape(-1) / steps.sum()
        vertices, normals, uv = [], [], []
        for ring, z, angle in self._rings():
            pairs = np.stack([ring, np.roll(ring, -1, 0)], 1).reshape(-1, 2)
            flat = np.stack([starts, ends], 1).reshape(-1, 2)
            vertices.append(np.concatenate([pairs, np.full((len(pairs), 1), z)], 1))
            normals.append(np.concatenate([flat * np.cos(angle), np.full((len(pairs), 1), np.sin(angle))], 1))
            uv.append(np.stack([u, np.full(len(u), 0.5 - z / self.height_m)], 1))
        width = 2 * len(self.outline_m)
        faces = grid_faces(len(vertices) - 1, width, width).reshape(len(vertices) - 1, 2, width - 1, 3)
        own = faces[:, :, ::2]  # between the points of one edge, not from edge to edge
        surface = self.surface((steps.sum(), self.height_m))
        return Patch(np.concatenate(vertices), np.concatenate(normals), np.concatenate(uv), own.reshape(-1, 3), surface)

    def _rings(self) -> list[tuple[Array, float, float]]:
        """(outline, height, angle of the normal above the plane) of each ring."""
        half, radius = self.height_m / 2, self.radius_m
        if not radius:
            return [(self.outline_m, -half, 0.0), (self.outline_m, half, 0.0)]
        upper = [
            (inset(self.outline_m, radius * (1 - np.cos(angle))), half - radius * (1 - np.sin(angle)), angle)
            for angle in np.linspace(0, np.pi / 2, _ROUND_STEPS)
        ]
        return [(ring, -z, -angle) for ring, z, angle in upper[::-1]] + upper


def signed_area(outline: Array) -> float:
    """Area inside an outline (N, 2), positive where it runs counter-clockwise."""
    x, y = outline.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def outline_distance(outline: Array, points: Array) -> Array:
    """Exact signed distance (...) of points (..., 2) to a closed outline (N, 2), negative inside."""
    closed = np.concatenate([outline, outline[:1]])
    x, y = points[..., 0], points[..., 1]
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in pairwise(closed):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        nearest = np.minimum(nearest, (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2)
        if y0 != y1:  # parity of crossings of a ray towards larger x
            inside ^= ((y >= y0) != (y >= y1)) & (x < x0 + (y - y0) * (dx / dy))
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)


def edge_normals(outline: Array) -> tuple[Array, Array]:
    """Outward normals (N, 2) at the start and the end of each edge of a counter-clockwise outline."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.stack([edge[:, 1], -edge[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    before = np.roll(normal, 1, 0)
    shared = normal + before
    shared /= np.maximum(np.linalg.norm(shared, axis=1, keepdims=True), 1e-9)
    starts = np.where((normal * before).sum(1, keepdims=True) > _SMOOTH_COS, shared, normal)
    after = np.roll(normal, -1, 0)
    smooth_end = (normal * after).sum(1, keepdims=True) > _SMOOTH_COS
    return starts, np.where(smooth_end, np.roll(shared, -1, 0), normal)


def inset(outline: Array, distance: float) -> Array:
    """The outline moved inwards; sharp corners move further, up to twice as far."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    before = np.roll(normal, 1, 0)
    both = normal + before
    return outline + distance * both / np.maximum((both * normal).sum(1, keepdims=True), 0.5)


def triangulate(outline: Array) -> Faces:
    """Faces (N - 2, 3) of the inside of a simple counter-clockwise outline: ears are cut off, the roundest first."""
    left = list(range(len(outline)))
    faces = []
    while len(left) > 3:
        k = int(_ear_qualities(outline[left]).argmax())
        faces.append(np.array([left[k - 1], left[k], left[(k + 1) % len(left)]]))
        del left[k]
    faces.append(np.array(left))
    return np.array(faces, np.int32)


def _ear_qualities(ring: Array) -> Array:
    """(N,) how round the triangles at the corners of an outline (N, 2) are; below 0 where they are no ears."""
    count = len(ring)
    rows = (np.arange(count)[:, None] + np.array([-1, 0, 1])) % count
    corners = ring[rows]
    along = corners[:, [1, 2, 0]] - corners
    offset = ring - corners[:, :, None]
    sides = along[:, :, None, 0] * offset[..., 1] - along[:, :, None, 1] * offset[..., 0]
    inside = (sides >= 0).all(1)
    np.put_along_axis(inside, rows, False, 1)
    area = along[:, 1, 1] * along[:, 0, 0] - along[:, 1, 0] * along[:, 0, 1]
    return np.where((area <= 0) | inside.any(1), -1.0, area / (along**2).sum(2).max(1))
