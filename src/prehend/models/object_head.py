"""Control points of the held object, proposed by every cell of its RoI (Redmon-style proposals; UniHOPE eq. 10)."""

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_CONTROL_POINTS
from prehend.models.blocks import Activation, conv_bn

OFFSET_SCALE = 0.1
"""Raw outputs are tenths of the object box, so that a step of training moves a proposal little (PAPER_FACTS 1.1)."""


class ObjectHead(nn.Module):
    """Three pairs of 1x1 and 3x3 convolutions, then confidence, x and y of 21 points per cell.

    Args:
        channels: channels of the object feature.
        size: R, cells on its side.
        width: channels between the 1x1 and the 3x3 convolution.
        act: activation.
        pairs: number of pairs.
    """

    def __init__(self, channels: int, size: int, width: int, act: Activation, pairs: int = 3):
        super().__init__()
        self.size = size
        layers = [
            nn.Sequential(conv_bn(channels, width, 1, act=act), conv_bn(width, channels, 3, act=act))
            for _ in range(pairs)
        ]
        self.body = nn.Sequential(*layers)
        self.points = nn.Conv2d(channels, 3 * NUM_CONTROL_POINTS, 1)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, R, R) -> (B, 21, R * R, 3) x, y in units of the object box (0 left/top, 1 right/bottom) and
        confidence in [0, 1]; cells row by row."""
        size = self.size
        raw = self.points(self.body(feature)).reshape(-1, 3 * NUM_CONTROL_POINTS, size**2)
        confidence, x, y = raw.split(NUM_CONTROL_POINTS, dim=1)
        middles = (torch.arange(size, dtype=raw.dtype, device=raw.device) + 0.5) / size
        x = x * OFFSET_SCALE + middles.repeat(size)
        y = y * OFFSET_SCALE + middles.repeat_interleave(size)
        return torch.stack([x, y, torch.sigmoid(confidence)], dim=-1)
