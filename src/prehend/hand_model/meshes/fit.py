"""From a mesh of a hand to the pose and shape in which the hand model has it: what networks that tell a mesh lack.

Rigid alignment of each joint's vertices, which skinning weights name, and least squares for the shape, in turns.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.conventions import MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin

ROUNDS = 4
"""Of the pose, and in every other one of the shape: joints of meshes posed by chance come within 1.4 mm at worst."""

RIDGE_M = 5e-5
"""Distance of a vertex that one unit of beta is worth: how strongly the shape is pulled to the mean [m]."""

Double = NDArray[np.float64]


class FittedHand(NamedTuple):
    """Pose and shape of a mesh: rotations (16, 3, 3) float64 of each joint relative to its parent, betas (10,)."""

    rotations: Double
    betas: Double


def pose_of_mesh(model: HandModel, vertices: ArrayLike) -> FittedHand:
    """Pose and shape with which a hand model's mesh lies as near as it can to a given one.

    Args:
        model: the hand, without forearm.
        vertices: (V, 3) of the model's mesh, at any place [m].

    Raises:
        InvalidInput: the mesh has not the model's vertices.
    """
    mesh = np.asarray(vertices, np.float64)
    check_shape("vertices", mesh, [model.num_vertices, 3])
    near = np.asarray(model.weights, np.float64) ** 2  # what a joint moves alone counts most
    near /= near.sum(0)
    spins = np.broadcast_to(np.eye(3), (NUM_MANO_JOINTS, 3, 3))
    rotations, betas = spins, np.zeros(NUM_BETAS)
    for k in range(ROUNDS):
        posed = skin(model, rotations, betas).vertices
        spins = _aligned(near, posed, mesh) @ spins
        parents = spins[list(MANO_PARENTS[1:])]
        rotations = np.concatenate([spins[:1], np.swapaxes(parents, -1, -2) @ spins[1:]])
        if k % 2:  # the shape costs most and changes least
            betas = _shape(model, rotations, spins, mesh)
    return FittedHand(rotations, betas)


def _aligned(near: Double, posed: NDArray[np.floating], mesh: Double) -> Double:
    """(16, 3, 3) turn of each joint's vertices from one mesh to the other (Kabsch, 1976), from (V, 16) weights."""
    products = (mesh[:, :, None] * posed[:, None]).reshape(len(mesh), 9)
    moved = (near.T @ products).reshape(NUM_MANO_JOINTS, 3, 3)
    middles = near.T @ mesh, near.T @ posed
    return np.asarray(nearest_rotation(moved - middles[0][:, :, None] * middles[1][:, None]), np.float64)


def _shape(model: HandModel, rotations: Double, spins: Double, mesh: Double) -> Double:
    """(10,) least squares of the vertices, which are linear in the shape once the joints are turned."""
    feature = (rotations[1:] - np.eye(3)).reshape(-1)[model.active_pose]
    template = model.v_template + (model.blend_directions[:, NUM_BETAS:] @ feature).reshape(-1, 3)
    joints = np.concatenate([model.joints_template[..., None], model.joints_shapedirs], 2).astype(np.float64)
    rest = np.concatenate([template[..., None], model.shapedirs], 2)
    places = np.empty_like(joints)
    places[0] = joints[0]
    for j, parent in enumerate(MANO_PARENTS[1:], start=1):
        places[j] = places[parent] + spins[parent] @ (joints[j] - joints[parent])
    shifts = places - spins @ joints
    blended = (model.weights @ spins.reshape(NUM_MANO_JOINTS, 9)).reshape(-1, 3, 3)
    posed = blended @ rest + (model.weights @ shifts.reshape(NUM_MANO_JOINTS, -1)).reshape(rest.shape)
    missing = mesh - posed[..., 0]
    directions = posed[..., 1:] - posed[..., 1:].mean(0)
    directions, missing = directions.reshape(-1, NUM_BETAS), (missing - missing.mean(0)).reshape(-1)
    normal = directions.T @ directions + len(mesh) * RIDGE_M**2 * np.eye(NUM_BETAS)
    return np.linalg.solve(normal, directions.T @ missing)
