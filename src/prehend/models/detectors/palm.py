"""Detector of palms in whole frames: the network of MediaPipe's palm_detection_full, with further answers of ours.

An SSD (Liu et al., ECCV 2016) whose anchors are points: two in each cell of 8 pixels and six in each of 16. Bodies are
BlazeFace's (Bazarevsky et al. 2019): depthwise 5x5, projection, shortcut. It is convolutional all through, so that the
same numbers look at frames of any size that 32 divides: at a larger one for smaller hands.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prehend.models.layers.blocks import SameConv2d
from prehend.models.stage import Stage, Staged

PALM_STRIDES = (8, 16)
"""Input pixels per cell of the two maps that answer."""

PALM_ANCHORS = (2, 6)
"""Answers of each cell of them."""

BOX_NUMBERS = 18
"""Middle and size of the palm's box, then its seven points: x, y each."""

EXTRA_NUMBERS = 10
"""Region of the whole hand (4), side (1), held (1), box of what is held (4)."""


@dataclass(frozen=True)
class PalmConfig:
    """The numbers of the detector.

    Attributes:
        size: side of the square input of stage `detect` [px].
        wide_size: the same of stage `detect_wide`, for small hands [px].
        widths: channels at strides 2, 4, 8, 16 and 32.
        blocks: of each width, after the one that halves.
        merged: blocks of each map that answers.
    """

    size: int = 192
    wide_size: int = 384
    widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 256)
    blocks: int = 4
    merged: int = 2


PALM = PalmConfig()


class Palms(NamedTuple):
    """Outputs of both stages; A answers, those of stride 8 first, row by row.

    Attributes:
        scores: (B, A, 1) logit of a palm.
        boxes: (B, A, 28), see `prehend.pipeline.detection.palms`.
    """

    scores: Tensor
    boxes: Tensor


class ChannelPReLU(nn.PReLU):
    """PReLU with a slope for each channel.

    In a graph it is (1 - slope) * relu(x) + slope * x, both products as depthwise convolutions: ONNX Runtime's own
    PRelu takes more than half of the network's time and leaves the layout that convolutions are fast in.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        if not torch.onnx.is_in_onnx_export():
            return super().forward(x)
        slope, channels = self.weight.view(-1, 1, 1, 1), self.num_parameters
        return F.conv2d(F.relu(x), 1 - slope, groups=channels) + F.conv2d(x, slope, groups=channels)


class PalmBlock(nn.Module):
    """Depthwise 5x5 and projection, added to the input: with stride 2 to its maxima, and to nought in further channels.

    Args:
        in_channels, out_channels: of input and output. stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.depthwise = SameConv2d(in_channels, in_channels, 5, stride, groups=in_channels)
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.act = ChannelPReLU(out_channels)
        self._stride, self._further = stride, out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        shortcut = x if self._stride == 1 else F.max_pool2d(x, self._stride)
        if self._further:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self._further))
        return self.act(shortcut + self.project(self.depthwise(x)))


class _Merge(nn.Module):
    """A map brought to twice its size and another's channels, added to that one."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int):
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.act = ChannelPReLU(out_channels)
        self.body = nn.Sequential(*(PalmBlock(out_channels, out_channels) for _ in range(blocks)))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, in, h, w), (B, out, 2 h, 2 w) -> (B, out, 2 h, 2 w)."""
        larger = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        return self.body(fine + self.act(self.project(larger)))


class PalmAnswers(nn.Module):
    """What a map says of each of its anchors.

    Args:
        channels: of the map. anchors: of each cell.

    Attributes:
        known: score and box, as in the published network.
        further: what is ours; begins as nought.
    """

    def __init__(self, channels: int, anchors: int):
        super().__init__()
        # many channels each: torch 2.13 writes past the buffer of convolutions with fewer than eight
        self.known = nn.Conv2d(channels, anchors * (1 + BOX_NUMBERS), 1)
        self.further = nn.Conv2d(channels, anchors * EXTRA_NUMBERS, 1)
        for parameter in self.further.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, h * w * anchors, 29)."""
        parts = ((self.known, 1 + BOX_NUMBERS), (self.further, EXTRA_NUMBERS))
        rows = [part(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers)) for part, numbers in parts]
        return torch.cat(rows, -1)


class PalmDetector(Staged):
    """The network.

    Args:
        config: its numbers.
    """

    def __init__(self, config: PalmConfig = PALM):
        super().__init__()
        self.config = config
        widths, blocks = config.widths, config.blocks
        self.stem = nn.Sequential(SameConv2d(3, widths[0], 5, stride=2), ChannelPReLU(widths[0]))
        first = nn.Sequential(*(PalmBlock(widths[0], widths[0]) for _ in range(blocks)))
        layers = [first, *(_layer(i, o, blocks) for i, o in pairwise(widths))]
        self.layers = nn.ModuleList(layers)
        self.merge_16 = _Merge(widths[4], widths[3], config.merged)
        self.merge_8 = _Merge(widths[3], widths[2], config.merged)
        self.answers = nn.ModuleList(
            PalmAnswers(channels, anchors) for channels, anchors in zip(widths[2:4], PALM_ANCHORS, strict=True)
        )

    def stages(self) -> dict[str, Stage]:
        """The same network on two sizes of input."""
        return {
            name: Stage(
                "forward",
                {"image": ("B", 3, size, size)},
                {
                    "scores": ("B", count_answers(size), 1),
                    "boxes": ("B", count_answers(size), BOX_NUMBERS + EXTRA_NUMBERS),
                },
            )
            for name, size in (("detect", self.config.size), ("detect_wide", self.config.wide_size))
        }

    def forward(self, image: Tensor) -> Palms:
        """(B, 3, S, S) letterboxed RGB in [0, 1], S a multiple of 32 -> what each anchor says."""
        answers = torch.cat([answer(x) for answer, x in zip(self.answers, self.features(image), strict=True)], 1)
        return Palms(*answers.split([1, BOX_NUMBERS + EXTRA_NUMBERS], -1))

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> the maps that answer, (B, 128, S/8, S/8) and (B, 256, S/16, S/16)."""
        maps, x = [], self.stem(image)
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        at_16 = self.merge_16(maps[4], maps[3])
        return self.merge_8(at_16, maps[2]), at_16


def count_answers(size: int) -> int:
    """A, answers about an input of a side [px]."""
    return sum(anchors * (size // stride) ** 2 for stride, anchors in zip(PALM_STRIDES, PALM_ANCHORS, strict=True))


def build_palm(config: PalmConfig) -> PalmDetector:
    """The detector of a configuration, with fresh weights."""
    return PalmDetector(config)


def _layer(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    same = (PalmBlock(out_channels, out_channels) for _ in range(blocks))
    return nn.Sequential(PalmBlock(in_channels, out_channels, 2), *same)
