"""Linear blend skinning of a hand with numpy (Loper et al., SMPL, SIGGRAPH Asia 2015; eqs. 1-7 of that paper).

It stays ours: hands of our form in float32 on one core, without torch, are what the runtime is about.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_BETAS, NUM_MANO_JOINTS
from prehend.hand_model.model import HandModel

Float = NDArray[np.float32]


class Skinned(NamedTuple):
    """A posed hand in metres.

    Attributes:
        vertices: (..., V, 3).
        joints: (..., 21, 3) in the order of `conventions.JOINT_NAMES`.
        joints16: (..., 16, 3) in MANO's order.
    """

    vertices: Float
    joints: Float
    joints16: Float


_ORDER = np.array(JOINTS_FROM_MANO)


def _levels() -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Joints with parents, and these, by their distance from the wrist: what can be turned at once."""
    depth = [0] * NUM_MANO_JOINTS
    for joint, parent in enumerate(MANO_PARENTS[1:], start=1):
        depth[joint] = depth[parent] + 1
    found = [[j for j in range(NUM_MANO_JOINTS) if depth[j] == level] for level in range(1, max(depth) + 1)]
    return [(np.array(joints), np.array([MANO_PARENTS[j] for j in joints])) for joints in found]


_LEVELS = _levels()


def skin(
    model: HandModel, rotations: ArrayLike, betas: ArrayLike, translation: ArrayLike = 0.0, *, mesh: bool = True
) -> Skinned:
    """Pose and shape a hand.

    Args:
        model: the hand.
        rotations: (..., 16, 3, 3) of each joint relative to its parent; the first turns the hand about its wrist.
        betas: (..., 10) shape.
        translation: (..., 3) or a number, added at the end [m].
        mesh: False poses joints and fingertips alone, at a third of the cost, and leaves `vertices` empty.

    Raises:
        InvalidInput: `rotations` or `betas` have another shape.
    """
    R = np.asarray(rotations, np.float32)
    shape = np.asarray(betas, np.float32)
    check_shape("rotations", R, ["...", NUM_MANO_JOINTS, 3, 3])
    check_shape("betas", shape, ["...", NUM_BETAS])
    lead = np.broadcast_shapes(R.shape[:-3], shape.shape[:-1])
    R = np.broadcast_to(R, (*lead, NUM_MANO_JOINTS, 3, 3)).reshape(-1, NUM_MANO_JOINTS, 3, 3)
    shape = np.broadcast_to(shape, (*lead, NUM_BETAS)).reshape(-1, NUM_BETAS)
    offset = np.broadcast_to(np.asarray(translation, np.float32), (*lead, 3)).reshape(-1, 1, 3)

    template, directions, weights = (model.v_template, model.blend_directions, model.weights) if mesh else model.of_tips
    feature = (R[:, 1:] - np.eye(3, dtype=np.float32)).reshape(len(R), 135)[:, model.active_pose]
    coefficients = np.concatenate([shape, feature], 1)
    rest = template + (coefficients @ directions.T).reshape(len(R), len(template), 3)
    rest_joints = model.joints_template + (shape @ model.joints_shapedirs.reshape(-1, NUM_BETAS).T).reshape(-1, 16, 3)
    spin, joints16 = _chain(R, rest_joints)
    # p = sum_j w_j (G_j (p_rest - J_j) + joint_j): rotations and shifts are blended first, then used once a vertex
    shifts = joints16 - (spin @ rest_joints[..., None])[..., 0]
    columns = np.swapaxes(spin, 2, 3).reshape(
        len(R), NUM_MANO_JOINTS, 9
    )  # one after the other: numpy is slow at small matrices
    blended = weights @ np.concatenate([columns, shifts], 2)
    vertices = blended[..., 9:] + offset
    for k in range(3):
        vertices += blended[..., 3 * k : 3 * k + 3] * rest[..., k : k + 1]
    joints16 = joints16 + offset
    joints = np.concatenate([joints16, vertices[:, model.tips] if mesh else vertices], 1)[:, _ORDER]
    vertices = vertices if mesh else vertices[:, :0]
    return Skinned(*(part.reshape(*lead, *part.shape[1:]) for part in (vertices, joints, joints16)))


def spins_of(rotations: ArrayLike) -> NDArray[np.float64]:
    """(16, 3, 3) rotations of the joints relative to their parents -> (16, 3, 3) from the rest pose."""
    R = np.asarray(rotations, np.float64)
    spins = R.copy()
    for joints, parents in _LEVELS:
        spins[joints] = spins[parents] @ R[joints]
    return spins


def _chain(R: Float, rest_joints: Float) -> tuple[Float, Float]:
    """Rotations (N, 16, 3, 3) and places (N, 16, 3) of the joints along the kinematic tree."""
    spin, places = np.empty_like(R), np.empty_like(rest_joints)
    spin[:, 0], places[:, 0] = R[:, 0], rest_joints[:, 0]
    for joints, parents in _LEVELS:
        above = spin[:, parents]
        spin[:, joints] = above @ R[:, joints]
        bones = rest_joints[:, joints] - rest_joints[:, parents]
        places[:, joints] = places[:, parents] + (above @ bones[..., None])[..., 0]
    return spin, places
