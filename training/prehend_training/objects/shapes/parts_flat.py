"""Parts with flat sides: boxes and blocks with holes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.shapes.mesh import Patch, Surface, grid_faces
from prehend_training.objects.shapes.parts import Part

Array = NDArray[np.floating]

_ROUND_STEPS, _HOLE_SEGMENTS = 3, 16


@dataclass(frozen=True, eq=False)
class RoundedBox(Part):
    """`size_m` along x, y, z with edges rounded by `radius_m`.

    `faces` may give the pairs of sides across x, y or z a paint or a label of their own.
    """

    size_m: Array
    radius_m: float
    faces: Mapping[str, Mapping[str, Any]]
    kind: ClassVar[str] = "box"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        size = np.asarray(entry["size_m"], np.float64)
        return {"size_m": size, "radius_m": float(entry.get("radius_m", 0.0)), "faces": entry.get("faces", {})}

    def suits(self, scale: Array) -> bool:
        """Boxes stay boxes; only their rounding is not stretched."""
        return True

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact."""
        radius = self.radius_m * float(scale.min())
        excess = np.abs(points_m) - (self.size_m / 2 * scale - radius)
        return np.sqrt((np.maximum(excess, 0) ** 2).sum(-1)) + np.minimum(excess.max(-1), 0) - radius

    def patches(self) -> list[Patch]:
        """Six sides; those of a pair share a surface."""
        return [self._side(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)]

    def _side(self, axis: int, sign: float) -> Patch:
        normal = np.eye(3)[axis] * sign
        up = np.eye(3)[2 if axis != 2 else 1]
        right = np.cross(up, normal)
        half = self.size_m / 2
        width, height = np.abs(right) @ half, np.abs(up) @ half
        across, down = _rounded_steps(float(width), self.radius_m), _rounded_steps(float(height), self.radius_m)
        grid = across[None, :, None] * right - down[:, None, None] * up + normal * half
        cube = grid.reshape(-1, 3)
        inner = np.clip(cube, -(half - self.radius_m), half - self.radius_m)
        out = cube - inner
        length = np.linalg.norm(out, axis=1, keepdims=True)
        normals = np.where(length > 1e-9, out / np.maximum(length, 1e-9), normal)
        vertices = inner + self.radius_m * normals if self.radius_m else cube
        u, v = np.meshgrid((across / width + 1) / 2, (down / height + 1) / 2)
        own = self.faces.get("xyz"[axis], {})
        surface = Surface(
            str(own.get("paint", self.paint)), own.get("label", self.label), (2 * float(width), 2 * float(height))
        )
        faces = grid_faces(len(down) - 1, len(across), len(across))
        return Patch(vertices, normals, np.stack([u, v], -1).reshape(-1, 2), faces, surface)


def _rounded_steps(half: float, radius: float) -> Array:
    """Places along a side that the rounded edges need, from -half to half."""
    if radius == 0:
        return np.array([-half, half])
    # steps of equal angle once they are drawn onto the round
    edge = half - radius + radius * np.tan(np.linspace(0, np.pi / 4, _ROUND_STEPS))
    return np.unique(np.round(np.concatenate([-edge, edge]), 9))


