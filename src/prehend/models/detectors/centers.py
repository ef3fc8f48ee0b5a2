"""Detector of hands in whole frames: one shot at stride 8, hand centres as heat (after CenterNet, Zhou et al. 2019, and
FCOS, Tian et al., ICCV 2019), with the box of the hand and of what it holds at each cell."""

from dataclasses import dataclass
from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.models.layers.blocks import conv_bn
from prehend.models.layers.fpn import FPN
from prehend.models.stage import Stage, Staged
from prehend.models.trunks.backbone import Trunk, basic_layer

CENTER_STRIDE = 8
"""Input pixels per cell. Cell i covers pixels 8 i to 8 i + 7, its centre is pixel 8 i + 3.5."""

LOG_RANGE = 4.0
"""A side of the hand box lies between exp(-4) and exp(4) cells of its cell centre (0.15 to 437 px)."""

OBJECT_SCALE_PX = 64.0
"""Raw outputs of the object box are in these units."""


@dataclass(frozen=True)
class CenterDetectorConfig:
    """The numbers of the detector.

    Attributes:
        size: side of the square input [px].
        stem: channels of the two stem convolutions, at strides 2 and 4.
        widths: channels of the layers at strides 8, 16, ...
        blocks: residual blocks of each layer.
        channels: channels of the pyramid.
        head: channels of the head.
        prior: heat of every cell before training; the focal loss needs it low.
    """

    size: int = 256
    stem: tuple[int, int] = (16, 24)
    widths: tuple[int, ...] = (48, 96, 160, 192)
    blocks: tuple[int, ...] = (2, 1, 1, 1)
    channels: int = 64
    head: int = 64
    prior: float = 0.01


CENTER_DETECTOR = CenterDetectorConfig()


class CenterMaps(NamedTuple):
    """Outputs of stage `find`, G = S / 8.

    Attributes:
        hand_heat: (B, 1, G, G) logit of a hand's centre, whatever its side.
        side_logit: (B, 1, G, G) logit of the hand there being a right one.
        hand_box: (B, 4, G, G) distances from the cell centre to left, top, right, bottom [px], positive.
        held_logit: (B, 1, G, G) logit of the hand holding something.
        object_box: (B, 4, G, G) x0, y0, x1, y1 of the held object from the cell centre [px].
    """

    hand_heat: Tensor
    side_logit: Tensor
    hand_box: Tensor
    held_logit: Tensor
    object_box: Tensor


class CenterDetector(Staged):
    """The network: trunk, pyramid, head.

    Args:
        config: numbers that the parts were built with.
        trunk: image to maps at strides 8, 16, ...
        fpn: maps to one at stride 8.
        head: that map to features of `head_channels`.
        head_channels: channels that the answers are read from.
    """

    def __init__(
        self, config: CenterDetectorConfig, trunk: nn.Module, fpn: nn.Module, head: nn.Module, head_channels: int
    ):
        super().__init__()
        self.config = config
        self.trunk, self.fpn, self.head = trunk, fpn, head
        self.answers = nn.Conv2d(head_channels, 11, 1)
        nn.init.normal_(self.answers.weight, std=0.01)
        prior = -log((1 - config.prior) / config.prior)
        begin = [prior, 0.0] + [log(4.0)] * 4 + [0.0] * 5  # rare hands, of 64 px
        self.answers.bias = nn.Parameter(torch.tensor(begin))

    def stages(self) -> dict[str, Stage]:
        """The one stage and the shapes of its arrays."""
        side = self.config.size // CENTER_STRIDE
        outputs = {"hand_heat": 1, "side_logit": 1, "hand_box": 4, "held_logit": 1, "object_box": 4}
        return {
            "find": Stage(
                "forward",
                {"image": ("B", 3, self.config.size, self.config.size)},
                {name: ("B", channels, side, side) for name, channels in outputs.items()},
            )
        }

    def forward(self, image: Tensor) -> CenterMaps:
        """Stage `find`: (B, 3, S, S) letterboxed RGB in [0, 1] -> what each cell says."""
        return self.answer(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, head, G, G) what the answers are read from."""
        return self.head(self.fpn(self.trunk(image)))

    def answer(self, features: Tensor) -> CenterMaps:
        """(B, head, G, G) -> what each cell says."""
        heat, side, box, held, thing = self.answers(features).split([1, 1, 4, 1, 4], dim=1)
        box = box.clamp(-LOG_RANGE, LOG_RANGE).exp() * CENTER_STRIDE
        return CenterMaps(heat, side, box, held, thing * OBJECT_SCALE_PX)


def build_center_detector(config: CenterDetectorConfig) -> CenterDetector:
    """The detector of a configuration, with fresh weights."""
    c = config
    stem = nn.Sequential(conv_bn(3, c.stem[0], stride=2), conv_bn(c.stem[0], c.stem[1], stride=2))
    inputs = (c.stem[1], *c.widths[:-1])
    layers = [basic_layer(i, o, n) for i, o, n in zip(inputs, c.widths, c.blocks, strict=True)]
    fpn = FPN(c.widths, c.channels, smooth=True)
    return CenterDetector(c, Trunk(stem, layers), fpn, conv_bn(c.channels, c.head), c.head)
