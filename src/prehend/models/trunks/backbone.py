"""Convolutional trunks: image to feature maps of ever fewer, ever wider cells."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from prehend.models.layers.blocks import Activation, BasicBlock, Bottleneck, conv_bn, leaky_relu
from prehend.models.layers.fpn import FPN


class Streams(NamedTuple):
    """What the trunk hands to the rest of UniHOPE.

    Attributes:
        initial: (B, Ci, S/8, S/8) layer 2 of the hand stream, the "initial level" of the feature enhancement.
        deep: (B, Cd, S/32, S/32) layer 4 of the hand stream.
        hand_map: (B, C, S/4, S/4) finest map of the hand's feature pyramid.
        object_source: (B, Co, h, w) what the object stream goes on from.
    """

    initial: Tensor
    deep: Tensor
    hand_map: Tensor
    object_source: Tensor


def basic_layer(in_channels: int, out_channels: int, blocks: int, stride: int = 2) -> nn.Sequential:
    """`blocks` basic blocks, the first with `stride`."""
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


def bottleneck_layer(in_channels: int, width: int, blocks: int, stride: int, act: Activation) -> nn.Sequential:
    """`blocks` bottlenecks, the first with `stride`; ends with 4 * width channels."""
    rest = (Bottleneck(width * Bottleneck.expansion, width, act=act) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(in_channels, width, stride, act), *rest)


class Trunk(nn.Module):
    """Stem and layers; the first layer's stride is its own affair, each further one halves the resolution."""

    def __init__(self, stem: nn.Module, layers: Sequence[nn.Module]):
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, S, S) -> the map after each layer."""
        maps, x = [], self.stem(image)
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class StreamsModule(nn.Module, ABC):
    """Image to the streams of hand and object.

    Attributes:
        deep_channels: channels of `Streams.deep`.
    """

    deep_channels: int

    @abstractmethod
    def forward(self, image: Tensor) -> Streams:
        """(B, 3, S, S) -> streams."""

    @abstractmethod
    def object_map(self, source: Tensor) -> Tensor:
        """`object_source` -> (B, C, h, w) map of the object."""


class SharedTrunkStreams(StreamsModule):
    """The streams of unihope-xs: one trunk for the hand; the object stream leaves it after layer 2 and is not
    computed here, so that an empty hand costs nothing for it."""

    def __init__(self, trunk: Trunk, hand_fpn: FPN, object_layer: nn.Module, object_fpn: FPN, deep_channels: int):
        super().__init__()
        self.deep_channels = deep_channels
        self.trunk, self.hand_fpn = trunk, hand_fpn
        self.object_layer, self.object_fpn = object_layer, object_fpn

    def forward(self, image: Tensor) -> Streams:
        """(B, 3, S, S) -> streams; `object_source` is the map after layer 2."""
        maps = self.trunk(image)
        return Streams(maps[1], maps[-1], self.hand_fpn(maps), maps[1])

    def object_map(self, source: Tensor) -> Tensor:
        """(B, Co, S/8, S/8) `object_source` -> (B, C, S/8, S/8) map of the object."""
        return self.object_fpn([source, self.object_layer(source)])


class DuplicatedStreams(StreamsModule):
    """The streams of the paper: stem, layer 1 and layer 4 are shared, layers 2 and 3 and the pyramid are
    there twice, once for the hand and once for the object (docs/PAPERS.md 1.1, after HFL-Net)."""

    def __init__(
        self,
        early: nn.Module,
        hand_middle: Sequence[nn.Module],
        object_middle: Sequence[nn.Module],
        late: nn.Module,
        hand_fpn: FPN,
        object_fpn: FPN,
        deep_channels: int,
    ):
        super().__init__()
        self.deep_channels = deep_channels
        self.early, self.late = early, late
        self.hand_middle, self.object_middle = nn.ModuleList(hand_middle), nn.ModuleList(object_middle)
        self.hand_fpn, self.object_fpn = hand_fpn, object_fpn

    def _maps(self, c2: Tensor, middle: nn.ModuleList) -> list[Tensor]:
        maps = [c2]
        for layer in (*middle, self.late):
            maps.append(layer(maps[-1]))
        return maps

    def forward(self, image: Tensor) -> Streams:
        """(B, 3, S, S) -> streams; `object_source` is the finished map of the object, (B, C, S/4, S/4)."""
        c2 = self.early(image)
        hand, thing = self._maps(c2, self.hand_middle), self._maps(c2, self.object_middle)
        return Streams(hand[1], hand[-1], self.hand_fpn(hand), self.object_fpn(thing))

    def object_map(self, source: Tensor) -> Tensor:
        """The map is finished already."""
        return source


def resnet50_streams(channels: int) -> DuplicatedStreams:
    """ResNet-50 with LeakyReLU in two streams and two pyramids of `channels` channels."""
    act = leaky_relu
    early = nn.Sequential(
        conv_bn(3, 64, 7, 2, act), nn.MaxPool2d(3, 2, 1), bottleneck_layer(64, 64, blocks=3, stride=1, act=act)
    )

    def middle() -> list[nn.Module]:
        return [bottleneck_layer(256, 128, 4, 2, act), bottleneck_layer(512, 256, 6, 2, act)]

    widths = (256, 512, 1024, 2048)
    return DuplicatedStreams(
        early,
        middle(),
        middle(),
        bottleneck_layer(1024, 512, 3, 2, act),
        FPN(widths, channels, smooth=True),
        FPN(widths, channels, smooth=True),
        widths[-1],
    )


def small_streams(widths: Sequence[int], blocks: Sequence[int], channels: int, object_width: int) -> SharedTrunkStreams:
    """Basic blocks of `widths` channels at strides 4, 8, 16, ..., pyramids of `channels` channels.

    Args:
        widths: channels after each layer; the stem has those of the first.
        blocks: basic blocks of each layer.
        channels: channels of both pyramids.
        object_width: channels of the object stream's own layer.
    """
    stem = nn.Sequential(conv_bn(3, widths[0], stride=2), conv_bn(widths[0], widths[0], stride=2))
    layers: list[nn.Module] = [basic_layer(widths[0], widths[0], blocks[0], stride=1)]
    layers += [basic_layer(widths[i - 1], widths[i], blocks[i]) for i in range(1, len(widths))]
    return SharedTrunkStreams(
        Trunk(stem, layers),
        FPN(widths, channels, smooth=False),
        basic_layer(widths[1], object_width, blocks=2),
        FPN((widths[1], object_width), channels, smooth=True),
        widths[-1],
    )
