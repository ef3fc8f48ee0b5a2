"""UniHOPE on a pretrained EfficientNet-Lite trunk: `unihope-s`.

The parts are those of UniHOPE (switcher, object stream, grasp-aware fusion, hourglass, object head). What is new: the
trunk's own answer for the joints' places, which real photographs taught it, is where the hand stage starts from, and
the pose is read from places first (`heads.pose`). docs/DEVIATIONS.md says how that differs from the paper.
"""

import copy
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import (
    KIND_UNIT_M,
    NUM_BETAS,
    NUM_CONTROL_POINTS,
    NUM_JOINTS,
    NUM_MANO_JOINTS,
    OBJECT_KIND_SIZE,
)
from prehend.models.hand_object.unihope import HAND_STRIDE, UniHOPE
from prehend.models.heads.hourglass import Hourglass, KeypointHead
from prehend.models.heads.mano import FeatureEncoder
from prehend.models.heads.objects import KindObjectHead
from prehend.models.heads.pose import PlacesPoseHead
from prehend.models.heads.switcher import LandmarkSwitcher
from prehend.models.layers.attention import AttentionBlock
from prehend.models.layers.blocks import BasicBlock, conv_bn, rectifier, relu
from prehend.models.layers.fpn import FPN
from prehend.models.layers.roi_align import roi_align
from prehend.models.stage import Stage
from prehend.models.trunks.backbone import Streams, StreamsModule
from prehend.models.trunks.efficientnet_lite import (
    HAND_TRUNK,
    HEAD_CHANNELS,
    LITE0,
    PYRAMID_CHANNELS,
    EfficientNetLite,
)

OBJECT_STRIDE = 8
GATE_LOGIT = -4.0
"""Where the share of the heatmaps in the joints' places starts: next to nothing."""

FIRST_LOG_STD = -3.0
"""Where the joints' certainty starts: 0.05 of the box."""


@dataclass(frozen=True)
class UniHOPELiteConfig:
    """The numbers of one network; what is not explained is as in `UniHOPEConfig`.

    Attributes:
        size: side of the square input [px], a multiple of 32.
        trunk: `hand` for MediaPipe's hand_landmark_full, `imagenet` for EfficientNet-Lite0.
        slope: of the fully connected layers' rectifiers below zero. At 0 most units fall silent for good in training
            (training/RUNS.md), so it is that of older weights alone.
    """

    size: int = 224
    trunk: Literal["hand", "imagenet"] = "hand"
    object_stride: int = OBJECT_STRIDE
    channels: int = 64
    roi_size: int = 16
    roi_samples: int = 2
    hand_margin: float = 1.4
    square_hand_roi: bool = True
    heads: int = 4
    mlp_ratio: int = 2
    context_pool: int = 2
    hourglass_depth: int = 2
    body: int = 128
    code: int = 512
    hidden: tuple[int, ...] = (1024, 1024, 1024)
    slope: float = 0.1


LITE = UniHOPELiteConfig()


class LiteEncoded(NamedTuple):
    """Outputs of stage `encode`: grasp_logit, presence_logit and side_logit (B, 1) as in `Switches`, hand_map
    (B, C, S/4, S/4), object_source (B, 24, S/4, S/4), places (B, 21, 2) where the trunk sees the joints, in [0, 1] of
    the crop (0 and 1 are its outer edges)."""

    grasp_logit: Tensor
    presence_logit: Tensor
    side_logit: Tensor
    hand_map: Tensor
    object_source: Tensor
    places: Tensor


class LiteHandAnswer(NamedTuple):
    """Outputs of stage `hand`: as of `HandOutput`, and keypoint_log_std (B, 21), log of each keypoint's standard
    deviation along an axis, in units of the hand box's longer side."""

    keypoints: Tensor
    rotations: Tensor
    betas: Tensor
    visibility_logit: Tensor
    code: Tensor
    keypoint_log_std: Tensor


class LiteObjectAnswer(NamedTuple):
    """Outputs of stage `object`: as of `ObjectOutput`; object_match (B, 1) logit that the object is the one described;
    object_extents (B, 3) what its extents seem to be [m]; object_scale (B, 2) log of the share of the crop's side that
    0.1 m cover at its centre, and log of its standard deviation; object_moments (B, 6) how its box lies in the crop
    frame, see `ObjectGuess`."""

    object_roi: Tensor
    object_points: Tensor
    object_match: Tensor
    object_extents: Tensor
    object_scale: Tensor
    object_moments: Tensor


