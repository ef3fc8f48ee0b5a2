"""The losses of HHMR, section 4.4."""

from dataclasses import dataclass

from torch import Tensor

from prehend_training.losses.crop import Terms
from prehend_training.losses.h2onet import surface_errors


@dataclass(frozen=True)
class HHMRLossWeights:
    """Weight of each term of `prior_terms`; the paper gives none. Lengths are in metres."""

    data: float = 1.0
    vertices: float = 20.0
    joints: float = 40.0
    normals: float = 0.2
    edges: float = 20.0


@dataclass(frozen=True)
class MeshCriteria:
    """What compares meshes.

    Attributes:
        spread_m: what a network's differences from the mean hand are multiplied by [m].
        mean_m: (V, 3) the mean hand [m].
        regressor: (21, V) joints of a mesh, see `joints_of_mesh`.
        faces: (F, 3) of the mesh.
        rows: how many hands of a batch the costly terms of normals and edges are asked of.
    """

    spread_m: float
    mean_m: Tensor
    regressor: Tensor
    faces: Tensor
    rows: int = 8


def prior_terms(found: Tensor, truth: Tensor, rows: Tensor, surface: MeshCriteria) -> Terms:
    """Terms of what a network says that noisy meshes were.

    Args:
        found, truth: (B, V, 3) differences from the mean hand over `spread_m`; found of the network.
        rows: (B,) 1 for hands whose pose is known.
        surface: see there.

    Returns:
        data: mean |error| of the answer, eq. (5). vertices, joints: the same relative to the wrist [m], eq. (6).
        normals: mean |cosine| between edges and the true normals, eq. (7). edges: mean error of their lengths [m],
        eq. (8).
    """
    weight = rows / rows.sum().clamp(min=1)
    error = (found - truth) * surface.spread_m
    joints = surface.regressor @ error
    part = slice(0, surface.rows)
    share = rows[part] / rows[part].sum().clamp(min=1)
    mesh, true_mesh = (value[part] * surface.spread_m + surface.mean_m for value in (found, truth))
    normals, edges = surface_errors(mesh, true_mesh, surface.faces)
    return {
        "data": ((found - truth).abs().mean((1, 2)) * weight).sum(),
        "vertices": ((error - joints[:, :1]).abs().mean((1, 2)) * weight).sum(),
        "joints": ((joints - joints[:, :1]).abs().mean((1, 2)) * weight).sum(),
        "normals": (normals.mean(1) * share).sum(),
        "edges": (edges.mean(1) * share).sum(),
    }
