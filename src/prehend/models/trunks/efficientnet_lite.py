"""EfficientNet-Lite (Tan and Le, ICML 2019, in its Lite variant) with batch normalisation folded into the convolutions.

MediaPipe's hand network is one with a narrower start; both are numbers of one module. Cells lie as TensorFlow lays
them: at stride 2 the odd pixel of padding is right and below.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from prehend.models.layers.blocks import SameConv2d

INITIAL_CHANNELS = 16
"""After the stem, table row 1."""

EXPANSION = 6
"""Times the channels of its input is what a block widens to; the first block of all has a number of its own."""


@dataclass(frozen=True)
class StageRow:
    """A row of EfficientNet-B0's table.

    Attributes:
        channels: that come out. kernel: of the depthwise convolutions. stride: of the first block. blocks: how many.
    """

    channels: int
    kernel: int
    stride: int
    blocks: int


STAGES = (
    StageRow(24, 3, 2, 2),
    StageRow(40, 5, 2, 2),
    StageRow(80, 3, 2, 3),
    StageRow(112, 5, 1, 3),
    StageRow(192, 5, 2, 4),
)
"""Rows 2 to 6: the same in the whole family that is used here."""

HEAD_CHANNELS = EXPANSION * STAGES[-1].channels
PYRAMID = (0, 1, 3, 4)
"""Stages whose maps `EfficientNetLite.forward` returns: strides 4, 8, 16, 32."""
PYRAMID_CHANNELS = tuple(STAGES[i].channels for i in PYRAMID)


@dataclass(frozen=True)
class EfficientNetLiteConfig:
    """What differs within the family.

    Attributes:
        stem: channels of the first convolution.
        first_expansion: what the first block of stage 2 widens to.
        mean, std: the network sees (image - mean) / std, image in [0, 1].
    """

    stem: int = 24
    first_expansion: int = 64
    mean: float = 0.0
    std: float = 1.0


HAND_TRUNK = EfficientNetLiteConfig()
"""MediaPipe's hand_landmark_full; takes images in [0, 1] as they are."""

LITE0 = EfficientNetLiteConfig(stem=32, first_expansion=96, mean=127 / 255, std=128 / 255)
"""EfficientNet-Lite0 of ImageNet."""


def relu6() -> nn.Module:
    """ReLU6; not in place, so that what went in can be kept."""
    return nn.ReLU6()


class Widened(nn.Sequential):
    """1x1 convolution to more channels and a depthwise one, each with ReLU6: a block without its projection.

    Args:
        in_channels: of the input. channels: widened to. kernel, stride: of the depthwise convolution.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1):
        super().__init__()
        self.expand = nn.Conv2d(in_channels, channels, 1)
        self.act_expand = relu6()
        self.depthwise = SameConv2d(channels, channels, kernel, stride, groups=channels)
        self.act_depthwise = relu6()


class InvertedResidual(nn.Module):
    """Widen, filter each channel, project linearly; with a shortcut where shapes agree (Sandler et al., CVPR 2018).

    Args:
        in_channels, out_channels: of input and output. expansion: channels between. kernel, stride: of the depthwise
            convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int = 1):
        super().__init__()
        self.widened = Widened(in_channels, expansion, kernel, stride)
        self.project = nn.Conv2d(expansion, out_channels, 1)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        y = self.project(self.widened(x))
        return x + y if self.shortcut else y


class Stem(nn.Sequential):
    """Table row 1 with the convolution before it: 3x3 of stride 2, depthwise 3x3, projection to 16 channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = SameConv2d(3, channels, 3, stride=2)
        self.act_conv = relu6()
        self.depthwise = SameConv2d(channels, channels, 3, groups=channels)
        self.act_depthwise = relu6()
        self.project = nn.Conv2d(channels, INITIAL_CHANNELS, 1)


def make_stage(in_channels: int, row: StageRow, first_expansion: int | None = None) -> nn.Sequential:
    """The blocks of a row.

    Args:
        in_channels: of the input. row: of the table. first_expansion: channels between in the first block; None for six
            times its input.
    """
    first = InvertedResidual(
        in_channels, row.channels, first_expansion or EXPANSION * in_channels, row.kernel, row.stride
    )
    wide = EXPANSION * row.channels
    rest = (InvertedResidual(row.channels, row.channels, wide, row.kernel) for _ in range(row.blocks - 1))
    return nn.Sequential(first, *rest)


class EfficientNetLite(nn.Module):
    """The trunk.

    Attributes:
        stem: image to 16 channels at stride 2.
        stages: table rows 2 to 6, each callable on the map of the one before.
        head: the last map to 1152 channels of the same size, without projection.
    """

    def __init__(self, config: EfficientNetLiteConfig = HAND_TRUNK):
        super().__init__()
        self.config = config
        self.stem = Stem(config.stem)
        inputs = (INITIAL_CHANNELS, *(row.channels for row in STAGES[:-1]))
        firsts = (config.first_expansion, *[None] * (len(STAGES) - 1))
        self.stages = nn.ModuleList(
            make_stage(channels, row, first) for channels, row, first in zip(inputs, STAGES, firsts, strict=True)
        )
        self.head = Widened(STAGES[-1].channels, HEAD_CHANNELS, kernel=3)

    def start(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in [0, 1], S a multiple of 32 -> (B, 16, S/2, S/2), the input of `stages[0]`."""
        c = self.config
        return self.stem(image if (c.mean, c.std) == (0, 1) else (image - c.mean) / c.std)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, S, S) RGB in [0, 1], S a multiple of 32 -> maps of 24, 40, 112, 192 channels at strides 4, 8, 16, 32,
        and the head's of 1152 at stride 32."""
        maps, x = [], self.start(image)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [*(maps[i] for i in PYRAMID), self.head(x)]
