"""Bend and twist the forearm of a posed hand about its wrist; for rendering, hand labels do not change."""

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.hand_model import HandModel
from prehend_training.assets.poses import axis_angle_matrix

Array = NDArray[np.floating]

MAX_FLEXION_RAD, MAX_DEVIATION_RAD, MAX_TWIST_RAD = np.radians([60.0, 25.0, 70.0])
"""How far wrists go, and how far the skin of this model bears it."""


def bend_forearm(
    model: HandModel,
    vertices: Array,
    wrist: Array,
    wrist_rotation: Array,
    flexion: float,
    deviation: float = 0.0,
    twist: float = 0.0,
) -> NDArray[np.float32]:
    """Move the forearm so that the wrist is bent; the hand stays where it is.

    Args:
        model: a hand with its forearm (`load_hand_model(forearm=True)`).
        vertices: (V, 3) of the posed hand [m].
        wrist: (3,) its wrist joint.
        wrist_rotation: (3, 3) rotation of joint 0.
        flexion: of the hand towards its palm [rad].
        deviation: of the hand towards its thumb [rad].
        twist: of the elbow's end about the forearm [rad]; it grows evenly from the wrist on, as in living arms.

    Returns:
        (V, 3) vertices.

    Raises:
        InvalidInput: the model has no forearm.
    """
    share = model.forearm_weights
    if share is None or model.hand_mask is None or model.hand_mask.all():
        raise InvalidInput(f"hand model {model.name} has no forearm: load it with forearm=True")
    sense = 1.0 if model.side == "right" else -1.0  # axes of rotation along y and z turn round in the mirror
    elbow = model.v_template[~model.hand_mask]
    axis = _axis(elbow)
    rows = np.flatnonzero(share)
    part = np.clip(model.v_template[rows] @ axis / (elbow @ axis).max(), 0, 1)
    bend = axis_angle_matrix(np.array([0, 0, -flexion * sense])) @ axis_angle_matrix(
        np.array([0, -deviation * sense, 0])
    )
    R, local = np.asarray(wrist_rotation, np.float64), np.asarray(vertices, np.float64)[rows] - wrist
    local = local @ R
    angle, along = (part * twist * sense)[:, None], (local @ axis)[:, None] * axis
    twisted = along + np.cos(angle) * (local - along) + np.sin(angle) * np.cross(axis, local)
    moved = np.array(vertices, np.float32)
    moved[rows] += share[rows, None] * ((twisted @ bend.T - local) @ R.T)
    return moved


def _axis(forearm: Array) -> Array:
    """Unit vector from the wrist to the middle of the elbow's end."""
    far = forearm[np.argsort(np.linalg.norm(forearm, axis=1), kind="stable")[-40:]].mean(0)
    return far / np.linalg.norm(far)
