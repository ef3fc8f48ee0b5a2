"""Pose correctives that give bent joints back the flesh that linear blend skinning takes from them.

Blending rotations linearly draws skin towards a bent joint. Dual quaternion skinning (Kavan et al., ACM TOG 2008) keeps
its distance from the joint, but swells the inside of the bend. The correctives are the difference between the two, one
joint at a time, in full on the back of the hand and in part on the palm's side, fitted with the features R - I.
What one sees of it: knuckles stand out of a fist. The volume that a fist loses shrinks by about a tenth only, for most
of it is the palm's side of the bends, where skin folds and goes into itself.
"""

import numpy as np
from numpy.typing import NDArray

from prehend_training.assets.poses import axis_angle_matrix

Array = NDArray[np.float64]

BACK_SHARE, PALM_SHARE = 1.0, 0.5
_SAMPLES = 120
_RIDGE = 1e-3
_SMALLEST_M = 5e-5


def pose_correctives(
    vertices: Array,
    normals: Array,
    joints: Array,
    weights: Array,
    axes: tuple[Array, Array, Array],
    limits: Array,
    rng: np.random.Generator,
) -> Array:
    """Directions of the correctives.

    Args:
        vertices, normals: (V, 3) of the zero pose.
        joints: (16, 3).
        weights: (V, 16).
        axes: flexion, abduction and twist axes, each (15, 3).
        limits: (15, 3, 2) [rad]; the fit holds inside.
        rng: draws the rotations that are fitted.

    Returns:
        (V, 15, 3, 9): change of a vertex [m] per element of R - I of each joint; 0 where it would stay below 0.05 mm.
    """
    result = np.zeros((len(vertices), 15, 3, 9))
    for joint in range(15):
        share = weights[:, joint + 1 : 3 * (joint // 3) + 4].sum(1)  # what moves with the joint: it and those beyond it
        rows = np.flatnonzero((share > 0.01) & (share < 0.99))
        angles = rng.uniform(limits[joint, :, 0], limits[joint, :, 1], (_SAMPLES, 3))
        turns = [axis_angle_matrix(angles[:, [k]] * axes[k][joint]) for k in range(3)]
        rotations = turns[0] @ turns[1] @ turns[2]
        wanted = _difference(rotations, share[rows], vertices[rows] - joints[joint + 1])
        backwards = normals[rows] @ axes[1][joint]
        strength = PALM_SHARE + (BACK_SHARE - PALM_SHARE) * (1 + backwards) / 2
        own = 1 - weights[rows][:, _others(joint)].sum(1)  # skin between two fingers mostly moves with both
        wanted *= (strength * own**2)[:, None]
        features = (rotations - np.eye(3)).reshape(_SAMPLES, 9)
        system = features.T @ features + _RIDGE * np.eye(9)
        fit = np.linalg.solve(system, features.T @ wanted.reshape(_SAMPLES, -1)).reshape(9, len(rows), 3)
        strongest = np.abs(np.einsum("sf,fvk->svk", features, fit)).max((0, 2))
        felt = strongest > _SMALLEST_M
        result[rows[felt], joint] = fit[:, felt].transpose(1, 2, 0)
    return result


def _others(joint: int) -> NDArray[np.int64]:
    """Columns of the weights that belong to other digits than that of a joint (0..14)."""
    digit = joint // 3
    return np.array([j for j in range(1, 16) if (j - 1) // 3 != digit])


def _difference(rotations: Array, share: Array, offsets: Array) -> Array:
    """Change in the zero pose that turns linear into dual quaternion blending at one joint.

    Args:
        rotations: (S, 3, 3) of the joint.
        share: (V,) weight of the joint.
        offsets: (V, 3) vertices relative to the joint.

    Returns:
        (S, V, 3).
    """
    linear = np.eye(3) + share[:, None, None] * (rotations - np.eye(3))[:, None]
    scalar = np.sqrt(np.maximum(1 + np.trace(rotations, axis1=1, axis2=2), 0)) / 2
    vector = np.stack([rotations[:, 2, 1] - rotations[:, 1, 2], rotations[:, 0, 2] - rotations[:, 2, 0]], 1)
    vector = np.concatenate([vector, (rotations[:, 1, 0] - rotations[:, 0, 1])[:, None]], 1) / (4 * scalar[:, None])
    w = 1 - share + share * scalar[:, None]
    v = share[:, None] * vector[:, None]
    size = np.sqrt(w**2 + (v**2).sum(-1))
    w, v = w / size, v / size[..., None]
    turned = offsets + 2 * np.cross(v, np.cross(v, offsets) + w[..., None] * offsets)
    missing = turned - (linear @ offsets[:, :, None])[..., 0]
    return np.linalg.solve(linear, missing[..., None])[..., 0]
