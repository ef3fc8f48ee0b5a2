"""Convolution blocks that the networks are composed of."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[], nn.Module]
"""Makes a fresh activation layer."""


def relu() -> nn.Module:
    """ReLU in place."""
    return nn.ReLU(inplace=True)


def leaky_relu(slope: float = 0.01) -> nn.Module:
    """LeakyReLU in place, with UniHOPE's slope by default."""
    return nn.LeakyReLU(slope, inplace=True)


def rectifier(slope: float) -> Activation:
    """Of fully connected layers, which no normalisation keeps from falling silent: LeakyReLU; ReLU at slope 0."""
    return partial(leaky_relu, slope) if slope else relu


def mlp(size: int, hidden: Sequence[int], out: int, slope: float, silent: bool = False) -> nn.Sequential:
    """Linear layers with `rectifier` between them; a silent one answers with zeros until it is trained."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(size, width), rectifier(slope)()]
        size = width
    last = nn.Linear(size, out)
    if silent:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def conv_bn(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, act: Activation | None = relu
) -> nn.Sequential:
    """Convolution without bias, batch normalisation and activation: one convolution after folding.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: odd kernel size; the padding keeps cell i of the output centred on cell `stride * i` of the input.
        stride: step of the convolution.
        act: activation, None for a linear output.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if act is not None:
        layers.append(act())
    return nn.Sequential(*layers)


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's padding "SAME" of one axis: cells before and after, for inputs that `stride` divides.

    The output has a cell for every `stride` of the input; an odd number of padding cells has the greater half behind.
    """
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's padding "SAME" (see `same_padding`), the same on both axes.

    Args:
        in_channels, out_channels: of input and output.
        kernel: odd size.
        stride: step; the input's sides are multiples of it.
        groups: as in `nn.Conv2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1):
        before, after = same_padding(kernel, stride)
        even = before if before == after else 0
        super().__init__(in_channels, out_channels, kernel, stride, even, groups=groups)
        self._uneven = None if before == after else (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        return super().forward(x if self._uneven is None else F.pad(x, self._uneven))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., CVPR 2016)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, act: Activation = relu):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(in_channels, out_channels, 3, stride, act), conv_bn(out_channels, out_channels, act=None)
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv_bn(in_channels, out_channels, 1, stride, act=None)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        return self.act(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1 to four times the width, with a shortcut (He et al., CVPR 2016)."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, act: Activation = leaky_relu):
        super().__init__()
        out_channels = width * self.expansion
        self.body = nn.Sequential(
            conv_bn(in_channels, width, 1, act=act),
            conv_bn(width, width, 3, stride, act),
            conv_bn(width, out_channels, 1, act=None),
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv_bn(in_channels, out_channels, 1, stride, act=None)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        return self.act(self.body(x) + self.shortcut(x))


class PreActBottleneck(nn.Module):
    """Residual of the stacked hourglass: normalisation and activation come before each convolution, and the
    3x3 convolution has half the channels (Newell et al., ECCV 2016)."""

    def __init__(self, channels: int, act: Activation = leaky_relu):
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            act(),
            nn.Conv2d(channels, half, 1),
            nn.BatchNorm2d(half),
            act(),
            nn.Conv2d(half, half, 3, padding=1),
            nn.BatchNorm2d(half),
            act(),
            nn.Conv2d(half, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.body(x)


def present(known: Tensor) -> Tensor:
    """(B, N) frames or views that are known -> the same as 0 and 1; the first one is always there."""
    there = (known > 0.5).to(known.dtype)
    return torch.cat([torch.ones_like(there[:, :1]), there[:, 1:]], 1)
