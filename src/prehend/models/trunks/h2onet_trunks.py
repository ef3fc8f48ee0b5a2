"""What H2ONet sees in one image: joints' places, features for the mesh, a code for the orientation.

Two trunks: DenseStacks from nothing, as in the paper, and the pretrained EfficientNet-Lite of `unihope-s`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.models.layers.blocks import BasicBlock, conv_bn
from prehend.models.layers.fpn import FPN
from prehend.models.trunks.dense_stack import DenseEncoder, DenseStack, separable
from prehend.models.trunks.efficientnet_lite import HAND_TRUNK, HEAD_CHANNELS, PYRAMID_CHANNELS, EfficientNetLite

STACK_CHANNELS, STACK_OUT = 128, 24
"""Channels between stem and stacks, and of what a stack gives back."""


class TrunkFeatures(NamedTuple):
    """An image in the eyes of a trunk.

    Attributes:
        places: (B, 21, 2) of the joints, in [0, 1] of the crop (0 and 1 are its outer edges).
        latent: (B, C, h, w) to fetch joints' features from.
        whole: (B, D) the mean of the deepest map.
        orientation: (B, G) G of the paper: what tells the hand's direction. It does not teach the rest of the trunk.
    """

    places: Tensor
    latent: Tensor
    whole: Tensor
    orientation: Tensor


class HandTrunk(nn.Module, ABC):
    """A trunk.

    Attributes:
        whole_channels, orientation_size: D and G of `TrunkFeatures`.
    """

    whole_channels: int
    orientation_size: int

    @abstractmethod
    def forward(self, image: Tensor) -> TrunkFeatures:
        """(B, 3, S, S) RGB in [0, 1] -> what it sees."""

    @abstractmethod
    def orientation_parts(self) -> list[nn.Module]:
        """Layers that only the orientation needs."""


def fetched(latent: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w) map read at (B, N, 2) places in [0, 1] of the crop, bilinear, the border going on -> (B, N, C).

    As two products with hat functions, which every runtime does alike.
    """
    height, width = latent.shape[2:]
    x, y = places.unbind(-1)
    along, down = _hat(x, width), _hat(y, height)
    return torch.einsum("bnh,bchw,bnw->bnc", down, latent, along)


def _hat(place: Tensor, cells: int) -> Tensor:
    """(B, N) places in [0, 1] -> (B, N, cells) weights of the cells, whose middles are at (k + 0.5) / cells."""
    at = (place * cells - 0.5).clamp(0, cells - 1)
    steps = torch.arange(cells, dtype=place.dtype, device=place.device)
    return (1 - (at[..., None] - steps).abs()).clamp(min=0)


class PlaceRegressor(nn.Module):
    """A map per joint, flattened and led by one MLP for all joints to its place (MobRecon; docs/PAPERS.md, 1.2).

    Args:
        channels: of the input. cells: along a side of it. hidden: layers of the MLP.
    """

    def __init__(self, channels: int, cells: int, hidden: Sequence[int] = (128, 64)):
        super().__init__()
        self.maps = nn.Conv2d(channels, NUM_JOINTS, 1)
        layers: list[nn.Module] = []
        sizes = (cells * cells, *hidden)
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.Hardtanh(0, 4)]
        last = nn.Linear(sizes[-1], 2)
        nn.init.constant_(last.bias, 0.5)  # the middle of the crop
        self.mlp = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, cells, cells) -> (B, 21, 2)."""
        return self.mlp(self.maps(x).flatten(2))


class DenseTrunk(HandTrunk):
    """The paper's: stem, an hourglass for what both branches share, one for the mesh, an encoder for the orientation.

    Args:
        size: side of the image [px], a multiple of 32.
        latent: channels of what joints' features are fetched from.
        turned: channels of the orientation's two last convolutions.
    """

    def __init__(self, size: int, latent: int, turned: tuple[int, int] = (512, 256)):
        super().__init__()
        wide, deep = STACK_CHANNELS, 8 * STACK_CHANNELS
        self.stem = nn.Sequential(conv_bn(3, wide // 2, stride=2), separable(wide // 2, wide))
        self.narrow = conv_bn(4 * wide, wide, 1)
        self.shared = DenseStack(wide, STACK_OUT, full=True)
        self.join = conv_bn(wide + STACK_OUT, wide, 1)
        self.mesh = DenseStack(wide, STACK_OUT, full=False)
        self.latent = conv_bn(deep, latent, 1)
        self.joints = PlaceRegressor(STACK_OUT, size // 8)
        self.turn = DenseEncoder(wide)
        self.code = nn.Sequential(conv_bn(deep, turned[0], 1), conv_bn(turned[0], turned[1], 1), nn.Flatten())
        self.whole_channels, self.orientation_size = deep, turned[1] * (size // 32) ** 2

    def forward(self, image: Tensor) -> TrunkFeatures:
        """See `HandTrunk`."""
        x = self.narrow(F.pixel_unshuffle(self.stem(image), 2))
        shared = self.join(torch.cat([x, self.shared(x)[1]], 1))
        deep, fine = self.mesh(shared)
        code = self.code(self.turn(shared.detach())[-1] + deep.detach())
        return TrunkFeatures(self.joints(fine), self.latent(deep), deep.mean((2, 3)), code)

    def orientation_parts(self) -> list[nn.Module]:
        """See `HandTrunk`."""
        return [self.turn, self.code]


class LiteTrunk(HandTrunk):
    """MediaPipe's hand trunk: the joints' places are its own, features are fetched from a pyramid at stride 8.

    Args:
        size: side of the image [px], a multiple of 32.
        latent: channels of what joints' features are fetched from.
        turned: channels of the orientation's convolutions.
    """

    def __init__(self, size: int, latent: int, turned: tuple[int, int] = (256, 128)):
        super().__init__()
        self.trunk = EfficientNetLite(HAND_TRUNK)
        self.places = nn.Linear(HEAD_CHANNELS, 2 * NUM_JOINTS)
        self.pyramid = FPN(PYRAMID_CHANNELS[1:], latent, smooth=True)
        self.context = nn.Linear(HEAD_CHANNELS, latent)
        self.code = nn.Sequential(
            conv_bn(HEAD_CHANNELS, turned[0], 1),
            BasicBlock(turned[0], turned[0]),
            conv_bn(turned[0], turned[1], stride=2),
            nn.Flatten(),
        )
        cells = -(-size // 64)
        self.whole_channels, self.orientation_size = HEAD_CHANNELS, turned[1] * cells**2

    def forward(self, image: Tensor) -> TrunkFeatures:
        """See `HandTrunk`; the context of the whole hand is added to every cell, for joints that are hidden."""
        *maps, deep = self.trunk(image)
        whole = deep.mean((2, 3))
        latent = self.pyramid(maps[1:]) + self.context(whole)[..., None, None]
        places = self.places(whole).unflatten(1, (NUM_JOINTS, 2))
        return TrunkFeatures(places, latent, whole, self.code(deep.detach()))

    def orientation_parts(self) -> list[nn.Module]:
        """See `HandTrunk`."""
        return [self.code]