class LiteStreams(StreamsModule):
    """One trunk for the hand; the object stream has its own copy of the middle stages, shares the last one, and is not
    computed here, so that an empty hand costs nothing for it (UniHOPE section 3.2; docs/PAPERS.md 1.1).

    Args:
        trunk: with its numbers, or fresh.
        channels: of both pyramids.
    """

    def __init__(self, trunk: EfficientNetLite, channels: int):
        super().__init__()
        self.deep_channels = HEAD_CHANNELS
        self.trunk = trunk
        self.hand_fpn = FPN(PYRAMID_CHANNELS, channels, smooth=False)
        self.object_middle = copy.deepcopy(trunk.stages[1:4])
        self.object_fpn = FPN(PYRAMID_CHANNELS[1:], channels, smooth=True)

    def forward(self, image: Tensor) -> Streams:
        """(B, 3, S, S) -> streams; `object_source` is the trunk's map at stride 4."""
        *maps, deep = self.trunk(image)
        return Streams(maps[1], deep, self.hand_fpn(maps), maps[0])

    def object_map(self, source: Tensor) -> Tensor:
        """(B, 24, S/4, S/4) `object_source` -> (B, C, S/8, S/8) map of the object."""
        maps, x = [], source
        for stage in (*self.object_middle, self.trunk.stages[4]):
            x = stage(x)
            maps.append(x)
        return self.object_fpn([maps[0], maps[2], maps[3]])

    def copy_middle(self) -> None:
        """Let the object stream start from the hand's middle stages."""
        self.object_middle.load_state_dict(self.trunk.stages[1:4].state_dict())


