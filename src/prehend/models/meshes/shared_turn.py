"""The hand's orientation from all frames that show it, each for a share (H2ONet's is looked up in one frame)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.hand_model.meshes.pyramid import NUM_PARTS
from prehend.models.heads.mano import first_columns, rotations_from_6d
from prehend.models.layers.blocks import rectifier

_TOLD, _TOKEN, _SIX = 48, 96, 6
"""Numbers that a token takes from the orientation's code, length of a token, numbers of a rotation."""

_LOGIT = 4.0
"""About how large logits of the parts are, by which they are divided."""

_UNKNOWN = -1e4
"""Log weight of a frame that is not there."""


class SharedRotation(NamedTuple):
    """What `SharedTurn` answers with.

    Attributes:
        rotation: (B, 3, 3) from the canonical pose to the current crop's frame.
        shares: (B, F) of the frames in it, which sum to 1.
    """

    rotation: Tensor
    shares: Tensor


class SharedTurn(nn.Module):
    """From the orientations that several frames tell to that of the first of them.

    A frame's token says how the hand lies there, how far that is from where the current frame has it, and which parts
    are seen. The token and the current one say together how much the frame counts; an older one counts less until that
    is learnt otherwise. All that reaches the answer are differences of frames: equal frames, and frames that are not
    there, leave the current one as it is, to the bit.

    Args:
        code: length of the orientation's code.
        frames: of a window, the current one included.
        slope: of the rectifiers below zero, see `H2ONetConfig`.
        dropout: shares of the code, and of what pairs of tokens say, that are left out in training.
    """

    def __init__(self, code: int, frames: int, slope: float, dropout: tuple[float, float] = (0.3, 0.2)):
        super().__init__()
        self.forget, self.drop = (nn.Dropout(share) for share in dropout)
        self.told = nn.Linear(code, _TOLD)
        self.token = nn.Sequential(
            nn.Linear(_TOLD + 2 * _SIX + NUM_PARTS, _TOKEN), rectifier(slope)(), nn.Linear(_TOKEN, _TOKEN)
        )
        self.pair = nn.Sequential(nn.Linear(2 * _TOKEN + frames - 1, _TOKEN), rectifier(slope)())
        self.share = nn.Linear(_TOKEN, 1)
        self.gates = nn.Linear(_TOKEN, _TOKEN)
        self.change = nn.Linear(_TOKEN, _SIX, bias=False)
        for silent in (self.share.weight, self.share.bias, self.change.weight):
            nn.init.zeros_(silent)
        self.age = nn.Parameter(torch.arange(1.0, frames))
        self.register_buffer("ages", torch.eye(frames - 1), persistent=False)

    ages: Tensor

    def forward(self, part_logit: Tensor, orientation: Tensor, rotation: Tensor, known: Tensor) -> SharedRotation:
        """The orientation of the current frame.

        Args:
            part_logit, orientation: (B, F, 6), (B, F, G) outputs of stage `encode`, the current frame first.
            rotation: (B, F, 3, 3) from the canonical pose to the current crop's frame, as each frame tells it.
            known: (B, F) 1 for frames that are there; the current one always is.
        """
        older = rotation.shape[1] - 1
        six = first_columns(rotation)
        told = self.told(self.forget(orientation))
        tokens = self.token(torch.cat([told, six, six - six[:, :1], part_logit / _LOGIT], 2))
        now = tokens[:, :1].expand(-1, older, -1)
        ages = self.ages + torch.zeros_like(tokens[:, 1:, :older])  # any batch, once exported
        pair = self.drop(self.pair(torch.cat([tokens[:, 1:], now, ages], 2)))
        there = (known[:, 1:] > 0.5).to(six.dtype)
        scores = self.share(pair)[..., 0] - self.age + (1 - there) * _UNKNOWN
        shares = torch.softmax(F.pad(scores, (1, 0)), 1)
        moved = (torch.sigmoid(self.gates(pair)) * (tokens[:, 1:] - now) * there[..., None]).sum(1)
        drawn = ((six[:, 1:] - six[:, :1]) * shares[:, 1:, None]).sum(1)
        return SharedRotation(rotations_from_6d(six[:, 0] + drawn + self.change(moved)), shares)
