"""Input of dex-retargeting (AnyTeleop, Qin et al., RSS 2023; PyPI `dex-retargeting`): 21 joints in the operator frame.

Source: the package's constants OPERATOR2MANO_RIGHT and OPERATOR2MANO_LEFT, and its documentation of the operator frame,
which is fixed to the hand: z from the wrist to the fingertips, y from the little finger to the thumb on a right hand
and from the thumb to the little finger on a left one, x = y x z out of the palm. Metres, origin at the wrist,
MediaPipe's order, which is ours. Robot joints go by name (`retargeting.joint_names`).
"""

import numpy as np

from prehend.adapters.frames import checked_joints, checked_side, poses
from prehend.check import check_shape
from prehend.conventions import NUM_JOINTS, Side
from prehend.errors import InvalidInput
from prehend.types import FloatArray

_WRIST, _INDEX_MCP, _MIDDLE_MCP = 0, 5, 9


def T_camera_operator(joints_m: FloatArray, side: Side) -> FloatArray:
    """Pose of the operator frame, from wrist, index knuckle and middle knuckle as the package takes it.

    Args:
        joints_m: (..., 21, 3) in the camera frame [m].
        side: of the hand.

    Returns:
        (..., 4, 4) float64, origin at the wrist: the wrist pose [m] for an arm.

    Raises:
        InvalidInput: the three joints lie on a line, or a shape is wrong.
    """
    joints = checked_joints(joints_m)
    wrist, index, middle = (joints[..., j, :] for j in (_WRIST, _INDEX_MCP, _MIDDLE_MCP))
    z = middle - wrist
    to_thumb = index - middle
    x = np.cross(to_thumb, z) if checked_side(side) == "right" else np.cross(z, to_thumb)
    lengths = np.linalg.norm(z, axis=-1), np.linalg.norm(x, axis=-1)
    if not min(lengths[0].min(), lengths[1].min()) > 1e-9:
        raise InvalidInput("wrist, index and middle knuckle lie on a line: the palm has no direction")
    z, x = z / lengths[0][..., None], x / lengths[1][..., None]
    return poses(np.stack([x, np.cross(z, x), z], -1), wrist)


def operator_joints(joints_m: FloatArray, side: Side) -> FloatArray:
    """The 21 joints in the operator frame: what `retargeting` wants.

    Args:
        joints_m: (..., 21, 3) in the camera frame [m].
        side: of the hand.

    Returns:
        (..., 21, 3) float64 [m], the wrist at the origin.
    """
    joints = checked_joints(joints_m)
    T = T_camera_operator(joints, side)
    return (joints - T[..., None, :3, 3]) @ T[..., :3, :3]


def reference(joints_operator_m: FloatArray, human_indices: FloatArray) -> FloatArray:
    """Argument of `SeqRetargeting.retarget`.

    Args:
        joints_operator_m: (21, 3) of `operator_joints`.
        human_indices: `retargeting.optimizer.target_link_human_indices`: (2, N) origins and ends of vectors (types
            "vector" and "dexpilot"), or (N,) joints (type "position").

    Returns:
        (N, 3) [m].
    """
    joints = np.asarray(joints_operator_m, np.float64)
    check_shape("joints_operator_m", joints, [NUM_JOINTS, 3])
    indices = np.asarray(human_indices)
    if indices.ndim == 1:
        return joints[indices]
    check_shape("human_indices", indices, [2, "N"])
    return joints[indices[1]] - joints[indices[0]]