class UniHOPELite(UniHOPE):
    """The network; stages as in `UniHOPE`.

    Args:
        config: its numbers.
    """

    config: UniHOPELiteConfig  # type: ignore[assignment]
    streams: "LiteStreams"
    switcher: LandmarkSwitcher
    mano_head: PlacesPoseHead
    code_dropout: float = 0.0
    """Share of the rows whose code the pose head is not given, in training."""

    def __init__(self, config: UniHOPELiteConfig):
        c = config
        trunk = EfficientNetLite(HAND_TRUNK if c.trunk == "hand" else LITE0)
        super().__init__(
            c,  # type: ignore[arg-type]
            streams=LiteStreams(trunk, c.channels),
            switcher=LandmarkSwitcher(c.channels, HEAD_CHANNELS, width=64, act=relu),
            interaction=_attention(c, c.channels),
            object_head=KindObjectHead(c.channels, c.roi_size, c.channels // 2, relu, rectifier(c.slope)),
            fusion=_attention(c, 2 * c.channels),
            keypoint_head=_keypoint_head(c),
            encoder=FeatureEncoder(_body(c)),
            mano_head=PlacesPoseHead(c.code, c.hidden, rectifier(c.slope)),
        )
        self.places = nn.Linear(HEAD_CHANNELS, 2 * NUM_JOINTS)
        self.correction = nn.Linear(c.code, 2 * NUM_JOINTS)
        self.gate = nn.Linear(c.code, NUM_JOINTS)
        self.certainty = nn.Linear(c.code, NUM_JOINTS)
        for layer, start in ((self.correction, 0.0), (self.gate, GATE_LOGIT), (self.certainty, FIRST_LOG_STD)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)

    def head_parts(self) -> list[nn.Module]:
        """What comes after the trunk and its maps: hand and object, but not whether something is held."""
        answers = [self.correction, self.gate, self.certainty]
        thing = [self.interaction, self.object_head]
        return [*thing, self.fusion, self.keypoint_head, self.encoder, self.mano_head, *answers]

    def object_parts(self) -> list[nn.Module]:
        """What only the object needs; the trunk's last stage is shared with the hand."""
        return [self.streams.object_middle, self.streams.object_fpn, self.interaction, self.object_head]

    def grasp_parts(self) -> list[nn.Module]:
        """What only the answer whether something is held needs."""
        return [self.switcher.fine, self.switcher.deep, self.switcher.grasp]

    @property
    def trunk(self) -> EfficientNetLite:
        """The pretrained trunk."""
        return self.streams.trunk

    def stages(self) -> dict[str, Stage]:
        """The three stages and the shapes of their arrays."""
        c = self.config
        quarter, roi = c.size // HAND_STRIDE, (c.channels, c.roi_size, c.roi_size)
        hand_map = ("B", c.channels, quarter, quarter)
        source = ("B", PYRAMID_CHANNELS[0], quarter, quarter)
        logits = dict.fromkeys(("grasp_logit", "presence_logit", "side_logit"), ("B", 1))
        places = ("B", NUM_JOINTS, 2)
        return {
            "encode": Stage(
                "encode",
                {"image": ("B", 3, c.size, c.size)},
                {**logits, "hand_map": hand_map, "object_source": source, "places": places},
            ),
            "object": Stage(
                "object_",
                {
                    "object_source": source,
                    "hand_map": hand_map,
                    "hand_box": ("B", 4),
                    "object_box": ("B", 4),
                    "places": places,
                    "object_kind": ("B", OBJECT_KIND_SIZE),
                },
                {
                    "object_roi": ("B", *roi),
                    "object_points": ("B", NUM_CONTROL_POINTS, c.roi_size**2, 3),
                    "object_match": ("B", 1),
                    "object_extents": ("B", 3),
                    "object_scale": ("B", 2),
                    "object_moments": ("B", 6),
                },
            ),
            "hand": Stage(
                "hand",
                {
                    "hand_map": hand_map,
                    "hand_box": ("B", 4),
                    "object_roi": ("B", *roi),
                    "grasp": ("B", 1),
                    "places": places,
                },
                {
                    "keypoints": places,
                    "rotations": ("B", NUM_MANO_JOINTS, 3, 3),
                    "betas": ("B", NUM_BETAS),
                    "visibility_logit": ("B", NUM_JOINTS),
                    "code": ("B", c.code),
                    "keypoint_log_std": ("B", NUM_JOINTS),
                },
            ),
        }

    def encode_streams(self, image: Tensor) -> tuple[LiteEncoded, Streams]:  # type: ignore[override]
        """Stage `encode`, and the streams that training reads more from."""
        streams = self.streams(image)
        said = self.switcher(streams)
        # the mean of a head that ReLU6 bounds, as it was pretrained
        places = self.places(streams.deep.mean((2, 3))).reshape(-1, NUM_JOINTS, 2)
        encoded = LiteEncoded(said.grasp, said.presence, said.side, streams.hand_map, streams.object_source, places)
        return encoded, streams

    def _roi(self, feature: Tensor, box: Tensor, stride: int) -> Tensor:
        """The trunk pads right and below alone at stride 2: its cell i is centred on pixel stride * i + stride - 1."""
        c = self.config
        return roi_align(feature, box - (stride - 1), c.roi_size, c.size, stride, c.roi_samples)

    def hand(  # type: ignore[override]
        self, hand_map: Tensor, hand_box: Tensor, object_roi: Tensor, grasp: Tensor, places: Tensor
    ) -> LiteHandAnswer:
        """Stage `hand`: the hand's joints and parameters.

        Args:
            hand_map: (B, C, S/4, S/4).
            hand_box: (B, 4) crop px.
            object_roi: (B, C, R, R), of no effect where `grasp` is 0.
            grasp: (B, 1) s of eq. (3), 0 or 1.
            places: (B, 21, 2) of stage `encode`.
        """
        return self._hand_at(hand_map, hand_box, object_roi, grasp, places)[0]

    def object_(  # type: ignore[override]
        self,
        object_source: Tensor,
        hand_map: Tensor,
        hand_box: Tensor,
        object_box: Tensor,
        places: Tensor,
        object_kind: Tensor | None = None,
    ) -> LiteObjectAnswer:
        """Stage `object`, see `UniHOPE.object_`; places (B, 21, 2) of stage `encode`: how a hand is bent tells how lies
        what it holds; object_kind (B, 10) is what is known of the object, None: nothing."""
        return self.object_seen(object_source, hand_map, hand_box, object_box, places, object_kind)[0]

    def object_seen(
        self,
        object_source: Tensor,
        hand_map: Tensor,
        hand_box: Tensor,
        object_box: Tensor,
        places: Tensor,
        object_kind: Tensor | None = None,
    ) -> tuple[LiteObjectAnswer, Tensor]:
        """Stage `object`, and the (B, R * R) logits that a cell shows the object."""
        if object_kind is None:
            object_kind = hand_box.new_zeros(len(hand_box), OBJECT_KIND_SIZE)
        feature, object_map = self._object_feature(object_source, hand_map, hand_box, object_box)
        said = self.object_head(feature, object_kind, (object_box + 0.5) / self.config.size, places)
        roi = self._roi(object_map, self.hand_region(hand_box), self.config.object_stride)
        extents = said.log_extents.clamp(-4, 4).exp() * KIND_UNIT_M
        return LiteObjectAnswer(roi, said.points, said.match, extents, said.scale, said.moments), said.mask

    def _see_object(self, *taken: Tensor) -> tuple[LiteObjectAnswer, Tensor | None]:
        return self.object_seen(*taken)

    def _told(  # type: ignore[override]
        self, encoded: LiteEncoded, rows: Tensor, object_kind: Tensor | None
    ) -> tuple[Tensor, ...]:
        kind = () if object_kind is None else (object_kind[rows],)
        return encoded.places[rows].detach(), *kind

    def _hand_of(  # type: ignore[override]
        self, encoded: LiteEncoded, hand_box: Tensor, object_roi: Tensor, grasp: Tensor
    ) -> tuple[LiteHandAnswer, Tensor, Tensor]:
        return self._hand_at(encoded.hand_map, hand_box, object_roi, grasp, encoded.places)

    def _hand_at(
        self, hand_map: Tensor, hand_box: Tensor, object_roi: Tensor, grasp: Tensor, places: Tensor
    ) -> tuple[LiteHandAnswer, Tensor, Tensor]:
        region = self.hand_region(hand_box)
        hand_roi = self._roi(hand_map, region, HAND_STRIDE)
        features = self.keypoint_head(self._fused(hand_roi, object_roi, grasp))
        code = self.encoder(features)
        low, span = region[:, None, :2], (region[:, 2:] - region[:, :2])[:, None]
        mapped = low + features.places * span
        start = places * self.config.size - 0.5
        share = torch.sigmoid(self.gate(code))[..., None]
        shift = self.correction(code).reshape(-1, NUM_JOINTS, 2) * span
        places_px = start + share * (mapped - start) + shift
        log_std = self.certainty(code)
        # what a pose wants shall not move the places, which have labels of their own
        parameters = self.mano_head(places_px.detach(), log_std.detach(), self.code_for_pose(code))
        size = (hand_box[:, 2:] - hand_box[:, :2]).clamp(min=1.0)
        keypoints = (places_px - hand_box[:, None, :2]) / size[:, None]
        answer = LiteHandAnswer(
            keypoints, parameters.rotations, parameters.betas, parameters.visibility_logit, code, log_std
        )
        return answer, hand_roi, features.heatmaps

    def code_for_pose(self, code: Tensor) -> Tensor:
        """(B, D) -> what the pose head is given of it; training leaves some rows out."""
        if not self.training or self.code_dropout == 0:
            return code
        return code * (torch.rand(len(code), 1, device=code.device) >= self.code_dropout)


def build_unihope_lite(config: UniHOPELiteConfig) -> UniHOPELite:
    """The network of a configuration, with fresh weights."""
    return UniHOPELite(config)


def _attention(c: UniHOPELiteConfig, channels: int) -> AttentionBlock:
    """The object's interaction (on `channels`) or the fusion (on twice as many, of which it computes what is kept)."""
    return AttentionBlock(
        channels, channels, c.channels, c.heads, c.mlp_ratio, relu, c.roi_size, c.context_pool, learned_position=True
    )


def _keypoint_head(c: UniHOPELiteConfig) -> KeypointHead:
    hourglass = Hourglass(c.channels, c.hourglass_depth, lambda n: BasicBlock(n, n), lambda n: conv_bn(n, n))
    return KeypointHead(hourglass, c.channels, c.roi_size, relu)


def _body(c: UniHOPELiteConfig) -> nn.Sequential:
    """(B, C, R, R) hand feature -> (B, code)."""
    width = c.body
    return nn.Sequential(
        conv_bn(c.channels, width, stride=2),
        BasicBlock(width, width),
        conv_bn(width, 2 * width, stride=2),
        conv_bn(2 * width, 2 * width, stride=2),
        nn.Flatten(),
        nn.Linear(2 * width * (c.roi_size // 8) ** 2, c.code),
        rectifier(c.slope)(),
    )
