"""What a mesh tells of its joints: turns of its bones, angles, and how far these are outside of anatomy."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS, NUM_MANO_JOINTS
from prehend.errors import InvalidInput
from prehend.geometry.rotations import axis_angle_from_matrix, nearest_rotation
from prehend.hand_model.model import HandModel

_OWN = 0.6
"""Skinning weight from which a vertex tells of one bone alone."""


def rotations_of_meshes(model: HandModel, vertices_m: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, V, 3) meshes -> (N, 16, 3, 3) turns of the joints against their parents: each bone's flesh laid over the mean
    hand's, without scale."""
    spin = np.empty((len(vertices_m), NUM_MANO_JOINTS, 3, 3))
    for bone in range(NUM_MANO_JOINTS):
        rows = np.flatnonzero(model.weights[:, bone] > _OWN)
        rest, seen = model.v_template[rows].astype(np.float64), np.asarray(vertices_m, np.float64)[:, rows]
        spin[:, bone] = nearest_rotation(np.swapaxes(seen - seen.mean(1, keepdims=True), 1, 2) @ (rest - rest.mean(0)))
    turns = spin.copy()
    for bone, parent in enumerate(MANO_PARENTS[1:], start=1):
        turns[:, bone] = np.swapaxes(spin[:, parent], 1, 2) @ spin[:, bone]
    return turns


def beyond_limits_rad(model: HandModel, rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 16, 3, 3) turns -> (N,) how far the worst joint's flexion, abduction or twist is beyond its limits [rad].

    Angles are the rotation vector along the axes, which are about at right angles.

    Raises:
        InvalidInput: the model has no axes (a MANO file has none).
    """
    axes = (model.flexion_axes, model.abduction_axes, model.twist_axes)
    if model.limits_rad is None or any(axis is None for axis in axes):
        raise InvalidInput(f"hand model {model.name} has no joint axes: use the shipped one")
    vectors = axis_angle_from_matrix(np.asarray(rotations, np.float64)[:, 1:])
    angles = np.stack([(vectors * axis).sum(2) for axis in axes], 2)  # type: ignore[operator]
    low, high = model.limits_rad[..., 0], model.limits_rad[..., 1]
    return np.maximum(low - angles, angles - high).clip(0).max((1, 2))
