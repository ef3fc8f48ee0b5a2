"""Simple solids to hold: read from the object catalogue, drawn as meshes, felt through their signed distance."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from prehend.errors import AssetError

Array = NDArray[np.floating]

CATALOGUE = Path(__file__).resolve().parents[3] / "config" / "objects"
_SEGMENTS = 28


@dataclass(frozen=True)
class Mesh:
    """Triangles with what the renderer needs of them.

    Attributes:
        vertices, normals: (V, 3) [m], unit vectors outwards.
        uv: (V, 2) texture coordinates, one unit a side.
        faces: (F, 3) int32.
        part: (V,) int, running number of the piece of the solid (parts may have colours of their own).
    """

    vertices: Array
    normals: Array
    uv: Array
    faces: NDArray[np.int32]
    part: NDArray[np.int64]


@dataclass(frozen=True)
class Solid:
    """A rigid thing of the catalogue, possibly stretched.

    Attributes:
        object_id, name: as in the catalogue.
        extents_m, center_m: (3,) axis-aligned box in the object frame.
        parts: as in the file.
        scale: (3,) stretch of the catalogue's size; x and y are stretched alike where a part is round.
    """

    object_id: str
    name: str
    extents_m: Array
    center_m: Array
    parts: tuple[dict[str, Any], ...]
    scale: Array

    @property
    def is_round(self) -> bool:
        """Whether the body is turned about z."""
        return self.parts[0]["kind"] == "revolve"

    def stretched(self, scale: Array) -> "Solid":
        """The solid with each axis stretched by (3,) `scale`."""
        scale = np.asarray(scale, np.float64)
        return replace(self, extents_m=self.extents_m * scale, center_m=self.center_m * scale, scale=self.scale * scale)

    def distance(self, points_m: Array) -> Array:
        """Signed distance (...) [m] of points (..., 3) in the object frame, negative inside (hollows count as inside).

        Stretched solids are measured at their stretched size, exact for boxes and turned bodies.
        """
        pieces = [_PART_DISTANCE[part["kind"]](part, self.scale, points_m) for part in self.parts]
        return np.minimum.reduce(pieces)

    def mesh(self) -> Mesh:
        """The surface, stretched."""
        of_catalogue = self.parts is catalogue()[self.object_id].parts
        mesh = _unit_mesh(self.object_id) if of_catalogue else _parts_mesh(self.parts)
        return _stretch(mesh, self.scale)


def read_solid(path: Path) -> Solid:
    """Read one file of the catalogue.

    Raises:
        AssetError: keys are missing or a part is of an unknown kind.
    """
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    missing = {"id", "name", "extents_m", "center_m", "symmetry", "parts"} - set(entry)
    if missing:
        raise AssetError(f"{path.name} has no {', '.join(sorted(missing))}")
    unknown = {part["kind"] for part in entry["parts"]} - set(_PART_DISTANCE)
    if unknown:
        raise AssetError(f"{path.name} has parts of unknown kind {', '.join(sorted(unknown))}")
    return Solid(
        entry["id"],
        entry["name"],
        np.asarray(entry["extents_m"], np.float64),
        np.asarray(entry["center_m"], np.float64),
        tuple(entry["parts"]),
        np.ones(3),
    )


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Solid]:
    """All solids of `config/objects` by their id."""
    solids = [read_solid(path) for path in sorted(CATALOGUE.glob("*.yaml"))]
    return {solid.object_id: solid for solid in solids}


def random_bottle(rng: np.random.Generator) -> Solid:
    """A bottle, jar, vase or knob of a random turned form; it keeps the name and the symmetry of the catalogue's."""
    height, knots = rng.uniform(0.05, 0.26), int(rng.integers(3, 7))
    radii = np.exp(np.clip(rng.normal(np.log(0.026), 0.45, knots), np.log(0.006), np.log(0.048)))
    radii = np.convolve(np.pad(radii, 1, "edge"), [0.2, 0.6, 0.2], "valid")
    levels = np.linspace(-height / 2, height / 2, 13)
    smooth = np.interp(levels, np.linspace(levels[0], levels[-1], knots), radii)
    profile = np.vstack([[[0.0, levels[0]]], np.stack([smooth, levels], 1), [[0.0, levels[-1]]]])
    wide = 2 * float(smooth.max())
    part = {"kind": "revolve", "profile_m": profile.tolist()}
    return replace(catalogue()["bottle"], extents_m=np.array([wide, wide, height]), parts=(part,))


