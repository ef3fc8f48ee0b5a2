"""The joints of a posed mesh, from its vertices alone: a linear map fitted to posed hands (HHMR, section 4.4).

A model's own regressor is for the unposed shape: on a bent hand it misses our knuckles by up to 5 mm.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin

_HANDS = 160
_SEAM = 0.02
"""Vertices that two bones carry at least this much each lie around their joint."""
_STIFFNESS = 1e-5
"""Ridge, against weights that cancel each other [m2]."""


@lru_cache(maxsize=4)
def joints_of_mesh(model: HandModel) -> NDArray[np.float32]:
    """(21, V) weights that take a posed mesh to its joints, each row sums to 1.

    Args:
        model: the hand, ours or a user's MANO.
    """
    rng = np.random.default_rng(0)
    angles = rng.normal(0, 0.45, (_HANDS, NUM_MANO_JOINTS - 1, 3)) * [0.5, 0.5, 1.0]
    angles[..., 2] = np.abs(angles[..., 2]) * 1.4  # fingers bend one way: about z of MANO's frame
    pose = np.concatenate([np.zeros((_HANDS, 1, 3)), angles], 1)
    posed = skin(model, matrix_from_axis_angle(pose), rng.normal(0, 1, (_HANDS, NUM_BETAS)))
    joints = np.zeros((NUM_MANO_JOINTS, model.num_vertices), np.float32)
    for joint, parent in enumerate(MANO_PARENTS):
        near = _around(model, joint, parent)
        joints[joint, near] = _weights(posed.vertices[:, near], posed.joints16[:, joint])
    tips = np.eye(model.num_vertices, dtype=np.float32)[model.tips]
    found = np.concatenate([joints, tips])[list(JOINTS_FROM_MANO)]
    found.setflags(write=False)
    return found


def _around(model: HandModel, joint: int, parent: int) -> NDArray[np.int64]:
    """Vertices around a joint: those of the model's own regressor, and where its flesh meets its parent's."""
    own = model.J_regressor[joint] > 0
    if parent >= 0:
        own = own | (np.minimum(model.weights[:, joint], model.weights[:, parent]) > _SEAM)
    return np.flatnonzero(own)


def _weights(vertices: NDArray[np.floating], joint: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K,) weights that sum to 1, of (N, K, 3) vertices for (N, 3) joints: least squares, a ridge about even ones."""
    count = vertices.shape[1]
    even = np.full(count, 1 / count)
    arms = (vertices - joint[:, None]).transpose(0, 2, 1).reshape(-1, count).astype(np.float64)
    free = np.eye(count)[:, 1:] - np.eye(count)[:, :1]  # changes that keep the sum
    a, b = arms @ free, -arms @ even
    square = a.T @ a + _STIFFNESS * len(a) * (free.T @ free)
    return even + free @ np.linalg.solve(square, a.T @ b)
