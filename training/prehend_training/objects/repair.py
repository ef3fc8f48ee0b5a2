"""From triangles as files have them to bodies that have an inside."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError
from prehend_training.objects.shapes.triangles import ConnectedSurface, Fill, winding

Array = NDArray[np.floating]
Index = NDArray[np.int64]

logger = logging.getLogger(__name__)

_SAME_PLACE = 1e-6
"""Vertices that are nearer to each other than this share of the size are one."""
_MOST_BODIES = 24
_FILL_CELLS = 36
_FILL_FACES = 3000
_LEAST_VOLUME_M3 = 2e-8


@dataclass(frozen=True, eq=False)
class Shape:
    """Triangles: vertices (V, 3), faces (F, 3), and colours of the faces (F, 3) uint8 or None."""

    vertices: Array
    faces: Index
    colours: NDArray[np.uint8] | None

    @classmethod
    def joined(cls, pieces: Sequence["Shape"]) -> "Shape":
        """Several shapes as one; those without a colour are grey if others have one."""
        offsets = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
        colours = None
        if any(piece.colours is not None for piece in pieces):
            grey = [np.full((len(piece.faces), 3), 150, np.uint8) for piece in pieces]
            colours = np.concatenate(
                [other if piece.colours is None else piece.colours for piece, other in zip(pieces, grey, strict=True)]
            )
        faces = [piece.faces + offset for piece, offset in zip(pieces, offsets[:-1], strict=True)]
        return cls(np.concatenate([piece.vertices for piece in pieces]), np.concatenate(faces), colours)

    def scaled(self, factor: float) -> "Shape":
        """All lengths times a factor."""
        return replace(self, vertices=np.asarray(self.vertices, np.float64) * factor)

    def moved(self, offset: Array) -> "Shape":
        """All vertices shifted by (3,)."""
        return replace(self, vertices=self.vertices + offset)

    def nearest(self, places: Array) -> Index:
        """(N,) numbers of the faces whose middles are nearest to places (N, 3)."""
        from scipy.spatial import cKDTree

        return cKDTree(self.vertices[self.faces].mean(1)).query(places)[1]

    def merged(self) -> "Shape":
        """Each place once, and no faces without area or twice."""
        step = _SAME_PLACE * float(np.ptp(self.vertices, axis=0).max())
        _, first, number = np.unique(
            np.round(self.vertices / step).astype(np.int64), axis=0, return_index=True, return_inverse=True
        )
        faces = number.reshape(-1)[self.faces]
        whole = np.flatnonzero((faces != np.roll(faces, 1, axis=1)).all(1))
        _, once = np.unique(np.sort(faces[whole], 1), axis=0, return_index=True)
        kept = whole[np.sort(once)]
        return Shape(self.vertices[first], faces[kept], None if self.colours is None else self.colours[kept])


def bodies_of(path: Path, shape: Shape) -> list[ConnectedSurface]:
    """The connected pieces of a shape in metres, turned outwards and closed where that can be done.

    Raises:
        AssetError: nothing in it has an inside.
    """
    import trimesh

    merged = shape.merged()
    mesh = trimesh.Trimesh(merged.vertices, merged.faces, process=False)
    pieces = list(mesh.split(only_watertight=False, repair=False))
    if len(pieces) > _MOST_BODIES:
        pieces.sort(key=lambda piece: -piece.area)
        kept = sum(piece.area for piece in pieces[:_MOST_BODIES]) / mesh.area
        if kept > 0.98:
            pieces = pieces[:_MOST_BODIES]
            logger.warning("%s: only the %d largest of its loose pieces are kept", path.name, _MOST_BODIES)
        else:
            pieces = [mesh]
    bodies = [body for body in (_body(path, piece) for piece in pieces) if body is not None]
    if not bodies:
        raise AssetError(f"mesh {path} has no inside: it is flat or made of loose triangles")
    return bodies


def _body(path: Path, mesh: Any) -> ConnectedSurface | None:
    """One piece; None where it has no inside."""
    if not mesh.is_winding_consistent:
        mesh.fix_normals(multibody=False)
    vertices, faces, widest = _lidded(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
    corners = vertices[faces]
    volume = float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)
    if _closed(faces):
        if abs(volume) < _LEAST_VOLUME_M3:
            return None
        if widest > 0:
            logger.warning("%s: is not watertight; holes up to %.0f mm wide are closed", path.name, 1000 * widest)
        if volume < 0:
            logger.warning("%s: its faces looked inwards and are turned", path.name)
            faces = faces[:, ::-1]
        return ConnectedSurface(vertices, faces.astype(np.int32))
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    fill = _fill(vertices, faces)
    if fill is None:
        return None
    turned = fill[1] < 0
    logger.warning("%s: is not watertight and cannot be closed; its inside is told by winding numbers", path.name)
    return ConnectedSurface(vertices, (faces[:, ::-1] if turned else faces).astype(np.int32), fill[0])


def _closed(faces: Index) -> bool:
    """Whether each edge has two faces, in opposite directions."""
    edges = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    code = edges[:, 0] * (faces.max() + 1) + edges[:, 1]
    back = edges[:, 1] * (faces.max() + 1) + edges[:, 0]
    return len(np.unique(code)) == len(code) and bool(np.isin(code, back).all())


def _lidded(vertices: Array, faces: Index) -> tuple[Array, Index, float]:
    """Holes closed by fans around their middles, and how wide the widest was [m]."""
    edges = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    have = {(int(a), int(b)) for a, b in edges}
    following = {b: a for a, b in have if (b, a) not in have}  # along the hole, against the faces
    new_vertices, new_faces, widest = [vertices], [faces], 0.0
    count = len(vertices)
    while following:
        start, step = following.popitem()
        loop = [start]
        while step != start and step in following:
            loop.append(step)
            step = following.pop(step)
        if step != start or len(loop) < 3:
            continue
        ring = np.array(loop)
        rim = vertices[ring]
        widest = max(widest, float(np.linalg.norm(rim - rim.mean(0), axis=1).max() * 2))
        new_vertices.append(rim.mean(0, keepdims=True))
        new_faces.append(np.stack([ring, np.roll(ring, -1), np.full(len(ring), count)], 1))
        count += 1
    return np.concatenate(new_vertices), np.concatenate(new_faces), widest


def _fill(vertices: Array, faces: Index) -> tuple[Fill, float] | None:
    """Cells that the surface goes around, and the sense in which it does; None where it goes around none."""
    if len(faces) > _FILL_FACES:
        import fast_simplification

        small = fast_simplification.simplify(
            vertices.astype(np.float32), faces.astype(np.int32), 1 - _FILL_FACES / len(faces)
        )
        vertices, faces = small[0].astype(np.float64), small[1].astype(np.int64)
    low, size = vertices.min(0), np.ptp(vertices, axis=0)
    step = np.maximum(size, 1e-3) / (_FILL_CELLS - 1)
    cells = low + np.moveaxis(np.indices((_FILL_CELLS,) * 3), 0, -1).reshape(-1, 3) * step
    around = winding(cells, vertices, faces.astype(np.int32))
    sense = float(np.sign(around[np.abs(around).argmax()]))
    inside = (sense * around > 0.5).reshape((_FILL_CELLS,) * 3)
    if inside.sum() * step.prod() < _LEAST_VOLUME_M3:
        return None
    return Fill(inside, low, step), sense
