"""HHMR (Li et al., CVPR 2024): one diffusion model on hand meshes for generating, completing, reconstructing, fitting.

A U-shaped graph network on a mesh pyramid says what a noisy mesh was before the noise, given whatever is known of the
hand: an image, joints in 2D or 3D, a part of the mesh. The mesh is in the hand's own frame, the wrist at the origin;
where the hand is follows from the camera afterwards. docs/DEVIATIONS.md says what differs from the paper.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.hand_model.asset import HandModel
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.layers.attention import TokenAttention
from prehend.models.layers.blocks import conv_bn, relu
from prehend.models.meshes.graph import GraphConv, MeshLevels
from prehend.models.meshes.h2onet import mean_hand
from prehend.models.stage import Shape, Stage, Staged
from prehend.models.trunks.backbone import Trunk, bottleneck_layer
from prehend.models.trunks.efficientnet_lite import HAND_TRUNK, HEAD_CHANNELS, EfficientNetLite

TIMES = 1000
"""Steps of the forward process."""

UNIT_M = 0.1
"""Lengths are told to the network in this unit [m]."""

_UNKNOWN = -1e4
"""Log weight of a token that is not there."""
_WAVES = 16
"""Frequencies that a time is told by."""


@dataclass(frozen=True)
class HHMRConfig:
    """The numbers of one network.

    Attributes:
        size: side of the square image [px], a multiple of 32; without images it says nothing.
        levels: vertices of the mesh's levels, the coarsest first; the last is that of the hand model's mesh.
        top: the finest level that has noise and features, where that is not the last: finer vertices hang on it, which
            costs little and loses nothing that a pose or a shape tells. The paper has them all.
        channels: features of a vertex at each level up to there.
        blocks: blocks in the middle, at the coarsest level; every other level has one on each side.
        attention: how many of the coarsest levels have attention; the paper does not say which have.
        heads: of attention.
        tokens: features of a condition's token.
        spiral: vertices of a spiral of the pyramid; those behind the first are a vertex' neighbours.
        spread_m: length that the differences from the mean hand are divided by: half of them are within one half then,
            as the noise schedule wants it for signals of so many rows [m].
        dropout: of the conditions' layers.
        image: what looks at images: nothing, the paper's ResNet-50, or the pretrained trunk of `unihope-s`.
        image_layers: of the transformer over the image's patches.
    """

    size: int = 224
    levels: tuple[int, ...] = (100, 200, 399, 798, 1596)
    top: int = 3
    channels: tuple[int, ...] = (192, 128, 64, 32)
    blocks: int = 3
    attention: int = 2
    heads: int = 4
    tokens: int = 128
    spiral: int = 9
    spread_m: float = 0.034
    dropout: float = 0.1
    image: Literal["none", "resnet50", "hand"] = "hand"
    image_layers: int = 2


HHMR_SMALL = HHMRConfig()
HHMR_PAPER = HHMRConfig(
    top=4,
    channels=(512, 256, 128, 64, 32),
    blocks=4,
    attention=3,
    heads=8,
    tokens=256,
    image="resnet50",
    image_layers=4,
)
HHMR_TINY = HHMRConfig(
    levels=(50, 100, 200, 399, 798, 1596),
    top=3,
    channels=(64, 48, 32, 16),
    blocks=2,
    attention=1,
    tokens=48,
    dropout=0.0,
    image="none",
    image_layers=0,
)


class Known(NamedTuple):
    """What is known of a hand; 0 in a `_known` hides a joint, a vertex or a patch, whatever stands there.

    Attributes:
        places, places_known: (B, 21, 2), (B, 21) joints in an image, -1 to 1 over the square around the known ones.
        joints, joints_known: (B, 21, 3), (B, 21) in the hand's frame relative to the wrist [m].
        part, part_known: (B, V_0, 3), (B, V_0) vertices of the coarsest level, likewise.
        patches, patches_known: (B, P, C), (B, P) answer of stage `look`; None for a network without images.
    """

    places: Tensor
    places_known: Tensor
    joints: Tensor
    joints_known: Tensor
    part: Tensor
    part_known: Tensor
    patches: Tensor | None = None
    patches_known: Tensor | None = None


class GraphBlock(nn.Module):
    """Graph convolution, self-attention, cross-attention to the conditions (section 4.2).

    Args:
        channels: of the vertices. tokens: of the conditions. heads: of attention; 0 leaves both attentions out.
    """

    def __init__(self, channels: int, tokens: int, heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.timed = nn.Linear(tokens, 2 * channels)
        self.conv, self.out = GraphConv(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.self_attention = TokenAttention(channels, channels, heads) if heads else None
        self.cross_attention = TokenAttention(channels, tokens, heads) if heads else None
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, ring: nn.Module, time: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
        """(B, V, C), its neighbours, (B, D) time, (B, M, D) conditions, (B, M) their log weights -> (B, V, C)."""
        gain, shift = self.timed(time)[:, None].chunk(2, 2)
        x = x + self.out(F.gelu(self.conv(self.norm(x) * (1 + gain) + shift, ring)))
        if self.self_attention is not None and self.cross_attention is not None:
            x = self.cross_attention(self.self_attention(x), tokens, hidden)
        return x


class PointTokens(nn.Module):
    """Points as tokens: a three-layer MLP with GELU and dropout (section 5.1), and what tells the points apart.

    Args:
        axes: of a point. points: how many. tokens: features of a token. dropout: after each layer but the last.
    """

    def __init__(self, axes: int, points: int, tokens: int, dropout: float):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(axes, tokens), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(tokens, tokens), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(tokens, tokens),
        )  # fmt: skip
        self.which = nn.Parameter(torch.randn(points, tokens) * 0.3)

    def forward(self, points: Tensor, known: Tensor) -> Tensor:
        """(B, N, axes), (B, N) -> (B, N, D); what is not known leaves no trace."""
        return self.mlp(points * known[..., None]) + self.which


class PictureTokens(nn.Module):
    """An image as patches and one global token, through a small vision transformer (Dosovitskiy et al., ICLR 2021).

    Args:
        config: of the network, with images.
    """

    def __init__(self, config: HHMRConfig):
        super().__init__()
        width, side = config.tokens, config.size // 32
        self.patches = side * side
        self.trunk: nn.Module = EfficientNetLite(HAND_TRUNK) if config.image == "hand" else _resnet50()
        self.frozen = config.image == "hand"
        self.trunk.requires_grad_(not self.frozen)
        self.project = nn.Linear(HEAD_CHANNELS if self.frozen else 2048, width)
        self.position = nn.Parameter(torch.randn(self.patches + 1, width) * 0.02)
        count = config.image_layers
        self.attentions = nn.ModuleList(TokenAttention(width, width, config.heads) for _ in range(count))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(count)
        )

    def train(self, mode: bool = True) -> "PictureTokens":
        """As of torch; a frozen trunk keeps its statistics."""
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in [0, 1] -> (B, P + 1, D), the global token first."""
        cells = self.project(self.trunk(image)[-1].flatten(2).transpose(1, 2))
        tokens = torch.cat([cells.mean(1, keepdim=True), cells], 1) + self.position
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            tokens = attention(tokens)
            tokens = tokens + mlp(tokens)
        return tokens