@dataclass(frozen=True, eq=False)
class Rack(Part):
    """A block of `size_m` with `holes` (along x, along y) of `hole_radius_m`, `depth_m` deep from its top."""

    size_m: Array
    holes: tuple[int, int]
    hole_radius_m: float
    depth_m: float
    kind: ClassVar[str] = "rack"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        size = np.asarray(entry["size_m"], np.float64)
        holes = (int(entry["holes"][0]), int(entry["holes"][1]))
        return {
            "size_m": size,
            "holes": holes,
            "hole_radius_m": float(entry["hole_radius_m"]),
            "depth_m": float(entry["depth_m"]),
        }

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact outside of the holes' rims, too small a little near them; filled holes do not count."""
        k = float(scale[0])
        half = self.size_m / 2 * k
        excess = np.abs(points_m) - half
        block = np.sqrt((np.maximum(excess, 0) ** 2).sum(-1)) + np.minimum(excess.max(-1), 0)
        if filled:
            return block
        pitch, last = self._pitch() * k, (np.array(self.holes) - 1) / 2
        cell = np.clip(np.round(points_m[..., :2] / pitch + last), 0, 2 * last) - last
        aside = np.linalg.norm(points_m[..., :2] - cell * pitch, axis=-1) - self.hole_radius_m * k
        below = half[2] - self.depth_m * k - points_m[..., 2]
        outside = np.hypot(np.maximum(aside, 0), np.maximum(below, 0))
        hole = outside + np.minimum(np.maximum(aside, below), 0)
        return np.maximum(block, -hole)

    def patches(self) -> list[Patch]:
        """A block whose top has holes."""
        plain = RoundedBox(np.eye(3), np.zeros(3), np.ones(3), self.paint, self.label, self.size_m, 0.0, {})
        sides = [self._wall(patch) for patch in plain.patches() if abs(patch.normals[0, 2]) < 0.5]
        floor = [patch for patch in plain.patches() if patch.normals[0, 2] < -0.5]
        return sides + floor + [self._hole(i, j) for i in range(self.holes[0]) for j in range(self.holes[1])]

    def _wall(self, side: Patch) -> Patch:
        """A side with a corner wherever the cells of the top have one: no vertex lies on an edge of a neighbour."""
        count = self.holes[1 if abs(side.normals[0, 0]) > 0.5 else 0]
        steps = (np.tan(np.linspace(-np.pi / 4, np.pi / 4, _HOLE_SEGMENTS // 4 + 1)) + 1) / 2
        share = np.append((np.arange(count)[:, None] + steps[:-1]).reshape(-1), count)[:, None] / count
        left, right, below, beyond = np.concatenate([side.vertices, side.uv], 1)
        ring = np.concatenate([[below, beyond], right + share * (left - right)])
        fan = np.arange(1, len(ring) - 1)
        faces = np.stack([0 * fan, fan, fan + 1], 1).astype(np.int32)
        return Patch(ring[:, :3], np.repeat(side.normals[:1], len(ring), 0), ring[:, 3:], faces, side.surface)

    def _pitch(self) -> Array:
        return self.size_m[:2] / np.array(self.holes)

    def _hole(self, i: int, j: int) -> Patch:
        """One cell of the top: from its square edge to the hole, down its wall, and its floor."""
        pitch, top = self._pitch(), float(self.size_m[2]) / 2
        centre = (np.array([i, j]) - (np.array(self.holes) - 1) / 2) * pitch
        angle = np.linspace(0, 2 * np.pi, _HOLE_SEGMENTS + 1) + np.pi / 4
        turn = np.stack([np.cos(angle), np.sin(angle)], -1)
        square = turn / np.abs(turn).max(1, keepdims=True) * pitch / 2
        circle = turn * self.hole_radius_m
        floor, up = top - self.depth_m, np.array([0, 0, 1.0])
        inwards = np.concatenate([-turn, np.zeros((len(turn), 1))], 1)
        rows = [
            (square, top, up),
            (circle, top, up),
            (circle, top, inwards),
            (circle, floor, inwards),
            (circle, floor, up),
            (0 * circle, floor, up),
        ]
        width = len(turn)
        vertices = np.concatenate([np.concatenate([xy + centre, np.full((width, 1), z)], 1) for xy, z, _ in rows])
        normals = np.concatenate([np.broadcast_to(normal, (width, 3)) for *_, normal in rows])
        uv = vertices[:, :2] / self.size_m[:2] + 0.5
        surface = self.surface((self.size_m[0], self.size_m[1]))
        return Patch(vertices, normals, uv, grid_faces(3, width, 2 * width), surface)