def _box_distance(part: dict[str, Any], scale: Array, points: Array) -> Array:
    excess = np.abs(points) - np.asarray(part["size_m"]) / 2 * scale
    outside = np.sqrt((np.maximum(excess, 0) ** 2).sum(-1))
    return outside + np.minimum(excess.max(-1), 0)


def _revolve_distance(part: dict[str, Any], scale: Array, points: Array) -> Array:
    """Distance to a polygon in (radius, height), its edge on the axis left out."""
    profile = _outer_profile(part) * scale[[0, 2]]
    radius, height = np.hypot(points[..., 0], points[..., 1]), points[..., 2]
    nearest = np.full(radius.shape, np.inf)
    inside = np.zeros(radius.shape, bool)
    for (r0, z0), (r1, z1) in pairwise(profile):
        dr, dz = r1 - r0, z1 - z0
        along = np.clip(((radius - r0) * dr + (height - z0) * dz) / (dr * dr + dz * dz), 0, 1)
        nearest = np.minimum(nearest, (radius - r0 - along * dr) ** 2 + (height - z0 - along * dz) ** 2)
        if z0 != z1:  # parity of crossings of a ray towards larger radii
            crossing = r0 + (height - z0) * (dr / dz)
            inside ^= ((height >= z0) != (height >= z1)) & (radius < crossing)
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)


def _handle_distance(part: dict[str, Any], scale: Array, points: Array) -> Array:
    """Distance to a polyline along the handle, less the tube's radius."""
    path = _handle_path(part, 8) * scale
    nearest = np.full(points.shape[:-1], np.inf)
    for a, b in pairwise(path):
        along = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        nearest = np.minimum(nearest, ((points - a - along[..., None] * (b - a)) ** 2).sum(-1))
    return np.sqrt(nearest) - part["tube_m"] * scale[1]


_PART_DISTANCE = {"box": _box_distance, "revolve": _revolve_distance, "handle": _handle_distance}


def _outer_profile(part: dict[str, Any]) -> Array:
    """(N, 2) profile; of a filled vessel only the outside up to its rim, closed by a lid."""
    profile = np.asarray(part["profile_m"], np.float64)
    if not part.get("filled"):
        return profile
    rim = int(profile[:, 1].argmax())
    return np.vstack([profile[: rim + 1], [[0.0, profile[rim, 1]]]])


def _handle_path(part: dict[str, Any], steps: int) -> Array:
    """(steps + 1, 3) centre line: half an ellipse in the xz plane that bulges towards +x."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, steps + 1)
    wide, high = part["radii_m"]
    centre = np.asarray(part["center_m"], np.float64)
    return centre + np.stack([wide * np.cos(angle), np.zeros_like(angle), high * np.sin(angle)], -1)


@lru_cache(maxsize=64)
def _unit_mesh(object_id: str) -> Mesh:
    return _parts_mesh(catalogue()[object_id].parts)


def _parts_mesh(parts: tuple[dict[str, Any], ...]) -> Mesh:
    return merge([_PART_MESH[part["kind"]](part) for part in parts])


def merge(meshes: list[Mesh]) -> Mesh:
    """One mesh of several; `part` counts them."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)]).astype(
            np.int32
        ),
        np.concatenate([np.full(len(mesh.vertices), k) for k, mesh in enumerate(meshes)]),
    )


def _stretch(mesh: Mesh, scale: Array) -> Mesh:
    normals = mesh.normals / scale
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return replace(mesh, vertices=mesh.vertices * scale, normals=normals)


