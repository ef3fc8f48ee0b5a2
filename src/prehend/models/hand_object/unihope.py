"""UniHOPE (Wang et al., CVPR 2025): one network for empty hands and hands with objects.

Two networks: `unihope-b` has the paper's parts and sizes, `unihope-xs` is small and starts from nothing; `unihope-s`
(`unihope_lite`) has the same parts on a pretrained trunk. What differs from the paper and from the released code is in
docs/DEVIATIONS.md.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_BETAS, NUM_CONTROL_POINTS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.models.hand_object.outputs import EncodeOutput, HandOutput, ObjectOutput, Output
from prehend.models.heads.hourglass import Hourglass, KeypointHead
from prehend.models.heads.mano import FeatureEncoder, HeatmapEncoder, ManoHead
from prehend.models.heads.objects import ObjectHead
from prehend.models.heads.switcher import MapSwitcher, PooledSwitcher
from prehend.models.layers.attention import AttentionBlock
from prehend.models.layers.blocks import BasicBlock, PreActBottleneck, conv_bn, leaky_relu, relu
from prehend.models.layers.roi_align import has_area, intersect_boxes, roi_align, scale_box
from prehend.models.stage import Stage, Staged
from prehend.models.trunks.backbone import Streams, StreamsModule, resnet50_streams, small_streams

HAND_STRIDE = 4
"""Input pixels per cell of the hand map."""


@dataclass(frozen=True)
class UniHOPEConfig:
    """The numbers of one network.

    Attributes:
        variant: which builder they are for.
        size: side of the square input [px].
        widths, blocks: channels and residual blocks of each layer of the trunk (small only; ResNet-50's are given).
        object_width: channels of the object stream's own layer (small only).
        object_stride: input pixels per cell of the object's map.
        channels: channels of both maps and of the RoI features.
        roi_size: cells on a side of a RoI.
        roi_samples: samples per cell and axis in RoIAlign.
        hand_margin: side of the hand's RoI over the side of the hand box.
        square_hand_roi: the hand's RoI is the square on the longer side, so that it keeps angles.
        heads: of the attention blocks.
        mlp_ratio: width of their MLPs.
        learned_position: a learned position per cell in the attention.
        context_pool: keys and values are averages over so many cells along each axis.
        hourglass_depth: halvings in the hourglass.
        code: length of the code the pose is read from.
        hidden: hidden layers of the pose head.
        sees_places: the pose head is given the 2D joints besides the code.
    """

    variant: Literal["small", "paper"]
    size: int = 128
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    object_width: int = 128
    object_stride: int = 8
    channels: int = 64
    roi_size: int = 16
    roi_samples: int = 2
    hand_margin: float = 1.4
    square_hand_roi: bool = True
    heads: int = 4
    mlp_ratio: int = 2
    learned_position: bool = True
    context_pool: int = 2
    hourglass_depth: int = 2
    code: int = 512
    hidden: tuple[int, ...] = (1024, 1024, 512)
    sees_places: bool = True


SMALL = UniHOPEConfig(variant="small")
PAPER = UniHOPEConfig(
    variant="paper",
    object_stride=4,
    channels=256,
    roi_size=32,
    roi_samples=1,
    hand_margin=1.1,
    square_hand_roi=False,
    heads=8,
    mlp_ratio=4,
    learned_position=False,
    context_pool=1,
    hourglass_depth=4,
    code=1024,
    hidden=(1024, 512),
    sees_places=False,
)


class UniHOPE(Staged):
    """The network, composed of its parts; its three stages are methods of their own.

    Args:
        config: numbers that the parts were built with.
        streams: image to maps.
        switcher: `Streams` to `Switches`.
        interaction: cross-attention of the object's RoI with the shared region.
        object_head: object's RoI to control points.
        fusion: attention on the concatenated features of eq. (3), back to `channels`.
        keypoint_head: fused feature to features, heatmaps and places.
        encoder: `HandFeatures` to the code.
        mano_head: code to the hand's parameters.
    """

    def __init__(
        self,
        config: UniHOPEConfig,
        *,
        streams: StreamsModule,
        switcher: nn.Module,
        interaction: nn.Module,
        object_head: nn.Module,
        fusion: nn.Module,
        keypoint_head: nn.Module,
        encoder: nn.Module,
        mano_head: nn.Module,
    ):
        super().__init__()
        self.config = config
        self.streams, self.switcher = streams, switcher
        self.interaction, self.object_head = interaction, object_head
        self.fusion, self.keypoint_head, self.encoder, self.mano_head = fusion, keypoint_head, encoder, mano_head

    def stages(self) -> dict[str, Stage]:
        """The three stages and the shapes of their arrays."""
        c = self.config
        quarter, roi = c.size // HAND_STRIDE, (c.channels, c.roi_size, c.roi_size)
        side = c.size // c.object_stride
        hand_map = ("B", c.channels, quarter, quarter)
        source = ("B", c.widths[1] if c.variant == "small" else c.channels, side, side)
        return {
            "encode": Stage(
                "encode",
                {"image": ("B", 3, c.size, c.size)},
                {
                    "grasp_logit": ("B", 1),
                    "presence_logit": ("B", 1),
                    "side_logit": ("B", 1),
                    "hand_map": hand_map,
                    "object_source": source,
                },
            ),
            "object": Stage(
                "object_",
                {"object_source": source, "hand_map": hand_map, "hand_box": ("B", 4), "object_box": ("B", 4)},
                {"object_roi": ("B", *roi), "object_points": ("B", NUM_CONTROL_POINTS, c.roi_size**2, 3)},
            ),
            "hand": Stage(
                "hand",
                {"hand_map": hand_map, "hand_box": ("B", 4), "object_roi": ("B", *roi), "grasp": ("B", 1)},
                {
                    "keypoints": ("B", NUM_JOINTS, 2),
                    "rotations": ("B", NUM_MANO_JOINTS, 3, 3),
                    "betas": ("B", NUM_BETAS),
                    "visibility_logit": ("B", NUM_JOINTS),
                    "code": ("B", c.code),
                },
            ),
        }

    def encode(self, image: Tensor) -> EncodeOutput:
        """Stage `encode`: (B, 3, S, S) RGB in [0, 1] -> whether something is held, and the maps."""
        return self.encode_streams(image)[0]

    def encode_streams(self, image: Tensor) -> tuple[EncodeOutput, Streams]:
        """Stage `encode`, and the streams that training reads more from."""
        streams = self.streams(image)
        said = self.switcher(streams)
        encoded = EncodeOutput(said.grasp, said.presence, said.side, streams.hand_map, streams.object_source)
        return encoded, streams

    def hand_region(self, hand_box: Tensor) -> Tensor:
        """(B, 4) hand box -> (B, 4) the hand's RoI [crop px]."""
        return scale_box(hand_box, self.config.hand_margin, self.config.square_hand_roi)

    def _roi(self, feature: Tensor, box: Tensor, stride: int) -> Tensor:
        c = self.config
        return roi_align(feature, box, c.roi_size, c.size, stride, c.roi_samples)

    def object_(self, object_source: Tensor, hand_map: Tensor, hand_box: Tensor, object_box: Tensor) -> ObjectOutput:
        """Stage `object`: the object's control points and its feature for the hand; boxes (B, 4) in crop px.

        The object's RoI attends to the hand's feature where the boxes overlap (zeros where they do not); no gradient
        goes back to the hand stream from here.
        """
        feature, object_map = self._object_feature(object_source, hand_map, hand_box, object_box)
        roi = self._roi(object_map, self.hand_region(hand_box), self.config.object_stride)
        return ObjectOutput(roi, self.object_head(feature))

    def _object_feature(
        self, object_source: Tensor, hand_map: Tensor, hand_box: Tensor, object_box: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The object's RoI feature after the interaction with the hand's, and the object's map."""
        object_map = self.streams.object_map(object_source)
        shared = intersect_boxes(hand_box, object_box)
        context = self._roi(hand_map.detach(), shared, HAND_STRIDE) * has_area(shared)[:, None, None, None]
        return self.interaction(self._roi(object_map, object_box, self.config.object_stride), context), object_map

    def hand(self, hand_map: Tensor, hand_box: Tensor, object_roi: Tensor, grasp: Tensor) -> HandOutput:
        """Stage `hand`: the hand's joints and parameters.

        Args:
            hand_map: (B, C, S/4, S/4).
            hand_box: (B, 4) crop px.
            object_roi: (B, C, R, R), of no effect where `grasp` is 0.
            grasp: (B, 1) s of eq. (3), 0 or 1.
        """
        return self._hand(hand_map, hand_box, object_roi, grasp)[0]

    def _hand(
        self, hand_map: Tensor, hand_box: Tensor, object_roi: Tensor, grasp: Tensor
    ) -> tuple[HandOutput, Tensor, Tensor]:
        region = self.hand_region(hand_box)
        hand_roi = self._roi(hand_map, region, HAND_STRIDE)
        features = self.keypoint_head(self._fused(hand_roi, object_roi, grasp))
        code = self.encoder(features)
        parameters = self.mano_head(code, features.places)
        places_px = region[:, None, :2] + features.places * (region[:, 2:] - region[:, :2])[:, None]
        size = (hand_box[:, 2:] - hand_box[:, :2]).clamp(min=1.0)
        keypoints = (places_px - hand_box[:, None, :2]) / size[:, None]
        answer = HandOutput(keypoints, parameters.rotations, parameters.betas, parameters.visibility_logit, code)
        return answer, hand_roi, features.heatmaps

    def _hand_of(
        self, encoded: EncodeOutput, hand_box: Tensor, object_roi: Tensor, grasp: Tensor
    ) -> tuple[HandOutput, Tensor, Tensor]:
        """Stage `hand` after stage `encode`, with the hand's RoI feature and heatmaps besides."""
        return self._hand(encoded.hand_map, hand_box, object_roi, grasp)

    def _fused(self, hand_roi: Tensor, object_roi: Tensor, grasp: Tensor) -> Tensor:
        """Grasp-aware fusion, eq. (3): the object's feature beside the hand's where s is 1, else the hand's twice."""
        s = grasp[..., None, None]
        joined = torch.cat([hand_roi, s * object_roi + (1 - s) * hand_roi], dim=1)
        return self.fusion(joined, joined)

    def forward(
        self,
        image: Tensor,
        hand_box: Tensor,
        object_box: Tensor,
        grasp: Tensor | None = None,
        object_rows: Tensor | None = None,
        object_kind: Tensor | None = None,
    ) -> Output:
        """All stages with what training needs besides.

        Args:
            image: (B, 3, S, S) RGB in [0, 1].
            hand_box: (B, 4) crop px.
            object_box: (B, 4) crop px; anything in rows without an object.
            grasp: (B, 1) s of eq. (3); None for the switcher's own answer.
            object_rows: (B,) bool, rows whose object is computed; None for all. In the others s is 0.
            object_kind: (B, 10) what is known of the object, for networks that are told.
        """
        encoded, streams = self.encode_streams(image)
        rows = torch.arange(len(image), device=image.device) if object_rows is None else object_rows.nonzero()[:, 0]
        s = (encoded.grasp_logit.detach() > 0).to(image.dtype) if grasp is None else grasp.to(image.dtype)
        size = self.config.roi_size
        object_roi = streams.hand_map.new_zeros(len(image), self.config.channels, size, size)
        points = image.new_zeros(0, NUM_CONTROL_POINTS, size * size, 3)
        computed, thing, cells = torch.zeros_like(s), None, None
        if len(rows):
            boxes = hand_box[rows], object_box[rows]
            told = self._told(encoded, rows, object_kind)
            thing, cells = self._see_object(streams.object_source[rows], streams.hand_map[rows], *boxes, *told)
            points = thing.object_points
            # the hand's losses do not train the object stream (docs/PAPERS.md 1.1)
            object_roi = object_roi.index_copy(0, rows, thing.object_roi.detach().to(object_roi.dtype))
            computed = computed.index_fill(0, rows, 1.0)
        hand, hand_roi, heatmaps = self._hand_of(encoded, hand_box, object_roi, s * computed)
        return Output(encoded, hand, points, rows, streams.initial, streams.deep, hand_roi, heatmaps, thing, cells)

    def _see_object(self, *taken: Tensor) -> tuple[Any, Tensor | None]:
        """Stage `object`, and the (n, R * R) logits that a cell shows the object, of networks that say so."""
        return self.object_(*taken), None

    def _told(self, encoded: EncodeOutput, rows: Tensor, object_kind: Tensor | None) -> tuple[Tensor, ...]:
        """What stage `object` takes beside maps and boxes, of some rows."""
        return ()


def build_unihope(config: UniHOPEConfig) -> UniHOPE:
    """The network of a configuration, with fresh weights."""
    return _build_small(config) if config.variant == "small" else _build_paper(config)


def _attention(config: UniHOPEConfig) -> tuple[AttentionBlock, AttentionBlock]:
    """The object's interaction and the fusion."""
    c = config
    act = relu if c.variant == "small" else nn.GELU
    cells = (c.roi_size, c.context_pool, c.learned_position)
    joined = 2 * c.channels
    # the paper's block is as wide as its input and drops half of its output; the small one computes what it keeps
    fused = c.channels if c.variant == "small" else joined
    return (
        AttentionBlock(c.channels, c.channels, c.channels, c.heads, c.mlp_ratio, act, *cells),
        AttentionBlock(joined, joined, fused, c.heads, c.mlp_ratio, act, *cells),
    )


def _build_small(config: UniHOPEConfig) -> UniHOPE:
    c = config
    interaction, fusion = _attention(c)
    width = c.widths[2]
    body = nn.Sequential(
        conv_bn(c.channels, width, stride=2),
        BasicBlock(width, width),
        conv_bn(width, 2 * width, stride=2),
        conv_bn(2 * width, 2 * width, stride=2),
        nn.Flatten(),
        nn.Linear(2 * width * (c.roi_size // 8) ** 2, c.code),
        nn.ReLU(inplace=True),
    )
    hourglass = Hourglass(c.channels, c.hourglass_depth, lambda n: BasicBlock(n, n), lambda n: conv_bn(n, n))
    return UniHOPE(
        c,
        streams=small_streams(c.widths, c.blocks, c.channels, c.object_width),
        switcher=PooledSwitcher(c.channels, c.widths[-1], width=64, act=relu),
        interaction=interaction,
        object_head=ObjectHead(c.channels, c.roi_size, c.channels // 2, relu, pairs=2),
        fusion=fusion,
        keypoint_head=KeypointHead(hourglass, c.channels, c.roi_size, relu),
        encoder=FeatureEncoder(body),
        mano_head=ManoHead(c.code, c.hidden, relu, c.sees_places),
    )


class FirstChannels(nn.Module):
    """Attention of which only the first `channels` channels go on (docs/PAPERS.md 1.1)."""

    def __init__(self, attention: nn.Module, channels: int):
        super().__init__()
        self.attention, self.channels = attention, channels

    def forward(self, query_map: Tensor, context_map: Tensor) -> Tensor:
        """(B, C, R, R) twice -> (B, channels, R, R)."""
        return self.attention(query_map, context_map)[:, : self.channels]


def _build_paper(config: UniHOPEConfig) -> UniHOPE:
    c = config
    interaction, fusion = _attention(c)
    halvings = [
        nn.Sequential(PreActBottleneck(c.channels), PreActBottleneck(c.channels), nn.MaxPool2d(2)) for _ in range(4)
    ]
    body = nn.Sequential(*halvings, nn.Flatten())
    hourglass = Hourglass(c.channels, c.hourglass_depth, PreActBottleneck, PreActBottleneck)
    residual = nn.Sequential(hourglass, PreActBottleneck(c.channels))
    return UniHOPE(
        c,
        streams=resnet50_streams(c.channels),
        switcher=MapSwitcher(c.channels, deep_channels=2048, width=64, grid=8, hidden=1024, act=leaky_relu),
        interaction=interaction,
        object_head=ObjectHead(c.channels, c.roi_size, c.channels // 2, lambda: leaky_relu(0.1)),
        fusion=FirstChannels(fusion, c.channels),
        keypoint_head=KeypointHead(residual, c.channels, c.roi_size, leaky_relu),
        encoder=HeatmapEncoder(c.channels, body),
        mano_head=ManoHead(c.code, c.hidden, leaky_relu, c.sees_places),
    )
