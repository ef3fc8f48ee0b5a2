"""From the places of the joints, how sure they are, and the image's code to pose, shape and visibility.

A skeleton seen as 21 points nearly tells its pose, and points carry over from rendered to real images where features
do not. So the head is a function of the points first; the code adds what they cannot tell.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.models.heads.mano import HandParameters, first_columns, rotations_from_6d
from prehend.models.layers.blocks import Activation

_WRIST, _KNUCKLE = 0, 9
_NUDGE_PX = 1e-3


def upright(places_px: Tensor) -> tuple[Tensor, Tensor]:
    """Places without their own position, size and direction.

    Args:
        places_px: (B, 21, 2) joints in the crop [px].

    Returns:
        (B, 21, 2) centred on the middle of their box, in units of its longer side, turned so that wrist to middle
        knuckle points up; and (B, 2) that direction's cosine and sine, clockwise from up.
    """
    low, high = places_px.amin(1), places_px.amax(1)
    side = (high - low).amax(1).clamp(min=1.0)
    centered = (places_px - (low + high)[:, None] / 2) / side[:, None, None]
    along = places_px[:, _KNUCKLE] - places_px[:, _WRIST]
    # a hand that points at the camera has no direction: up then
    along = along + along.new_tensor([0.0, -_NUDGE_PX])
    sin, cos = (along / torch.linalg.vector_norm(along, dim=1, keepdim=True).clamp(min=1e-6)).unbind(1)
    cos = -cos
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    return centered @ turn.transpose(1, 2), torch.stack([cos, sin], 1)


def turn_about_axis(direction: Tensor) -> Tensor:
    """(B, 2) cosine and sine -> (B, 3, 3) turn about the viewing axis that takes up to that direction."""
    cos, sin = direction.unbind(1)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1), torch.stack([zero, zero, one], 1)]
    return torch.stack(rows, 1)


class PlacesPoseHead(nn.Module):
    """Fully connected layers from places, certainty and code to MANO's parameters.

    Position, size and in-plane direction of the places are taken out first and the direction is put back on the wrist's
    rotation, so that the answer turns as the places do (up to what a turn changes in the size and middle of their
    axis-aligned box). Fresh weights make it a function of the places alone.

    Args:
        code: length of the code.
        widths: hidden layers.
        act: their activation.
    """

    mean_pose: Tensor

    def __init__(self, code: int, widths: tuple[int, ...], act: Activation):
        super().__init__()
        self.code = code
        sizes = (code + 3 * NUM_JOINTS, *widths)
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            layers += [nn.Linear(size_in, size_out), act()]
        self.hidden = nn.Sequential(*layers)
        first = self.hidden[0]
        assert isinstance(first, nn.Linear)
        nn.init.zeros_(first.weight[:, : code + NUM_JOINTS])
        self.pose = nn.Linear(sizes[-1], NUM_MANO_JOINTS * 6)
        self.shape = nn.Linear(sizes[-1], NUM_BETAS)
        self.visibility = nn.Linear(sizes[-1], NUM_JOINTS)
        for layer in (self.pose, self.shape):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
        self.register_buffer("mean_pose", torch.eye(3)[:, :2].T.reshape(6).repeat(NUM_MANO_JOINTS, 1))

    def set_mean_pose(self, rotations: Tensor) -> None:
        """Let offsets start from these (16, 3, 3) rotations."""
        self.mean_pose.copy_(first_columns(rotations))

    def forward(self, places_px: Tensor, log_std: Tensor, code: Tensor) -> HandParameters:
        """Parameters.

        Args:
            places_px: (B, 21, 2) joints in the crop [px].
            log_std: (B, 21) how sure they are: see `LiteHandAnswer.keypoint_log_std`.
            code: (B, D); zeros say that there is no image.
        """
        hidden, direction = self.features(places_px, log_std, code)
        sixd = self.pose(hidden).float().reshape(-1, NUM_MANO_JOINTS, 6) + self.mean_pose
        rotations = rotations_from_6d(sixd)
        wrist = turn_about_axis(direction) @ rotations[:, 0]
        rotations = torch.cat([wrist[:, None], rotations[:, 1:]], dim=1)
        return HandParameters(rotations, self.shape(hidden), self.visibility(hidden))

    def features(self, places_px: Tensor, log_std: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Arguments as of `forward` -> (B, W) what pose and shape are read from, of the hand as if it pointed up, and
        (B, 2) where it points, see `upright`."""
        places, direction = upright(places_px)
        hidden: Tensor = self.hidden(torch.cat([code, log_std, places.flatten(1)], dim=1))
        return hidden, direction
