"""Where an object can be taken: points of its surface, by the kind of grasp."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend_training.grasps.hand import vertex_normals
from prehend_training.objects import Mesh, Solid
from prehend_training.objects.shapes.mesh import Patch

Array = NDArray[np.floating]

_PAINTS = {"handle": ("handle", "grip"), "top": ("cap", "lid")}
_RIM_M = 0.012
_TOP_SHARE = 0.2
_BELOW_M = (0.006, 0.034)
"""How far below a trigger the middle of the palm is."""
_PALM_SIDE = np.array([-0.6, -0.8, 0.0])
"""Where a right hand's palm lies on a pistol that points along x: behind, and on its own side."""
_REAR = 0.7
_NEAR_M = 0.001


@dataclass(frozen=True)
class Anchors:
    """Points of a solid's surface at its nominal size.

    Attributes:
        points_m, normals: (A, 3) in the object frame.
        share: (A,) how likely each is, adding up to one.
        long: (3,) unit direction along which the place is longest.
    """

    points_m: Array
    normals: Array
    share: Array
    long: Array


def anchors(solid: Solid, region: str, count: int = 2000, seed: int = 0) -> Anchors:
    """Evenly spread points of a region; rather near the middle of the object than at its ends.

    Args:
        solid: at its nominal size.
        region: "all"; "handle" and "top" are the parts painted so (tubes and rings, the upper fifth where there are
            none); "trigger" is what lies behind and below it; "rim" is the upper edge.
        count: how many points.
        seed: of the random points.
    """
    mesh = solid.mesh()
    faces = mesh.faces[_chosen(solid, mesh, region)]
    corners = mesh.vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1)
    rng = np.random.default_rng(seed)
    picked = rng.choice(len(faces), count, p=area / area.sum())
    weights = rng.dirichlet(np.ones(3), count)
    points = (corners[picked] * weights[..., None]).sum(1)
    normals = across[picked] / area[picked][:, None]
    centre = points.mean(0)
    spread = np.linalg.eigh(np.cov((points - centre).T))
    long = spread[1][:, -1]
    along = (points - centre) @ long
    share = 0.15 + np.exp(-((along / (0.3 * max(float(np.ptp(along)), 1e-3))) ** 2) / 2)
    return Anchors(points, normals, share / share.sum(), long)


def trigger_of(solid: Solid) -> Patch:
    """What a finger pulls: the last part of objects that have a trigger, in front (+x) of what is held."""
    patches = solid.parts[-1].placed()
    return max(patches, key=lambda patch: len(patch.vertices))


def _chosen(solid: Solid, mesh: Mesh, region: str) -> NDArray[np.int64]:
    """Rows of the faces of a region."""
    middle = mesh.vertices[mesh.faces].mean(1)
    everything = np.arange(len(mesh.faces))
    top = solid.center_m[2] + solid.extents_m[2] / 2
    if region == "all":
        return everything
    if region == "rim":
        return np.flatnonzero(middle[:, 2] > top - _RIM_M)
    if region == "trigger":
        pulled = trigger_of(solid).vertices.mean(0)
        normal = vertex_normals(mesh.vertices, mesh.faces)[mesh.faces].mean(1)
        below = pulled[2] - middle[:, 2]
        behind = (normal @ _PALM_SIDE > _REAR) & (middle[:, 0] < pulled[0] - 0.01)
        return np.flatnonzero(behind & (below > _BELOW_M[0]) & (below < _BELOW_M[1]))
    names = _PAINTS[region]
    painted = [k for k, surface in enumerate(solid.surfaces) if any(name in surface.paint for name in names)]
    rows = np.flatnonzero(np.isin(mesh.part[mesh.faces[:, 0]], painted))
    if region == "handle" and not len(rows):
        rows = np.flatnonzero(_on_bent_parts(solid, middle))
    if len(rows):
        return rows
    if region == "top":
        return np.flatnonzero(middle[:, 2] > top - _TOP_SHARE * solid.extents_m[2])
    return everything


def _on_bent_parts(solid: Solid, points: Array) -> NDArray[np.bool_]:
    """Which points (N, 3) lie on tubes and rings, of which handles are made."""
    bent = [part for part in solid.parts if part.kind in ("tube", "torus")]
    near = [np.abs(part.distance(points, solid.scale, False)) < _NEAR_M for part in bent]
    return np.asarray(np.any(near, 0)) if near else np.zeros(len(points), bool)
