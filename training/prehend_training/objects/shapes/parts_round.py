"""Parts that are turned or bent: bodies turned about z, tubes along a line, rings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError
from prehend_training.objects.shapes.mesh import Patch, Surface, grid_faces, smooth_curve
from prehend_training.objects.shapes.parts import Part

Array = NDArray[np.floating]

_SEGMENTS, _TUBE_SEGMENTS = 28, 12
_SMOOTH_COS = 0.75
_BLOCK = 1024
_ON_AXIS = np.array([-1.0, 1.0])


class Zone(NamedTuple):
    """The outside of a turned body between two heights [m], with a paint and a label of its own."""

    low_m: float
    high_m: float
    paint: str
    label: str | None


@dataclass(frozen=True, eq=False)
class Revolve(Part):
    """A profile (radius, height) turned about z.

    The profile runs from the bottom of the axis around the outside to the top of the axis; in a `hollow` body it comes
    back along the inside to the floor. `smooth` pieces lie between two of its points.
    """

    profile_m: Array
    hollow: bool
    zones: tuple[Zone, ...]
    segments: int
    kind: ClassVar[str] = "revolve"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        points = np.asarray(entry["profile_m"], np.float64)
        profile = smooth_curve(points, int(entry.get("smooth", 1)), mirror=_ON_AXIS)
        profile[:, 0] = np.maximum(profile[:, 0], 0)
        paint = str(entry.get("paint", "body"))
        zones = tuple(
            Zone(float(zone["z_m"][0]), float(zone["z_m"][1]), str(zone.get("paint", paint)), zone.get("label"))
            for zone in entry.get("zones", ())
        )
        return {
            "profile_m": profile,
            "hollow": bool(entry.get("hollow", False)),
            "zones": zones,
            "segments": int(entry.get("segments", _SEGMENTS)),
        }

    def suits(self, scale: Array) -> bool:
        """Turned bodies stay so while x and y are stretched alike."""
        return bool(abs(scale[0] - scale[1]) < 1e-9)

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact: the distance to a polygon in (radius, height), its edge on the axis left out."""
        profile = (self._outside() if filled and self.hollow else self.profile_m) * scale[[0, 2]]
        return _in_blocks(partial(_to_polygon, profile), points_m)

    def _outside(self) -> Array:
        """Of a hollow body the profile up to its rim, closed by a lid."""
        rim = int(self.profile_m[:, 1].argmax())
        return np.vstack([self.profile_m[: rim + 1], [[0.0, self.profile_m[rim, 1]]]])

    def patches(self) -> list[Patch]:
        """Each edge of the profile becomes a ring of quads; the edges of a zone share a patch."""
        profile, zone = self._cut_profile()
        starts, ends = _profile_normals(profile)
        patches = []
        for number in np.unique(zone):
            rows = np.flatnonzero(zone == number)
            paint, label = (self.paint, self.label) if number < 0 else self.zones[number][2:]
            edges = np.stack([profile[rows], profile[rows + 1]], 1)
            patches.append(self._rings(edges, np.stack([starts[rows], ends[rows]], 1), paint, label))
        return patches

    def _cut_profile(self) -> tuple[Array, NDArray[np.int64]]:
        """Profile (N, 2) with points at the borders of zones, and the zone (N - 1,) of each edge, -1 for none."""
        levels = [level for zone in self.zones for level in zone[:2]]
        points = [self.profile_m[0]]
        for start, end in pairwise(self.profile_m):
            rise = end[1] - start[1]
            shares = sorted({(level - start[1]) / rise for level in levels}) if abs(rise) > 1e-9 else []
            points += [start + share * (end - start) for share in shares if 1e-6 < share < 1 - 1e-6]
            points.append(end)
        profile = np.array(points)
        outer = np.arange(len(profile) - 1) < (int(profile[:, 1].argmax()) if self.hollow else len(profile))
        middle = (profile[:-1, 1] + profile[1:, 1]) / 2
        number = np.full(len(profile) - 1, -1)
        for k, zone in enumerate(self.zones):
            number[outer & (middle >= zone.low_m - 1e-9) & (middle <= zone.high_m + 1e-9)] = k
        return profile, number

    def _rings(self, edges: Array, flat_normals: Array, paint: str, label: str | None) -> Patch:
        angle = np.linspace(0, 2 * np.pi, self.segments + 1)
        turn = np.stack([np.cos(angle), np.sin(angle)], -1)
        length = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
        v = 1 - np.stack([np.cumsum(length) - length, np.cumsum(length)], 1).reshape(-1) / length.sum()
        rows, flat = edges.reshape(-1, 2), flat_normals.reshape(-1, 2)
        vertices, normals = (
            np.concatenate([row[:, None, :1] * turn, np.repeat(row[:, None, 1:], len(angle), 1)], -1)
            for row in (rows, flat)
        )
        uv = np.stack(np.broadcast_arrays(angle[None] / (2 * np.pi), v[:, None]), -1)
        round_m = 2 * np.pi * float(rows[:, 0].max())
        return Patch(
            vertices.reshape(-1, 3),
            normals.reshape(-1, 3),
            uv.reshape(-1, 2),
            grid_faces(len(edges), len(angle), 2 * len(angle)),
            Surface(paint, label, (round(round_m, 4), round(float(length.sum()), 4))),
        )


