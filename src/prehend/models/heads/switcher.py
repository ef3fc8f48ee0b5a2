"""The object switcher g (UniHOPE eq. 2): is something held; besides, is there a hand at all, and is it a right one."""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.models.layers.blocks import Activation, conv_bn
from prehend.models.trunks.backbone import Streams


class Switches(NamedTuple):
    """Logits (B, 1) each: grasp, something is held; presence, a hand is there; side, the crop shows a right hand, as
    the network expects, rather than a left one that was not mirrored."""

    grasp: Tensor
    presence: Tensor
    side: Tensor


def _fine_branch(map_channels: int, width: int, halvings: int, act: Activation) -> nn.Sequential:
    """(B, map_channels, H, W) hand map -> (B, width, H / 2^halvings, W / 2^halvings), by convolutions of stride 2."""
    channels = (map_channels, width // 2, *[width] * (halvings - 1))
    return nn.Sequential(*(conv_bn(i, o, stride=2, act=act) for i, o in pairwise(channels)))


class PooledSwitcher(nn.Module):
    """Switcher of unihope-xs: the deep map of the hand stream and strided convolutions on its finest, each averaged.

    Args:
        map_channels: channels of the hand map.
        deep_channels: channels of the deep map.
        width: channels of both branches and of the hidden layer.
        act: activation.
    """

    def __init__(self, map_channels: int, deep_channels: int, width: int, act: Activation):
        super().__init__()
        self.fine = _fine_branch(map_channels, width, 2, act)
        self.deep = conv_bn(deep_channels, width, act=act)
        self.hidden = nn.Sequential(nn.Linear(2 * width, width), act())
        self.logits = nn.Linear(width, 3)

    def forward(self, streams: Streams) -> Switches:
        """Streams -> logits."""
        pooled = [self.fine(streams.hand_map).mean(dim=(2, 3)), self.deep(streams.deep).mean(dim=(2, 3))]
        return Switches(*self.logits(self.hidden(torch.cat(pooled, dim=1))).split(1, dim=1))


class LandmarkSwitcher(nn.Module):
    """Switcher of unihope-s: presence and side are linear in the mean of the pretrained trunk's last map, as they were
    pretrained; the grasp is read from that mean and from strided convolutions on the hand stream's finest map.

    Args:
        map_channels: channels of the hand map.
        deep_channels: channels of the deep map.
        width: channels of both branches and of the hidden layer.
        act: activation.
    """

    def __init__(self, map_channels: int, deep_channels: int, width: int, act: Activation):
        super().__init__()
        self.presence, self.side = nn.Linear(deep_channels, 1), nn.Linear(deep_channels, 1)
        self.fine = _fine_branch(map_channels, width, 3, act)
        self.deep = nn.Linear(deep_channels, width)
        self.grasp = nn.Sequential(act(), nn.Linear(2 * width, width), act(), nn.Linear(width, 1))

    def forward(self, streams: Streams) -> Switches:
        """Streams -> logits."""
        deep = streams.deep.mean(dim=(2, 3))
        pooled = torch.cat([self.fine(streams.hand_map).mean(dim=(2, 3)), self.deep(deep)], dim=1)
        return Switches(self.grasp(pooled), self.presence(deep), self.side(deep))


class MapSwitcher(nn.Module):
    """Switcher of the paper: an MLP on the whole object map, behind a 1x1 convolution.

    The map is averaged to a fixed grid first, so that it takes any resolution and 4 M instead of 67 M parameters. The
    two-class softmax of eq. (2) is one logit here. Whether there is a hand, and which, is read from the deep map.

    Args:
        map_channels: channels of the object map.
        deep_channels: channels of the deep map.
        width: channels after the 1x1 convolution.
        grid: cells a side after averaging.
        hidden: size of the hidden layer.
        act: activation.
    """

    def __init__(self, map_channels: int, deep_channels: int, width: int, grid: int, hidden: int, act: Activation):
        super().__init__()
        self.grid = grid
        self.reduce = conv_bn(map_channels, width, 1, act=act)
        self.mlp = nn.Sequential(nn.Linear(width * grid * grid, hidden), act(), nn.Linear(hidden, 1))
        self.hand = nn.Linear(deep_channels, 2)

    def forward(self, streams: Streams) -> Switches:
        """Streams -> logits."""
        cells = F.adaptive_avg_pool2d(self.reduce(streams.object_source), self.grid)
        return Switches(self.mlp(cells.flatten(1)), *self.hand(streams.deep.mean(dim=(2, 3))).split(1, dim=1))
