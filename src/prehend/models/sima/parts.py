"""What both networks of SiMA-Hand are built of: what an image shows, residual mappers, attention, the mesh decoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import JOINTS_FROM_MANO, NUM_JOINTS
from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import HandModel
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.heads.mano import turn_from
from prehend.models.layers.blocks import BasicBlock, conv_bn, mlp, rectifier
from prehend.models.layers.fpn import FPN
from prehend.models.meshes.h2onet import mean_hand
from prehend.models.meshes.spiral import FlatTable, MeshDecoder, SpiralConv
from prehend.models.trunks.dense_stack import DenseEncoder, DenseStack, separable
from prehend.models.trunks.efficientnet_lite import HAND_TRUNK, HEAD_CHANNELS, PYRAMID_CHANNELS, EfficientNetLite
from prehend.models.trunks.h2onet_trunks import STACK_CHANNELS, STACK_OUT, PlaceRegressor

MAPPER_LAYERS = 3


@dataclass(frozen=True)
class SimaConfig:
    """The numbers of one network.

    Attributes:
        size: side of the square input [px], a multiple of 32.
        trunk: `dense`, H2ONet's; `hand`, the pretrained EfficientNet-Lite.
        levels, channels, spiral: of the mesh decoder, as in `H2ONetConfig`.
        width: features of a token of the orientation; 1024 with the dense trunk, whose encoder ends so.
        heads, head_width: of the attention.
        narrow: features that a token keeps for the MLP.
        orientation: layers of that MLP.
        enhanced: the orientation's feature passes through the attention; without it the cells of its map go on alone.
        slope: of the fully connected layers' rectifiers below zero, see `UniHOPELiteConfig`; the paper has none.
        views: most views that are fused; 1 for the single-view network.
        triangulates: where the rays of the views meet goes into the vertices' features; the paper has no such part.
    """

    size: int = 224
    trunk: Literal["dense", "hand"] = "hand"
    levels: tuple[int, ...] = (100, 200, 399, 798, 1596)
    channels: tuple[int, ...] = (128, 128, 64, 32, 32)
    spiral: int = 9
    width: int = 256
    heads: int = 8
    head_width: int = 32
    narrow: int = 32
    orientation: tuple[int, ...] = (512, 256)
    enhanced: bool = True
    slope: float = 0.1
    views: int = 1
    triangulates: bool = False

    @property
    def cells(self) -> int:
        """Cells of the orientation's map, all together."""
        return (self.size // 32) ** 2


class EyeFeatures(NamedTuple):
    """An image in the eyes of a trunk.

    Attributes:
        places: (B, 21, 2) of the joints, in [0, 1] of the crop (0 and 1 are its outer edges).
        latent: (B, C, h, w) to fetch joints' features from.
        image: (B, D, h', w') the image-level feature, from which the orientation is read; it teaches nothing before it.
    """

    places: Tensor
    latent: Tensor
    image: Tensor


class Eyes(nn.Module, ABC):
    """A trunk.

    Attributes:
        image_channels: D of `EyeFeatures`.
    """

    image_channels: int

    @abstractmethod
    def forward(self, image: Tensor) -> EyeFeatures:
        """(B, 3, S, S) RGB in [0, 1] -> what it sees."""

    @abstractmethod
    def turned(self, image: Tensor) -> Tensor:
        """(B, D, h', w') image-level feature -> (B, W, S/32, S/32) of the orientation."""


class DenseEyes(Eyes):
    """DenseStacks as in H2ONet: an hourglass for what both branches share, one for the mesh.

    Args:
        config: of the network.
    """

    def __init__(self, config: SimaConfig):
        super().__init__()
        wide = STACK_CHANNELS
        if config.width != 8 * wide:
            raise WeightsMismatch(f"the dense trunk's orientation has {8 * wide} features, not {config.width}")
        self.stem = nn.Sequential(conv_bn(3, wide // 2, stride=2), separable(wide // 2, wide))
        self.narrow = conv_bn(4 * wide, wide, 1)
        self.shared = DenseStack(wide, STACK_OUT, full=True)
        self.join = conv_bn(wide + STACK_OUT, wide, 1)
        self.mesh = DenseStack(wide, STACK_OUT, full=False)
        self.latent = conv_bn(8 * wide, config.channels[0], 1)
        self.joints = PlaceRegressor(STACK_OUT, config.size // 8)
        self.turn = DenseEncoder(wide)
        self.image_channels = wide

    def forward(self, image: Tensor) -> EyeFeatures:
        """See `Eyes`."""
        x = self.narrow(F.pixel_unshuffle(self.stem(image), 2))
        shared = self.join(torch.cat([x, self.shared(x)[1]], 1))
        deep, fine = self.mesh(shared)
        return EyeFeatures(self.joints(fine), self.latent(deep), shared.detach())

    def turned(self, image: Tensor) -> Tensor:
        """See `Eyes`."""
        return self.turn(image)[-1]


class LiteEyes(Eyes):
    """MediaPipe's hand trunk: places are its own, joints' features come from a pyramid at stride 8.

    Args:
        config: of the network.
    """

    def __init__(self, config: SimaConfig):
        super().__init__()
        self.trunk = EfficientNetLite(HAND_TRUNK)
        self.places = nn.Linear(HEAD_CHANNELS, 2 * NUM_JOINTS)
        self.pyramid = FPN(PYRAMID_CHANNELS[1:], config.channels[0], smooth=True)
        self.context = nn.Linear(HEAD_CHANNELS, config.channels[0])
        self.narrow = conv_bn(HEAD_CHANNELS, config.width, 1)
        self.turn = BasicBlock(config.width, config.width)
        self.image_channels = config.width

    def forward(self, image: Tensor) -> EyeFeatures:
        """See `Eyes`; the context of the whole hand is added to every cell, for joints that are hidden."""
        *maps, deep = self.trunk(image)
        whole = deep.mean((2, 3))
        latent = self.pyramid(maps[1:]) + self.context(whole)[..., None, None]
        return EyeFeatures(self.places(whole).unflatten(1, (NUM_JOINTS, 2)), latent, self.narrow(deep.detach()))

    def turned(self, image: Tensor) -> Tensor:
        """See `Eyes`."""
        return self.turn(image)


class Mapper(nn.Module):
    """A residual mapper: 1x1 convolutions beside a shortcut (docs/PAPERS.md 1.3).

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(*(conv_bn(channels, channels, 1) for _ in range(MAPPER_LAYERS)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        return x + self.body(x)


class Attention(nn.Module):
    """Multi-head attention with a shortcut and a normalisation (Vaswani et al., 2017).

    Args:
        width: of a token. heads, head_width: of the attention.
    """

    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.query, self.key, self.value = (nn.Linear(width, heads * head_width) for _ in range(3))
        self.out, self.norm = nn.Linear(heads * head_width, width), nn.LayerNorm(width)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B, Q, W) tokens that ask, (B, K, W) tokens that are asked -> (B, Q, W)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
            for part in (self.query(query), self.key(context), self.value(context))
        )
        weights = torch.softmax(q @ k.transpose(2, 3) * self.head_width**-0.5, -1)
        return self.norm(query + self.out((weights @ v).transpose(1, 2).flatten(2)))


class Enhancement(nn.Module):
    """The orientation's feature asked for by the joints' (fig. 3b, eq. 5): self-attention of each, then cross-attention
    with the joints' as the query.

    Args:
        config: of the network.
    """

    def __init__(self, config: SimaConfig):
        super().__init__()
        numbers = config.width, config.heads, config.head_width
        self.of_joints, self.of_turn, self.across = (Attention(*numbers) for _ in range(3))
        # keys without a place would not tell the crop's left from its right
        self.where = nn.Parameter(torch.randn(config.cells, config.width) * 0.02)

    def forward(self, joints: Tensor, turned: Tensor) -> Tensor:
        """(B, 21, W) joint-level tokens, (B, cells, W) of the orientation -> (B, 21, W) enhanced."""
        turned = turned + self.where
        return self.across(self.of_joints(joints, joints), self.of_turn(turned, turned))


class Orientation(nn.Module):
    """The orientation branch behind its encoder: enhancement, and an MLP over all tokens.

    Args:
        config: of the network.
    """

    def __init__(self, config: SimaConfig):
        super().__init__()
        self.of_place = nn.Linear(2, config.width) if config.enhanced else None
        self.enhance = Enhancement(config) if config.enhanced else None
        tokens = NUM_JOINTS if config.enhanced else config.cells
        self.narrow = nn.Sequential(nn.Linear(config.width, config.narrow), rectifier(config.slope)(), nn.Flatten())
        self.regress = mlp(tokens * config.narrow, config.orientation, 6, config.slope)

    def forward(self, joints: Tensor | None, places: Tensor, turned: Tensor) -> Tensor:
        """The feature that is compared with the teacher's.

        Args:
            joints: (B, 21, W) joint-level tokens; None without enhancement.
            places: (B, 21, 2) of the joints in the crop, which are told along with them.
            turned: (B, W, h, w) of the encoder.

        Returns:
            (B, T, W); T is 21, or the cells of `turned` without enhancement.
        """
        tokens = turned.flatten(2).transpose(1, 2)
        if self.enhance is None or self.of_place is None or joints is None:
            return tokens
        return self.enhance(joints + self.of_place(places - 0.5), tokens)

    def rotation(self, feature: Tensor) -> Tensor:
        """(B, T, W) -> (B, 3, 3) from the canonical pose to the crop frame."""
        return turn_from(self.regress(self.narrow(feature)))


class HandDecoder(nn.Module):
    """From features of the coarsest vertices to the mesh in canonical pose, as in H2ONet; without a hand until `fill`.

    Args:
        config: of the network.
    """

    def __init__(self, config: SimaConfig):
        super().__init__()
        vertices = config.levels[-1]
        self.levels = config.levels
        self.lift = nn.Parameter(torch.full((config.levels[0], NUM_JOINTS), 0.01))
        self.upwards = MeshDecoder(config.levels, config.channels, config.spiral)
        self.mesh = SpiralConv(config.channels[-1], 3, vertices, config.spiral)
        self.regressor, self.template = FlatTable(NUM_JOINTS, vertices), FlatTable(vertices, 3)

    @torch.no_grad()
    def fill(self, model: HandModel, pyramid: MeshPyramid) -> None:
        """Take in a hand: its tables, the places of its joints, its mean pose as the first answer.

        Raises:
            WeightsMismatch: the pyramid has other sizes than the network.
        """
        if pyramid.sizes != self.levels:
            raise WeightsMismatch(f"the network is for meshes of {self.levels}, the pyramid has {pyramid.sizes}")
        self.upwards.fill(pyramid)
        self.mesh.spirals.fill(pyramid.spirals[-1])
        self.template.fill(mean_hand(model))
        tips = np.eye(model.num_vertices, dtype=np.float32)[model.tips]
        self.regressor.fill(np.concatenate([model.J_regressor, tips])[list(JOINTS_FROM_MANO)])

    def lifted(self, joints: Tensor) -> Tensor:
        """(B, 21, C) features of the joints -> (B, V_0, C) of the coarsest vertices."""
        return self.lift @ joints

    def forward(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """(B, V_0, C) -> (B, V, 3) mesh and (B, 21, 3) joints in canonical pose, the wrist at the origin [m]."""
        mesh = self.template.values.reshape(-1, 3) + self.mesh(self.upwards(vertices))
        joints = self.regressor.values.reshape(NUM_JOINTS, -1) @ mesh
        return mesh - joints[:, :1], joints - joints[:, :1]


def eyes_of(config: SimaConfig) -> Eyes:
    """The trunk of a configuration."""
    return DenseEyes(config) if config.trunk == "dense" else LiteEyes(config)