def _in_blocks(measure: Callable[[Array], Array], points_m: Array) -> Array:
    """What `measure` makes of points (N, 3), for (..., 3), a few thousand at a time: it looks at all edges at once."""
    flat = np.asarray(points_m, np.float64).reshape(-1, 3)
    if len(flat) <= _BLOCK:
        return measure(flat).reshape(points_m.shape[:-1])
    blocks = [measure(flat[first : first + _BLOCK]) for first in range(0, len(flat), _BLOCK)]
    return np.concatenate(blocks).reshape(points_m.shape[:-1])


def _to_polygon(profile: Array, points_m: Array) -> Array:
    """Signed distance (N,) of points (N, 3) to a turned body of a profile (K, 2), its edge on the axis left out."""
    radius, height = np.hypot(points_m[:, 0], points_m[:, 1]), points_m[:, 2]
    start, step = profile[:-1, :, None], np.diff(profile, axis=0)[..., None]
    dr, dz = step[:, 0], step[:, 1]
    r, z = radius - start[:, 0], height - start[:, 1]
    along = np.clip((r * dr + z * dz) / (dr * dr + dz * dz), 0, 1)
    nearest = ((r - along * dr) ** 2 + (z - along * dz) ** 2).min(0)
    # parity of crossings of a ray towards larger radii
    above = height >= profile[:, 1:]
    crossed = (above[:-1] != above[1:]) & (r < z * (dr / np.where(dz == 0, 1.0, dz)))
    inside = np.logical_xor.reduce(crossed, 0)
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)


def _to_cones(path: Array, radii: Array, points_m: Array) -> Array:
    """Signed distance (N,) of points (N, 3) to a rod along a path (K, 3): the nearest of cones with round ends."""
    step = np.diff(path, axis=0)
    length = np.linalg.norm(step, axis=1)
    axis, slope = step / length[:, None], -np.diff(radii) / length
    along = axis @ points_m.T - (path[:-1] * axis).sum(1)[:, None]
    square = sum((points_m[:, k] - path[:-1, k : k + 1]) ** 2 for k in range(3))
    aside = np.sqrt(np.maximum(square - along**2, 0))
    # the nearest sphere is not the one at the foot of the perpendicular where the rod tapers
    share = along / length[:, None] - aside * (slope / np.sqrt(1 - slope**2) / length)[:, None]
    share = np.clip(share, 0, 1)
    reach = np.hypot(along - share * length[:, None], aside)
    return np.asarray((reach - (radii[:-1, None] + share * np.diff(radii)[:, None])).min(0))


