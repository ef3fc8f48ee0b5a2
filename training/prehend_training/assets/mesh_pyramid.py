"""The mesh pyramid of a hand: thinned out by quadric errors, every level a part of the one before."""

from bisect import bisect_left
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError, MissingDependency
from prehend.hand_model.asset import HandModel, load_hand_model
from prehend.hand_model.meshes.pyramid import Int, MeshPyramid, halved_sizes, spirals_of
from prehend_training.sample import PART_OF_JOINT

LEVELS = 5
"""Of H2ONet, which raises its vertices four times."""
SPIRAL = 9
"""Vertices of a spiral: about the vertex and its ring."""

_CANDIDATES = 32
"""Triangles whose middles are nearest to a point, among which is the one that carries it."""


@lru_cache(maxsize=1)
def own_pyramid() -> MeshPyramid:
    """The pyramid of the shipped hand, see `hand_pyramid`."""
    return hand_pyramid(load_hand_model())


def hand_pyramid(model: HandModel, levels: int = LEVELS, spiral: int = SPIRAL) -> MeshPyramid:
    """The pyramid of a hand, ours or a user's MANO: each level has half the vertices of the next.

    It comes out the same every time, and is kept with the weights that are trained on it.

    Args:
        model: the hand, without forearm.
        levels: how many.
        spiral: vertices of a spiral.

    Raises:
        MissingDependency: there is no `fast_simplification` or no `trimesh`.
        AssetError: the mesh cannot be thinned out to these sizes.
    """
    sizes = halved_sizes(model.num_vertices, levels)
    kept, faces = [np.arange(model.num_vertices)], [model.faces.astype(np.int64)]
    for size in sizes[-2::-1]:
        rows, coarse = thinned(model.v_template[kept[-1]], faces[-1], size)
        kept.append(kept[-1][rows])
        faces.append(coarse)
    kept, faces = kept[::-1], faces[::-1]
    places = [np.asarray(model.v_template[rows], np.float64) for rows in kept]
    raised = [carried_by(places[k + 1], places[k], faces[k]) for k in range(levels - 1)]
    return MeshPyramid(
        spirals=tuple(spirals_of(at, triangles, spiral) for at, triangles in zip(places, faces, strict=True)),
        up_vertices=tuple(vertices for vertices, _ in raised),
        up_weights=tuple(weights for _, weights in raised),
        kept=tuple(kept),
        parts=np.array(PART_OF_JOINT)[model.weights.argmax(1)],
    )


def thinned(vertices_m: NDArray[np.floating], faces: Int, size: int) -> tuple[Int, Int]:
    """(size,) vertices that stay when edges are collapsed by quadric errors (Garland and Heckbert, SIGGRAPH 1997), and
    the (F, 3) faces between them.

    The library moves vertices to where the error is least; of those that fell together the nearest one stays, so that
    labels of a vertex hold at every level.
    """
    try:
        from fast_simplification import replay_simplification, simplify
    except ImportError as error:
        raise MissingDependency("fast_simplification", "meshes", "building the mesh pyramid of a hand") from error
    points = np.asarray(vertices_m, np.float64)
    counts = range(1, len(faces))
    at = bisect_left(counts, size, key=lambda count: len(simplify(points, faces, target_count=count)[0]))
    moved, _, collapses = simplify(points, faces, target_count=counts[min(at, len(counts) - 1)], return_collapses=True)
    if len(moved) != size:
        raise AssetError(f"the mesh of {len(points)} vertices cannot be thinned out to {size}: it may be in pieces")
    moved, coarse, group = replay_simplification(points, faces, collapses)
    off = np.linalg.norm(points - moved[group], axis=1)
    order = np.lexsort((np.arange(len(points)), off, group))
    first = np.r_[True, np.diff(group[order]) > 0]
    return order[first], coarse.astype(np.int64)


def carried_by(
    points_m: NDArray[np.floating], vertices_m: NDArray[np.floating], faces: Int
) -> tuple[Int, NDArray[np.float32]]:
    """(V, 3) vertices and weights of the place on a mesh that is nearest to each of (V, 3) points."""
    try:
        from trimesh.triangles import closest_point, points_to_barycentric
    except ImportError as error:
        raise MissingDependency("trimesh", "meshes", "building the mesh pyramid of a hand") from error
    triangles = vertices_m[faces]
    far = np.linalg.norm(points_m[:, None] - triangles.mean(1), axis=2)
    near = np.argsort(far, axis=1, kind="stable")[:, :_CANDIDATES]
    corners, asked = triangles[near].reshape(-1, 3, 3), np.repeat(points_m, near.shape[1], 0)
    close = closest_point(corners, asked).reshape(*near.shape, 3)
    best = np.linalg.norm(close - points_m[:, None], axis=2).argmin(1)
    rows = np.arange(len(points_m))
    face = near[rows, best]
    weights = points_to_barycentric(triangles[face], close[rows, best], method="cross").clip(0)
    return faces[face], (weights / weights.sum(1, keepdims=True)).astype(np.float32)
