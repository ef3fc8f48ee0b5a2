"""Rig of the hand: shape space, joint regressor, axes and limits of the joints, fingertips."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from prehend_training.assets.hand_shapes import TIP_OF_CHAIN, RestHand, bone_directions, chain_joints

Array = NDArray[np.float64]

_DEGREES = np.pi / 180
FINGER_LIMITS = np.array(
    [
        [[-25, 90], [-20, 20], [-8, 8]],  # knuckle (MCP): flexion, abduction, twist
        [[-5, 110], [-2, 2], [-2, 2]],  # PIP
        [[-10, 80], [-2, 2], [-2, 2]],  # DIP
    ]
) * _DEGREES  # fmt: skip
THUMB_LIMITS = np.array(
    [
        [[-25, 40], [-35, 35], [-25, 25]],  # CMC
        [[-15, 65], [-8, 8], [-5, 5]],  # MCP
        [[-25, 85], [-2, 2], [-2, 2]],  # IP
    ]
) * _DEGREES  # fmt: skip
"""Our reading of clinical ranges of motion (rounded goniometer values for healthy adults)."""


@dataclass(frozen=True)
class Axes:
    """Axes of the 15 finger joints in the rest frame, (15, 3) unit vectors, right-handed triples.

    Attributes:
        flexion: positive closes the digit towards the palm (the thumb: towards its pulp's side).
        abduction: out of the back of the digit; positive moves a finger towards the thumb.
        twist: along the bone, away from the wrist.
    """

    flexion: Array
    abduction: Array
    twist: Array


def back_directions(hand: RestHand, faces: NDArray[np.int64], weights: Array, nail: Array) -> Array:
    """Out of the back of each digit: (5, 3) unit vectors in MANO's order, square to the last bone.

    They are the mean normals of the nails. The four fingers are then rolled alike about their bones until, on average,
    they bend in the plane square to the palm.
    """
    directions = bone_directions(hand)
    a, b, c = hand.vertices[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    lasts = [chain_joints(chain)[2] for chain in range(5)]
    backs = np.empty((5, 3))
    for chain, last in enumerate(lasts):
        on_nail = ((nail[faces] > 0.1).sum(1) >= 2) & (weights.argmax(1)[faces] == last).all(1)
        backs[chain] = _square(normals[on_nail].sum(0), directions[last])
    upright = np.stack([_square(np.array([0.0, 1.0, 0.0]), directions[last]) for last in lasts[:4]])
    sides = np.cross(directions[lasts[:4]], upright)
    roll = np.arctan2((backs[:4] * sides).sum(1), (backs[:4] * upright).sum(1))
    roll = (roll - roll.mean())[:, None]
    backs[:4] = np.cos(roll) * upright + np.sin(roll) * sides
    return backs


def joint_axes(hand: RestHand, backs: Array) -> Axes:
    """Axes of every finger joint from its bone and `back_directions` (5, 3)."""
    twist = bone_directions(hand)[1:]
    flexion = _unit(np.cross(np.repeat(backs, 3, axis=0), twist))
    return Axes(flexion=flexion, abduction=_unit(np.cross(twist, flexion)), twist=twist)


def joint_limits() -> Array:
    """(15, 3, 2) lower and upper limit of flexion, abduction, twist [rad]."""
    return np.concatenate([*[FINGER_LIMITS] * 4, THUMB_LIMITS])


def shape_space(hands: Array, emphasis: Array, count: int) -> tuple[Array, Array, Array]:
    """Principal components of hands.

    Args:
        hands: (N, V, 3) vertices.
        emphasis: (V,) weight of each vertex.
        count: how many components.

    Returns:
        Mean (V, 3), directions (V, 3, count) per standard deviation, and (count,) share of the variance of each.
        The vertex with the largest motion decides the sign: it goes away from the wrist.
    """
    mean = hands.mean(0)
    root = np.sqrt(emphasis)[:, None]
    centred = ((hands - mean) * root).reshape(len(hands), -1)
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    directions = rows[:count].reshape(count, *mean.shape) / root * (sizes[:count, None, None] / np.sqrt(len(hands)))
    for direction in directions:
        strongest = np.linalg.norm(direction * root, axis=1).argmax()
        direction *= np.sign(direction[strongest] @ mean[strongest])
    return mean, directions.transpose(1, 2, 0), sizes[:count] ** 2 / (sizes**2).sum()


def joint_regressor(hands: Array, joints: Array, allowed: NDArray[np.bool_], nearest: int = 60) -> Array:
    """Sparse convex combinations of skin vertices that follow the joints over all hands (non-negative least squares).

    Args:
        hands: (N, V, 3) vertices.
        joints: (N, 16, 3).
        allowed: (V,) vertices that may be used.
        nearest: how many vertices around a joint are candidates.

    Returns:
        (16, V) rows that sum to one.
    """
    regressor = np.zeros((joints.shape[1], hands.shape[1]))
    pool = np.flatnonzero(allowed)
    for j in range(joints.shape[1]):
        distance = np.linalg.norm(hands[:, pool] - joints[:, j, None], axis=2).mean(0)
        rows = pool[np.argsort(distance, kind="stable")[:nearest]]
        system = hands[:, rows].transpose(0, 2, 1).reshape(-1, nearest)
        heavy = 10.0 * np.sqrt(len(system))
        solution, _ = nnls(np.vstack([system, np.full((1, nearest), heavy)]), np.append(joints[:, j].ravel(), heavy))
        regressor[j, rows] = solution / solution.sum()
    return regressor


def tip_vertices(hand: RestHand, weights: Array) -> NDArray[np.int64]:
    """(5,) the skin vertex farthest along the last bone of each digit, thumb first."""
    directions = bone_directions(hand)
    tips = np.empty(5, np.int64)
    for chain in range(5):
        last = chain_joints(chain)[2]
        rows = np.flatnonzero(weights.argmax(1) == last)
        tips[TIP_OF_CHAIN[chain]] = rows[((hand.vertices[rows] - hand.joints[last]) @ directions[last]).argmax()]
    return tips


def four_influences(weights: Array) -> Array:
    """Keep the four largest weights of each row and let them sum to one."""
    small = np.argsort(weights, axis=1, kind="stable")[:, :-4]
    kept = weights.copy()
    np.put_along_axis(kept, small, 0.0, axis=1)
    return kept / kept.sum(1, keepdims=True)


def triangulate(quads: NDArray[np.int64], corners: NDArray[np.int64], vertices: Array) -> tuple[NDArray[np.int64], ...]:
    """Split (Q, 4) quads along the shorter diagonal; returns faces (2Q, 3) and the same cut of `corners`."""
    a, b, c, d = vertices[quads].transpose(1, 0, 2)
    short = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1)
    order = np.where(short[:, None, None], [[0, 1, 2], [0, 2, 3]], [[1, 2, 3], [1, 3, 0]])
    pick = np.arange(len(quads))[:, None, None]
    return quads[pick, order].reshape(-1, 3), corners[pick, order].reshape(-1, 3)


def vertex_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """(V, 3) unit normals, faces weighted by their area."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    return _unit(normals)


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _square(vector: Array, direction: Array) -> Array:
    """Unit vector of what is left of `vector` without its part along the unit vector `direction`."""
    return _unit(vector - (vector @ direction) * direction)