class HHMR(Staged):
    """The network; a fresh one has no hand yet, see `set_hand`.

    Args:
        config: its numbers.
    """

    config: HHMRConfig

    def __init__(self, config: HHMRConfig):
        super().__init__()
        self.config = c = config
        width = c.tokens
        self.mesh = MeshLevels(c.levels, c.top, c.spiral)
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, width), nn.GELU(), nn.Linear(width, width))
        self.places_in = PointTokens(2, NUM_JOINTS, width, c.dropout)
        self.joints_in = PointTokens(3, NUM_JOINTS, width, c.dropout)
        self.part_in = PointTokens(6, 1, width, c.dropout)
        self.image_in = PictureTokens(c) if c.image != "none" else None
        self.norm = nn.LayerNorm(width)
        self.enter = nn.ModuleList(nn.Linear(3 + 15, size) for size in c.channels)
        heads = [c.heads if k < c.attention else 0 for k in range(c.top + 1)]
        self.middle = nn.ModuleList(GraphBlock(c.channels[0], width, heads[0]) for _ in range(c.blocks))
        pairs = list(zip(c.channels[1:], heads[1:], strict=True))
        self.down = nn.ModuleList(GraphBlock(size, width, count) for size, count in pairs)
        self.up = nn.ModuleList(GraphBlock(size, width, count) for size, count in pairs)
        steps = list(zip(c.channels[:-1], c.channels[1:], strict=True))
        self.narrow = nn.ModuleList(nn.Linear(fine, coarse) for coarse, fine in steps)
        self.widen = nn.ModuleList(nn.Linear(coarse + fine, fine) for coarse, fine in steps)
        self.frames, self.rest = nn.Linear(c.channels[0], 12), nn.Linear(c.channels[-1], 3)
        for layer in (self.frames, self.rest):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def patches(self) -> int:
        """P + 1, tokens of an image; 0 without images."""
        return 0 if self.image_in is None else self.image_in.patches + 1

    def set_hand(self, model: HandModel, pyramid: MeshPyramid) -> None:
        """Take in a hand: its tables and its mean.

        Args:
            model: the hand, without forearm.
            pyramid: of its mesh.

        Raises:
            WeightsMismatch: the pyramid has other sizes than the network.
        """
        self.mesh.fill(pyramid, np.asarray(mean_hand(model), np.float32))

    def stages(self) -> dict[str, Stage]:
        """`look`, where there are images, and `denoise`, with the shapes of their arrays."""
        c = self.config
        told: dict[str, Shape] = {
            "noisy": ("B", c.levels[c.top], 3),
            "time": ("B", 1),
            "places": ("B", NUM_JOINTS, 2),
            "places_known": ("B", NUM_JOINTS),
            "joints": ("B", NUM_JOINTS, 3),
            "joints_known": ("B", NUM_JOINTS),
            "part": ("B", c.levels[0], 3),
            "part_known": ("B", c.levels[0]),
        }
        clean: dict[str, Shape] = {"clean": ("B", c.levels[-1], 3)}
        if not self.patches:
            return {"denoise": Stage("denoise", told, clean)}
        tokens: dict[str, Shape] = {"patches": ("B", self.patches, c.tokens)}
        return {
            "look": Stage("look", {"image": ("B", 3, c.size, c.size)}, tokens),
            "denoise": Stage("denoise", {**told, **tokens, "patches_known": ("B", self.patches)}, clean),
        }

    def look(self, image: Tensor) -> tuple[Tensor]:
        """Stage `look`: (B, 3, S, S) RGB in [0, 1] -> (B, P + 1, D) tokens, once for all steps and hypotheses."""
        assert self.image_in is not None
        return (self.image_in(image),)

    def denoise(self, noisy: Tensor, time: Tensor, *known: Tensor) -> tuple[Tensor]:
        """Stage `denoise`: what the mesh was before the noise.

        Args:
            noisy: (B, V_top, 3) differences from the mean hand over `spread_m`, with noise.
            time: (B, 1) step of the forward process over `TIMES`.
            known: the arrays of `Known` in order.

        Returns:
            (B, V, 3) of the whole mesh in the same units.
        """
        tokens, hidden, when = self._told(time, Known(*known))
        pooled = self.mesh.pooled(noisy)
        x = self._entered(pooled, self.config.top)
        skipped = []
        for k in range(self.config.top, 0, -1):
            x = self.down[k - 1](x, self.mesh.rings[k], when, tokens, hidden)
            skipped.append(x)
            x = self.narrow[k - 1](self.mesh.pools[k - 1](x)) + self._entered(pooled, k - 1)
        for block in self.middle:
            x = block(x, self.mesh.rings[0], when, tokens, hidden)
        frames = self.frames(x)
        for k in range(1, self.config.top + 1):
            x = self.widen[k - 1](torch.cat([self.mesh.ups[k - 1](x), skipped.pop()], 2))
            x = self.up[k - 1](x, self.mesh.rings[k], when, tokens, hidden)
        spread, last = self.config.spread_m, len(self.config.levels) - 1
        carried = self.mesh.carried(frames[..., :3] * spread, frames[..., 3:])
        return ((carried - self.mesh.template(last)) / spread + self.mesh.raised(self.rest(x)),)

    def _entered(self, pooled: list[Tensor], level: int) -> Tensor:
        """(B, V_k, C_k) what a level is told of the noisy mesh and of where its vertices lie on the hand."""
        noisy, at = pooled[level], self.mesh.template(level) / UNIT_M
        waves = torch.cat([at, torch.sin(3 * at), torch.cos(3 * at), torch.sin(9 * at), torch.cos(9 * at)], 2)
        layer = self.enter[level]
        assert isinstance(layer, nn.Linear)
        return layer(torch.cat([noisy, waves.expand(noisy.shape[0], -1, -1)], 2))

    def _told(self, time: Tensor, known: Known) -> tuple[Tensor, Tensor, Tensor]:
        """(B, M, D) tokens, (B, M) their log weights, (B, D) of the time alone."""
        steps = torch.arange(_WAVES, dtype=time.dtype, device=time.device)
        angle = time * TIMES * torch.exp(steps * (-np.log(TIMES) / _WAVES))
        when = self.time(torch.cat([torch.sin(angle), torch.cos(angle)], 1))
        part_at = self.mesh.template(0).expand(time.shape[0], -1, -1) / UNIT_M
        parts = [
            (when[:, None], torch.ones_like(time)),
            (self.places_in(known.places, known.places_known), known.places_known),
            (self.joints_in(known.joints / UNIT_M, known.joints_known), known.joints_known),
            (self.part_in(torch.cat([known.part / UNIT_M, part_at], 2), known.part_known), known.part_known),
        ]
        if known.patches is not None and known.patches_known is not None:
            parts.append((known.patches, known.patches_known))
        tokens = self.norm(torch.cat([tokens for tokens, _ in parts], 1))
        there = (torch.cat([there for _, there in parts], 1) > 0.5).to(time.dtype)
        return tokens, (1 - there) * _UNKNOWN, when

    def unknown(self, count: int) -> Known:
        """Nothing known of `count` hands."""
        like, c = self.mesh.mean, self.config
        points = (like.new_zeros(count, NUM_JOINTS, 2), like.new_zeros(count, NUM_JOINTS))
        joints = (like.new_zeros(count, NUM_JOINTS, 3), like.new_zeros(count, NUM_JOINTS))
        part = (like.new_zeros(count, c.levels[0], 3), like.new_zeros(count, c.levels[0]))
        if not self.patches:
            return Known(*points, *joints, *part)
        patches = like.new_zeros(count, self.patches, c.tokens), like.new_zeros(count, self.patches)
        return Known(*points, *joints, *part, *patches)


def normalised_places(places: Tensor, known: Tensor) -> Tensor:
    """(B, 21, 2) places in any image, (B, 21) -> (B, 21, 2) from -1 to 1 over the square around the known ones."""
    far = places.new_tensor(1e9)
    there = known[..., None] > 0.5
    low = torch.where(there, places, far).amin(1, keepdim=True)
    high = torch.where(there, places, -far).amax(1, keepdim=True)
    side = (high - low).amax(2, keepdim=True).clamp(min=1e-6)
    return torch.where(there, (places - (low + high) / 2) / (side / 2), places.new_tensor(0.0))


def _resnet50() -> Trunk:
    """ResNet-50 as a plain trunk; its last map is at stride 32."""
    stem = nn.Sequential(conv_bn(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, 1))
    rows = [(64, 64, 3, 1), (256, 128, 4, 2), (512, 256, 6, 2), (1024, 512, 3, 2)]
    return Trunk(stem, [bottleneck_layer(*row, relu) for row in rows])


def build_hhmr(config: HHMRConfig) -> HHMR:
    """The network of a configuration, with fresh weights and no hand."""
    return HHMR(config)
