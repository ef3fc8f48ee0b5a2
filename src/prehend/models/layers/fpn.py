"""Feature pyramid (Lin et al., CVPR 2017) of which only the finest map is asked for."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from prehend.models.layers.blocks import conv_bn


def upsample2(x: Tensor) -> Tensor:
    """Twice the resolution, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class FPN(nn.Module):
    """Brings coarse maps up to the finest one: 1x1 laterals, bilinear upsampling, sum.

    Args:
        in_channels: channels of the maps, finest first; each has half the resolution of the one before.
        channels: channels of the result.
        smooth: end with a 3x3 convolution (the paper's form); without it the result is the rectified sum of
            normalised laterals, which leaves the smoothing to the averaging of RoIAlign.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, smooth: bool):
        super().__init__()
        self.laterals = nn.ModuleList(conv_bn(c, channels, 1, act=None) for c in in_channels)
        self.out: nn.Module = conv_bn(channels, channels, 3) if smooth else nn.ReLU(inplace=True)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, finest first -> (B, channels, H, W) at the resolution of the first."""
        pairs = list(zip(self.laterals, maps, strict=True))
        top = pairs[-1][0](pairs[-1][1])
        for lateral, x in reversed(pairs[:-1]):
            top = lateral(x) + upsample2(top)
        return self.out(top)
