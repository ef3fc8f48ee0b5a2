"""Differentiable, batched linear blend skinning with torch; the same arithmetic as `skinning.py`."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prehend.conventions import JOINTS_FROM_MANO, MANO_PARENTS, NUM_MANO_JOINTS
from prehend.hand_model.model import HandModel


class SkinnedTensors(NamedTuple):
    """A batch of posed hands in metres.

    Attributes:
        vertices: (..., V, 3).
        joints: (..., 21, 3) in the order of `conventions.JOINT_NAMES`.
        joints16: (..., 16, 3) in MANO's order.
    """

    vertices: Tensor
    joints: Tensor
    joints16: Tensor


class HandLayer(nn.Module):
    """Rotations and shape in, mesh and joints out; holds no parameters and adds nothing to a state dict.

    Args:
        model: the hand, ours or a user's MANO.
    """

    v_template: Tensor
    weights: Tensor
    blend_directions: Tensor
    joints_template: Tensor
    joints_shapedirs: Tensor
    active_pose: Tensor
    tips: Tensor
    order: Tensor

    def __init__(self, model: HandModel):
        super().__init__()
        arrays: dict[str, NDArray[np.generic]] = {
            "v_template": model.v_template,
            "weights": model.weights,
            "blend_directions": model.blend_directions,
            "joints_template": model.joints_template,
            "joints_shapedirs": model.joints_shapedirs,
            "active_pose": model.active_pose,
            "tips": model.tips,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.tensor(array.copy()), persistent=False)
        self.register_buffer("order", torch.tensor(JOINTS_FROM_MANO), persistent=False)

    def forward(self, rotations: Tensor, betas: Tensor) -> SkinnedTensors:
        """Pose and shape hands.

        Args:
            rotations: (..., 16, 3, 3) of each joint relative to its parent; the first turns the hand about its wrist.
            betas: (..., 10) shape, with the same leading dimensions.
        """
        lead = rotations.shape[:-3]
        R = rotations.reshape(-1, NUM_MANO_JOINTS, 3, 3)
        shape = betas.reshape(R.shape[0], -1)
        unit = torch.eye(3, dtype=R.dtype, device=R.device)
        feature = (R[:, 1:] - unit).flatten(1)[:, self.active_pose]
        coefficients = torch.cat([shape, feature], 1)
        rest = self.v_template + (coefficients @ self.blend_directions.T).unflatten(1, (-1, 3))
        rest_joints = self.joints_template + torch.einsum("jkb,nb->njk", self.joints_shapedirs, shape)
        spin, joints16 = _chain(R, rest_joints)
        shifts = joints16 - (spin @ rest_joints[..., None])[..., 0]
        blended = self.weights @ torch.cat([spin.flatten(2), shifts], 2)
        matrices = blended[..., :9].unflatten(2, (3, 3))
        vertices = (matrices @ rest[..., None])[..., 0] + blended[..., 9:]
        joints = torch.cat([joints16, vertices[:, self.tips]], 1)[:, self.order]
        return SkinnedTensors(*(part.reshape(*lead, *part.shape[1:]) for part in (vertices, joints, joints16)))


def _chain(R: Tensor, rest_joints: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (N, 16, 3, 3) and places (N, 16, 3) of the joints along the kinematic tree."""
    spin, places = [R[:, 0]], [rest_joints[:, 0]]
    for j, parent in enumerate(MANO_PARENTS[1:], start=1):
        bone = rest_joints[:, j] - rest_joints[:, parent]
        places.append(places[parent] + (spin[parent] @ bone[..., None])[..., 0])
        spin.append(spin[parent] @ R[:, j])
    return torch.stack(spin, 1), torch.stack(places, 1)
