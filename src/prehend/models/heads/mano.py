"""From hand features to the code, and from the code to pose, shape and visibility."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.models.heads.hourglass import HandFeatures
from prehend.models.layers.blocks import Activation


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector, dim=-1, keepdim=True).clamp(min=1e-12)


_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]
"""Component orders of the cross product."""


def rotations_from_6d(sixd: Tensor) -> Tensor:
    """Rotation matrices whose first two columns are the given vectors after Gram-Schmidt (Zhou et al., CVPR 2019).

    The orthogonalisation runs twice and starts from vectors nudged towards x and y: zero input gives the identity, and
    nearly parallel vectors still give an orthonormal matrix in float32.

    Args:
        sixd: (..., 6), first column then second.

    Returns:
        (..., 3, 3).
    """
    nudge = sixd.new_tensor([1e-6, 0.0, 0.0, 0.0, 1e-6, 0.0])
    first, second = (sixd + nudge).split(3, dim=-1)
    x = _unit(first)
    for _ in range(2):
        second = _unit(second - (x * second).sum(-1, keepdim=True) * x)
    z = x[..., _NEXT] * second[..., _AFTER] - x[..., _AFTER] * second[..., _NEXT]
    return torch.stack([x, second, z], dim=-1)


def turn_from(sixd: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3), see `rotations_from_6d`; counted from no turn, about which it is smooth."""
    return rotations_from_6d(sixd + sixd.new_tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))


def first_columns(rotation: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6) its first two columns, see `rotations_from_6d`."""
    return rotation[..., :2].transpose(-1, -2).flatten(-2)


class FeatureEncoder(nn.Module):
    """Hand feature to one vector.

    The heatmaps of the paper's encoder are a linear function of the feature, which the first convolution can learn.

    Args:
        body: (B, C, R, R) -> (B, D), flattening included.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, features: HandFeatures) -> Tensor:
        """Features -> (B, D) code."""
        return self.body(features.feature)


class HeatmapEncoder(nn.Module):
    """Hand feature and heatmaps to one vector, as in the paper.

    Args:
        channels: channels of the hand feature.
        body: (B, C, R, R) -> (B, D), flattening included.
    """

    def __init__(self, channels: int, body: nn.Module):
        super().__init__()
        self.from_feature = nn.Conv2d(channels, channels, 1)
        self.from_heatmaps = nn.Conv2d(NUM_JOINTS, channels, 1)
        self.body = body

    def forward(self, features: HandFeatures) -> Tensor:
        """Features -> (B, D) code."""
        return self.body(self.from_feature(features.feature) + self.from_heatmaps(features.heatmaps))


class HandParameters(NamedTuple):
    """rotations (B, 16, 3, 3) in the crop frame; betas (B, 10); visibility_logit (B, 21)."""

    rotations: Tensor
    betas: Tensor
    visibility_logit: Tensor


class ManoHead(nn.Module):
    """Fully connected layers from the code to MANO's parameters.

    The rotations are offsets from `mean_pose`, which starts as the flat hand and may be set from data before training.

    Args:
        code: length of the code.
        widths: hidden layers.
        act: their activation.
        sees_places: the 2D places of the joints are given to the first layer besides the code.
    """

    mean_pose: Tensor

    def __init__(self, code: int, widths: tuple[int, ...], act: Activation, sees_places: bool):
        super().__init__()
        self.sees_places = sees_places
        sizes = (code + (2 * NUM_JOINTS if sees_places else 0), *widths)
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), act()]
        self.hidden = nn.Sequential(*layers)
        if sees_places:  # begin as a function of the places alone: what the code adds is found later
            first = self.hidden[0]
            assert isinstance(first, nn.Linear)
            nn.init.zeros_(first.weight[:, :code])
        self.pose = nn.Linear(sizes[-1], NUM_MANO_JOINTS * 6)
        self.shape = nn.Linear(sizes[-1], NUM_BETAS)
        self.visibility = nn.Linear(sizes[-1], NUM_JOINTS)
        for layer in (self.pose, self.shape):  # begin next to the mean hand: short training cannot waste steps on it
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
        self.register_buffer("mean_pose", torch.eye(3)[:, :2].T.reshape(6).repeat(NUM_MANO_JOINTS, 1))

    def set_mean_pose(self, rotations: Tensor) -> None:
        """Let offsets start from these (16, 3, 3) rotations."""
        self.mean_pose.copy_(first_columns(rotations))

    def forward(self, code: Tensor, places: Tensor) -> HandParameters:
        """(B, D) code, (B, 21, 2) places in [0, 1] of the RoI -> parameters."""
        given = torch.cat([code, places.flatten(1) - 0.5], dim=1) if self.sees_places else code
        hidden = self.hidden(given)
        # in half precision a rotation would be off by a tenth of a degree
        sixd = self.pose(hidden).float().reshape(-1, NUM_MANO_JOINTS, 6) + self.mean_pose
        return HandParameters(rotations_from_6d(sixd), self.shape(hidden), self.visibility(hidden))