def _box_mesh(part: dict[str, Any]) -> Mesh:
    half = np.asarray(part["size_m"], np.float64) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    vertices, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            face = np.empty((4, 3))
            face[:, axis] = sign
            face[:, [k for k in range(3) if k != axis]] = corners
            vertices.append(face * half)
            normals.append(np.tile(np.eye(3)[axis] * sign, (4, 1)))
    uv = np.tile((corners + 1) / 2, (6, 1))
    faces = (np.arange(6)[:, None, None] * 4 + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return Mesh(np.concatenate(vertices), np.concatenate(normals), uv, faces.astype(np.int32), np.zeros(24, np.int64))


def _revolve_mesh(part: dict[str, Any]) -> Mesh:
    """Turn each edge of the profile into a ring of quads with the edge's own normals (hard edges, smooth around)."""
    profile = np.asarray(part["profile_m"], np.float64)
    edge = np.diff(profile, axis=0)
    normal = np.stack([edge[:, 1], -edge[:, 0]], -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    start, end = normal.copy(), normal.copy()
    # gentle bends are shaded smooth, sharp ones stay edges
    for k in range(len(normal) - 1):
        if normal[k] @ normal[k + 1] > 0.75:
            shared = normal[k] + normal[k + 1]
            end[k] = start[k + 1] = shared / np.linalg.norm(shared)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(edge, axis=1))])
    length /= length[-1]
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS + 1)
    turn = np.stack([np.cos(angle), np.sin(angle)], -1)
    rings_rz = np.stack([profile[:-1], profile[1:]], 1).reshape(-1, 2)
    rings_n = np.stack([start, end], 1).reshape(-1, 2)
    rings_v = np.stack([length[:-1], length[1:]], 1).reshape(-1)
    vertices = np.concatenate(
        [rings_rz[:, None, :1] * turn, np.broadcast_to(rings_rz[:, None, 1:], (*rings_rz.shape[:1], len(angle), 1))], -1
    )
    normals = np.concatenate(
        [rings_n[:, None, :1] * turn, np.broadcast_to(rings_n[:, None, 1:], (*rings_n.shape[:1], len(angle), 1))], -1
    )
    uv = np.stack(np.broadcast_arrays(angle[None] / (2 * np.pi), rings_v[:, None]), -1)
    return Mesh(
        vertices.reshape(-1, 3),
        normals.reshape(-1, 3),
        uv.reshape(-1, 2),
        _grid_faces(len(edge), len(angle), 2 * len(angle)),
        np.zeros(len(rings_rz) * len(angle), np.int64),
    )


def _grid_faces(bands: int, width: int, stride: int) -> NDArray[np.int32]:
    """Faces of `bands` separate strips of two rows with `width` points each, `stride` points apart."""
    k = np.arange(width - 1)
    quad = np.stack([k, k + 1, k + 1 + width, k + width], -1)
    strip = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    return (np.arange(bands)[:, None, None] * stride + strip).reshape(-1, 3).astype(np.int32)


def _handle_mesh(part: dict[str, Any]) -> Mesh:
    path = _handle_path(part, 14)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.array([0.0, 1.0, 0.0])
    up = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, 11)
    normals = np.cos(angle)[None, :, None] * side + np.sin(angle)[None, :, None] * up[:, None]
    vertices = path[:, None] + part["tube_m"] * normals
    uv = np.stack(np.broadcast_arrays(np.linspace(0, 1, len(path))[:, None], angle[None] / (2 * np.pi)), -1)
    return Mesh(
        vertices.reshape(-1, 3),
        normals.reshape(-1, 3),
        uv.reshape(-1, 2),
        _grid_faces(len(path) - 1, len(angle), len(angle)),
        np.zeros(vertices[..., 0].size, np.int64),
    )


_PART_MESH = {"box": _box_mesh, "revolve": _revolve_mesh, "handle": _handle_mesh}
