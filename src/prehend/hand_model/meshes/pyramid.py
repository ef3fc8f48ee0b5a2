"""A hand's mesh at several resolutions: what networks on meshes take their tables from (H2ONet, section 3.2).

Nothing here needs more than numpy; the pyramid itself is built where networks are trained, and travels in the weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput

Int = NDArray[np.int64]

NUM_PARTS = 6
"""Thumb, index, middle, ring, little finger, palm: what H2ONet tells the visibility of."""


@dataclass(frozen=True, eq=False)
class MeshPyramid:
    """Levels of a mesh, the coarsest first; the last one is the mesh itself.

    Attributes:
        spirals: for each level (V_k, L) the vertices that a convolution at each vertex reads, itself first.
        up_vertices, up_weights: for each level but the first (V_k, 3) vertices of the level before, and their weights,
            that stand for each of its vertices; the weights are at least 0 and sum to 1.
        kept: for each level (V_k,) which vertices of the mesh it consists of.
        parts: (V,) part of the hand that each vertex of the mesh belongs to, see `NUM_PARTS`.

    Raises:
        InvalidInput: shapes or numbers do not fit together.
    """

    spirals: tuple[Int, ...]
    up_vertices: tuple[Int, ...]
    up_weights: tuple[NDArray[np.float32], ...]
    kept: tuple[Int, ...]
    parts: Int

    def __post_init__(self) -> None:
        sizes, length = self.sizes, self.spirals[0].shape[1]
        if not len(self.kept) == len(sizes) == len(self.up_vertices) + 1 == len(self.up_weights) + 1:
            raise InvalidInput("a pyramid's tables are not of the same number of levels")
        for spiral, size in zip(self.spirals, sizes, strict=True):
            _check_table("spirals", spiral, (size, length), size)
        for k, size in enumerate(sizes[1:]):
            _check_table("up_vertices", self.up_vertices[k], (size, 3), sizes[k])
            check_shape("up_weights", self.up_weights[k], [size, 3])
            if self.up_weights[k].min() < 0 or np.abs(self.up_weights[k].sum(1) - 1).max() > 1e-5:
                raise InvalidInput("up_weights of a vertex are below 0 or do not sum to 1")
        for kept, size in zip(self.kept, sizes, strict=True):
            _check_table("kept", kept, (size,), sizes[-1])
        _check_table("parts", self.parts, (sizes[-1],), NUM_PARTS)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Vertices of each level."""
        return tuple(len(spiral) for spiral in self.spirals)


def halved_sizes(vertices: int, levels: int) -> tuple[int, ...]:
    """Vertices of each level, the coarsest first, each with half as many as the next, rounded up.

    MANO's 778 give H2ONet's 49, 98, 195, 389, 778.
    """
    return tuple(-(-vertices // 2**k) for k in reversed(range(levels)))


def spirals_of(vertices_m: NDArray[np.floating], faces: NDArray[np.integer], length: int) -> Int:
    """(V, length) spirals: the vertex, then its ring of neighbours in turn, then the ring around that, and so on.

    Rings run counter-clockwise seen from outside and begin at the nearest neighbour (Lim et al., ECCVW 2018, leave the
    start open; it has to be the same every time). Where the mesh ends early the vertex itself fills up.

    Args:
        vertices_m: (V, 3) places, which decide the starts alone.
        faces: (F, 3) counter-clockwise from outside.
        length: of a spiral.
    """
    rings = _rings(vertices_m, faces)
    spirals = np.repeat(np.arange(len(vertices_m))[:, None], length, 1)
    for vertex in range(len(vertices_m)):
        walk = _walk(vertex, rings, length)
        spirals[vertex, : len(walk)] = walk
    return spirals


def _walk(vertex: int, rings: list[list[int]], length: int) -> list[int]:
    walk, ring = [vertex], [vertex]
    seen = {vertex}
    while ring and len(walk) < length:
        following = []
        for member in ring:
            turned = _from_last_seen(rings[member], seen)
            fresh = [other for other in turned if other not in seen]
            following += fresh
            seen.update(fresh)
        walk += following
        ring = following
    return walk[:length]


def _from_last_seen(ring: list[int], seen: set[int]) -> list[int]:
    """A ring turned so that what is new in it comes in one run: right after one that was seen already."""
    for k, member in enumerate(ring):
        if member not in seen and ring[k - 1] in seen:
            return ring[k:] + ring[:k]
    return ring


def _rings(vertices_m: NDArray[np.floating], faces: NDArray[np.integer]) -> list[list[int]]:
    """The neighbours of each vertex, counter-clockwise; at a border from its first edge on, else from the nearest."""
    follows: list[dict[int, int]] = [{} for _ in vertices_m]
    for face in np.asarray(faces).tolist():
        for k in range(3):
            follows[face[k]][face[(k + 1) % 3]] = face[(k + 2) % 3]
    return [_ring(vertex, after, vertices_m) for vertex, after in enumerate(follows)]


def _ring(vertex: int, after: dict[int, int], vertices_m: NDArray[np.floating]) -> list[int]:
    if not after:
        return []
    far = np.linalg.norm(vertices_m - vertices_m[vertex], axis=1)
    beginnings = sorted(after.keys() - set(after.values()), key=lambda other: (far[other], other))
    ring: list[int] = []
    for start in beginnings or [min(after, key=lambda other: (far[other], other))]:
        ring += _chain(start, after, set(ring))
    return ring


def _chain(start: int, after: dict[int, int], done: Iterable[int]) -> list[int]:
    chain, seen = [], set(done)
    at: int | None = start
    while at is not None and at not in seen:
        chain.append(at)
        seen.add(at)
        at = after.get(at)
    return chain


def _check_table(name: str, table: Int, shape: tuple[int, ...], below: int) -> None:
    check_shape(name, table, list(shape))
    if table.min() < 0 or table.max() >= below:
        raise InvalidInput(f"{name} of a pyramid point outside of its {below} rows")
