"""From the fused hand feature to 2D joints: hourglass, heatmaps and their expected place."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.models.layers.blocks import Activation, conv_bn
from prehend.models.layers.fpn import upsample2

MakeBlock = Callable[[int], nn.Module]
"""Makes a block that keeps the given number of channels and the resolution."""


class Hourglass(nn.Module):
    """One hourglass (Newell et al., ECCV 2016): down `depth` times and back, with a shortcut at each resolution.

    Args:
        channels: channels throughout.
        depth: number of halvings; the input's side must be divisible by 2 ** depth.
        block: of the path through the low resolutions.
        skip: of the shortcuts.
    """

    def __init__(self, channels: int, depth: int, block: MakeBlock, skip: MakeBlock):
        super().__init__()
        self.skip, self.down, self.up = skip(channels), block(channels), block(channels)
        self.inner = Hourglass(channels, depth - 1, block, skip) if depth > 1 else block(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + upsample2(low)


class SoftArgmax(nn.Module):
    """Expected place under the softmax of each (size, size) heatmap, sharpened by a learned factor per joint."""

    def __init__(self, size: int, joints: int = NUM_JOINTS):
        super().__init__()
        self.size, self.joints = size, joints
        self.log_sharpness = nn.Parameter(torch.zeros(joints))

    def forward(self, heatmaps: Tensor) -> Tensor:
        """(B, J, size, size) -> (B, J, 2) x, y in [0, 1] of the map, cell centres at (i + 0.5) / size."""
        middles = (torch.arange(self.size, dtype=heatmaps.dtype, device=heatmaps.device) + 0.5) / self.size
        places = torch.stack([middles.repeat(self.size), middles.repeat_interleave(self.size)], dim=1)
        weights = torch.softmax(
            heatmaps.reshape(-1, self.joints, self.size**2) * self.log_sharpness.exp()[:, None], dim=-1
        )
        return weights @ places


class HandFeatures(NamedTuple):
    """feature (B, C, R, R); heatmaps (B, 21, R, R) logits; places (B, 21, 2) in [0, 1] of the RoI."""

    feature: Tensor
    heatmaps: Tensor
    places: Tensor


class KeypointHead(nn.Module):
    """Hourglass, a 1x1 convolution, and one heatmap per joint."""

    def __init__(self, hourglass: nn.Module, channels: int, size: int, act: Activation):
        super().__init__()
        self.hourglass = hourglass
        self.feature = conv_bn(channels, channels, 1, act=act)
        self.heatmap = nn.Conv2d(channels, NUM_JOINTS, 1)
        self.soft_argmax = SoftArgmax(size)

    def forward(self, x: Tensor) -> HandFeatures:
        """(B, C, R, R) fused hand feature -> features, heatmaps and places."""
        feature = self.feature(self.hourglass(x))
        heatmaps = self.heatmap(feature)
        return HandFeatures(feature, heatmaps, self.soft_argmax(heatmaps))