def _profile_normals(profile: Array) -> tuple[Array, Array]:
    """Normals (N - 1, 2) at the start and end of each edge; gentle bends are shaded smooth, sharp ones stay edges."""
    edge = np.diff(profile, axis=0)
    normal = np.stack([edge[:, 1], -edge[:, 0]], -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    starts, ends = normal.copy(), normal.copy()
    for k in range(len(normal) - 1):
        if normal[k] @ normal[k + 1] > _SMOOTH_COS:
            shared = normal[k] + normal[k + 1]
            ends[k] = starts[k + 1] = shared / np.linalg.norm(shared)
    return starts, ends


@dataclass(frozen=True, eq=False)
class Tube(Part):
    """A round rod along a line, thicker here and thinner there, with round ends; `closed` ones have none.

    In a file the line is `path_m`, or `arc`: {center_m, radii_m: [a, b], from_deg, to_deg} in the xz plane.
    """

    path_m: Array
    radii_m: Array
    closed: bool
    segments: int
    kind: ClassVar[str] = "tube"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        closed = bool(entry.get("closed", False))
        path = _arc(entry["arc"]) if "arc" in entry else np.asarray(entry["path_m"], np.float64)
        radii = np.broadcast_to(np.asarray(entry["radius_m"], np.float64), (len(path),))
        both = smooth_curve(np.concatenate([path, radii[:, None]], 1), int(entry.get("smooth", 1)), closed=closed)
        steps, change = np.linalg.norm(np.diff(both[:, :3], axis=0), axis=1), np.abs(np.diff(both[:, 3]))
        if (change >= steps).any():
            raise AssetError("a tube's radius changes by more than the step along its line")
        segments = int(entry.get("segments", _TUBE_SEGMENTS))
        return {"path_m": both[:, :3], "radii_m": both[:, 3], "closed": closed, "segments": segments}

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact: the nearest of cones with round ends."""
        path, radii = self._rows()
        return _in_blocks(partial(_to_cones, path * scale, radii * scale[0]), points_m)

    def _rows(self) -> tuple[Array, Array]:
        if not self.closed:
            return self.path_m, self.radii_m
        return np.concatenate([self.path_m, self.path_m[:1]]), np.append(self.radii_m, self.radii_m[0])

    def patches(self) -> list[Patch]:
        """Rings of points around the line."""
        path, radii = self._rows()
        tangent = np.gradient(path, axis=0)
        if self.closed:
            tangent[0] = tangent[-1] = path[1] - path[-2]
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        side = _carried_side(tangent)
        up = np.cross(tangent, side)
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        lean = -np.arctan(np.gradient(radii, length))
        rows = [(k, 0.0, 1.0, float(lean[k])) for k in range(len(path))]
        if not self.closed:  # round ends: (row of the line, step along it and width in radii, angle of the normal)
            first = [(0, -np.sin(a), np.cos(a), -a) for a in (np.pi / 2, np.pi / 3, np.pi / 6)]
            last = [(len(path) - 1, np.sin(a), np.cos(a), a) for a in (np.pi / 6, np.pi / 3, np.pi / 2)]
            rows = first + rows + last
        k = np.array([row[0] for row in rows])
        ahead, wide, angle = (np.array([row[n] for row in rows])[:, None] for n in (1, 2, 3))
        turn = np.linspace(0, 2 * np.pi, self.segments + 1)
        flat = np.cos(turn)[None, :, None] * side[k, None] + np.sin(turn)[None, :, None] * up[k, None]
        centre = path[k] + ahead * radii[k, None] * tangent[k]
        vertices = centre[:, None] + (wide * radii[k, None])[..., None] * flat
        normals = np.cos(angle)[..., None] * flat + (np.sin(angle) * tangent[k])[:, None]
        v = (length[k] + ahead[:, 0] * radii[k] + radii[0]) / (length[-1] + radii[0] + radii[-1])
        uv = np.stack(np.broadcast_arrays(turn[None] / (2 * np.pi), 1 - v[:, None]), -1)
        surface = self.surface((2 * np.pi * radii.max(), length[-1]))
        faces = grid_faces(len(rows) - 1, len(turn), len(turn))
        return [Patch(vertices.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces, surface)]


def _arc(arc: Mapping[str, Any]) -> Array:
    """(N, 3) part of an ellipse in the xz plane, a point every 20 degrees or so."""
    start, end = np.deg2rad(float(arc["from_deg"])), np.deg2rad(float(arc["to_deg"]))
    full = abs(abs(end - start) - 2 * np.pi) < 1e-6
    count = max(3, int(np.ceil(abs(end - start) / np.deg2rad(15)))) + 1
    angle = np.linspace(start, end, count)[: -1 if full else None]
    x, z = (float(radius) for radius in arc["radii_m"])
    return np.asarray(arc["center_m"], np.float64) + np.stack(
        [x * np.cos(angle), np.zeros_like(angle), z * np.sin(angle)], -1
    )


def _carried_side(tangent: Array) -> Array:
    """(N, 3) unit vectors square to the line that turn no more than it does; along y where the line lies in xz."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(tangent[0, 1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    sides = []
    for along in tangent:
        helper = helper - (helper @ along) * along
        helper = helper / np.linalg.norm(helper)
        sides.append(helper)
    return np.array(sides)


@dataclass(frozen=True, eq=False)
class Torus(Part):
    """A ring in the xy plane: radius of its centre line `ring_m`, of its tube `tube_m`."""

    ring_m: float
    tube_m: float
    kind: ClassVar[str] = "torus"

    @classmethod
    def _shape_of(cls, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {"ring_m": float(entry["ring_m"]), "tube_m": float(entry["tube_m"])}

    def measure(self, points_m: Array, scale: Array, filled: bool) -> Array:
        """Exact."""
        radius = np.hypot(points_m[..., 0], points_m[..., 1]) - self.ring_m * scale[0]
        return np.hypot(radius, points_m[..., 2]) - self.tube_m * scale[0]

    def patches(self) -> list[Patch]:
        """A grid around both circles."""
        u, v = np.meshgrid(np.linspace(0, 2 * np.pi, _SEGMENTS + 1), np.linspace(0, 2 * np.pi, _TUBE_SEGMENTS + 1))
        normals = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], -1)
        centre = self.ring_m * np.stack([np.cos(u), np.sin(u), np.zeros_like(u)], -1)
        vertices = (centre + self.tube_m * normals).reshape(-1, 3)
        uv = np.stack([u, v], -1).reshape(-1, 2) / (2 * np.pi)
        surface = self.surface((2 * np.pi * self.ring_m, 2 * np.pi * self.tube_m))
        faces = grid_faces(_TUBE_SEGMENTS, _SEGMENTS + 1, _SEGMENTS + 1)
        return [Patch(vertices, normals.reshape(-1, 3), uv, faces, surface)]
