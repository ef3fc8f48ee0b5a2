"""DenseStack: a light encoder of depthwise-separable dense blocks (MobRecon, CVPR 2022), the trunk of H2ONet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.models.layers.blocks import conv_bn, relu
from prehend.models.layers.fpn import upsample2

LAYERS = 4
"""Of a dense block, which doubles its channels."""
SQUEEZE = 16
"""Channels over those between the two layers of squeeze-and-excitation."""


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and 1x1 convolution, each normalised and rectified (MobileNet)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        relu(),
        conv_bn(in_channels, out_channels, 1),
    )


class SqueezeExcite(nn.Module):
    """Weighs channels by what the whole map holds (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        middle = max(channels // SQUEEZE, 8)
        self.weigh = nn.Sequential(
            nn.Linear(channels, middle), nn.ReLU(inplace=True), nn.Linear(middle, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * self.weigh(x.mean((2, 3)))[..., None, None]


class DenseBlock(nn.Module):
    """Layers that each see all before them and add an equal share of new channels; (B, C, ..) -> (B, 2C, ..)."""

    def __init__(self, channels: int):
        super().__init__()
        growth = channels // LAYERS
        self.layers = nn.ModuleList(separable(channels + k * growth, growth) for k in range(LAYERS))
        self.weigh = SqueezeExcite(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2C, H, W)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.weigh(x)


class DenseEncoder(nn.Module):
    """Three dense blocks, each at half the resolution of the one before and followed by pooling."""

    def __init__(self, channels: int):
        super().__init__()
        self.blocks = nn.ModuleList(DenseBlock(channels * 2**k) for k in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, S, S) -> maps of 2C, 4C and 8C channels at S/2, S/4, S/8."""
        maps = []
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
            maps.append(x)
        return maps


class DenseStack(nn.Module):
    """A `DenseEncoder` and the way back up, an hourglass.

    Args:
        channels: of the input.
        out_channels: of the result.
        full: the result has the resolution of the input; otherwise half of it.
    """

    def __init__(self, channels: int, out_channels: int, full: bool):
        super().__init__()
        self.encoder = DenseEncoder(channels)
        self.to_middle = conv_bn(8 * channels, 4 * channels, 1)
        self.middle = separable(8 * channels, 2 * channels)
        self.last = separable(4 * channels, out_channels)
        self.full = full

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, S, S) -> (B, 8C, S/8, S/8), and (B, out, S, S) or (B, out, S/2, S/2)."""
        fine, medium, deep = self.encoder(x)
        up = self.middle(torch.cat([upsample2(self.to_middle(deep)), medium], 1))
        out = self.last(torch.cat([upsample2(up), fine], 1))
        return deep, upsample2(out) if self.full else out
