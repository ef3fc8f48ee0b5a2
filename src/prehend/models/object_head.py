"""Control points of the held object, proposed by every cell of its RoI (Redmon-style proposals; UniHOPE eq. 10)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_CONTROL_POINTS, OBJECT_KIND_SIZE
from prehend.models.blocks import Activation, conv_bn

OFFSET_SCALE = 0.1
"""Raw outputs are tenths of the object box, so that a step of training moves a proposal little (docs/PAPERS.md 1.1)."""


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

    def raw(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, R, R) -> x and y offsets and the logit of the confidence, (B, 21, R * R) each."""
        both = self.points(self.body(feature)).reshape(-1, 3 * NUM_CONTROL_POINTS, self.size**2)
        confidence, x, y = both.split(NUM_CONTROL_POINTS, dim=1)
        return x, y, confidence

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, R, R) -> (B, 21, R * R, 3) x, y in units of the object box (0 left/top, 1 right/bottom) and
        confidence in [0, 1]; cells row by row."""
        size = self.size
        x, y, confidence = self.raw(feature)
        middles = (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5) / size
        x = x * OFFSET_SCALE + middles.repeat(size)
        y = y * OFFSET_SCALE + middles.repeat_interleave(size)
        return torch.stack([x, y, torch.sigmoid(confidence)], dim=-1)


class ObjectGuess(NamedTuple):
    """points (B, 21, R * R, 3) as of `ObjectHead`; match (B, 1) logit that the object is the one described; log_extents
    (B, 3) log of the extents over 0.1 m, without looking at the description."""

    points: Tensor
    match: Tensor
    log_extents: Tensor


class KindObjectHead(nn.Module):
    """Control points of an object of which something may be known (`conventions.OBJECT_KIND_SIZE`).

    Where the object's axes lie is a question about the whole of it, so that one answer is read from the whole RoI and
    the description; the cells' proposals are offsets from it, with their confidence as in the paper.

    Args:
        channels: channels of the object feature.
        size: R, cells on its side.
        width: channels of the cells' hidden layers.
        act: activation.
        hidden: size of the hidden layers of the whole.
    """

    def __init__(self, channels: int, size: int, width: int, act: Activation, hidden: int = 512):
        super().__init__()
        self.size = size
        self.down = nn.Sequential(
            conv_bn(channels, 2 * channels, stride=2, act=act),
            conv_bn(2 * channels, 2 * channels, stride=2, act=act),
            nn.Flatten(),
            nn.Linear(2 * channels * (size // 4) ** 2, hidden),
            act(),
        )
        self.told = nn.Sequential(nn.Linear(hidden + OBJECT_KIND_SIZE, hidden), act(), nn.Linear(hidden, hidden), act())
        self.whole = nn.Linear(hidden, 2 * NUM_CONTROL_POINTS)
        self.match = nn.Linear(hidden, 1)
        self.extents = nn.Linear(hidden, 3)
        self.cells = ObjectHead(channels, size, width, act, pairs=2)

    def forward(self, feature: Tensor, kind: Tensor) -> ObjectGuess:
        """(B, C, R, R), (B, 10) -> what is said of the object."""
        seen = self.down(feature)
        told = self.told(torch.cat([seen, kind], dim=1))
        whole = self.whole(told).reshape(-1, NUM_CONTROL_POINTS, 1, 2) + 0.5
        x, y, confidence = self.cells.raw(feature)
        offsets = torch.stack([x, y], dim=-1) * OFFSET_SCALE
        points = torch.cat([whole + offsets, torch.sigmoid(confidence)[..., None]], dim=-1)
        return ObjectGuess(points, self.match(told), self.extents(seen))
