"""H2ONet (Xu et al., CVPR 2023): the hand's mesh in canonical pose and its orientation, each from up to three frames.

Stage `encode` looks at one image and answers with all that later frames need of it; stage `decode` puts the answers
of up to three images together. Who keeps the answers pays for one image a frame. docs/DEVIATIONS.md says what
differs from the paper.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import FINGERS, JOINTS_FROM_MANO, NUM_BETAS, NUM_JOINTS
from prehend.errors import WeightsMismatch
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import HandModel
from prehend.hand_model.meshes.pyramid import NUM_PARTS, MeshPyramid
from prehend.hand_model.skinning import skin
from prehend.models.heads.mano import first_columns, turn_from
from prehend.models.layers.blocks import mlp, present, rectifier
from prehend.models.meshes.shared_turn import SharedTurn
from prehend.models.meshes.spiral import FlatTable, MeshDecoder, SpiralConv
from prehend.models.stage import Shape, Stage, Staged
from prehend.models.trunks.h2onet_trunks import DenseTrunk, HandTrunk, LiteTrunk, fetched
from prehend.types import FloatArray

FRAMES = 3
"""The frame that is asked about and two before it: t, t - k, t - 2k."""

STRIDE_S = 1 / 6
"""k: five frames at 30 Hz (section 4.1), as a time, so that it holds at any rate [s]."""

_UNKNOWN = -1e4
"""Log weight of a frame that is not there."""


@dataclass(frozen=True)
class H2ONetConfig:
    """The numbers of one network.

    Attributes:
        size: side of the square input [px], a multiple of 32.
        trunk: `dense`, the paper's; `hand`, pretrained, see `LiteTrunk`.
        levels: vertices of the mesh's levels, the coarsest first; the last is that of the hand model's mesh.
        channels: features of a vertex at each level; the first number also of the map that joints' are fetched from.
        spiral: vertices along a spiral.
        orientation: layers of the MLP that answers with the orientation of one frame.
        turns: where the orientation is from. `chosen`, the paper's: the nearest frame in which the hand is not
            occluded, which is the current one nearly always. `shared`: all frames, see `SharedTurn`; the vertices'
            move is then a difference, too, so that equal frames say what one says.
        offset: layers of the MLP that answers with the turn that the `chosen` frame asks for.
        vertex_offset: layers of the MLP that answers with a vertex' move that several frames ask for.
        occlusion: layers of the MLP that reads all joints' features, and of the one of each part behind it.
        aware: the moves are told the current frame besides the fused one, and how much an older frame counts is learnt
            for each part; the paper has neither. What is `shared` always is.
        slope: of the fully connected layers' rectifiers below zero, see `UniHOPELiteConfig`; the paper has none.
    """

    size: int = 224
    trunk: Literal["dense", "hand"] = "hand"
    levels: tuple[int, ...] = (100, 200, 399, 798, 1596)
    channels: tuple[int, ...] = (128, 128, 64, 32, 32)
    spiral: int = 9
    orientation: tuple[int, ...] = (512, 256)
    turns: Literal["chosen", "shared"] = "shared"
    offset: tuple[int, ...] = (256, 64)
    vertex_offset: tuple[int, ...] = (32,)
    occlusion: tuple[int, ...] = (128, 32)
    aware: bool = True
    slope: float = 0.1


H2ONET_LITE = H2ONetConfig()
H2ONET_PAPER = H2ONetConfig(
    size=128,
    trunk="dense",
    channels=(256, 256, 128, 64, 32),
    orientation=(2048, 1024, 1024, 512, 256),
    turns="chosen",
    offset=(1024, 256),
    occlusion=(256, 64),
    aware=False,
    slope=0.0,
)


class FrameAnswer(NamedTuple):
    """Outputs of stage `encode`: what one image tells.

    Attributes:
        presence_logit, side_logit: (B, 1) that a hand is there, and that it is a right one.
        places: (B, 21, 2) of the joints, in [0, 1] of the crop (0 and 1 are its outer edges).
        part_logit: (B, 6) that each of thumb, index, middle, ring, little finger and palm is seen.
        features: (B, V, C) of the mesh's vertices before the last layer of the decoder, without orientation.
        orientation: (B, G) G of the paper.
        rotation: (B, 3, 3) from the canonical pose to the crop frame, as this image alone tells it.
    """

    presence_logit: Tensor
    side_logit: Tensor
    places: Tensor
    part_logit: Tensor
    features: Tensor
    orientation: Tensor
    rotation: Tensor


KEPT = ("part_logit", "features", "orientation", "rotation")
"""Outputs of `encode` that later frames need; of three frames they are the inputs `window_...` of `decode`."""


class HandMesh(NamedTuple):
    """Outputs of stage `decode`, in the crop frame of the current image, relative to the wrist [m].

    Attributes:
        vertices: (B, V, 3). joints: (B, 21, 3). rotation: (B, 3, 3) from the canonical pose to the crop frame.
        frame_weights: (B, 3, 6) share of each frame in each part of the hand.
        turned_by: (B, 3) share of each frame in the orientation; of the chosen one 1.
    """

    vertices: Tensor
    joints: Tensor
    rotation: Tensor
    frame_weights: Tensor
    turned_by: Tensor


class FusedFrames(NamedTuple):
    """What several frames tell of the current one.

    Attributes:
        canonical: (B, V, 3) mesh in canonical pose [m]. rotation, frame_weights, turned_by: see `HandMesh`.
    """

    canonical: Tensor
    rotation: Tensor
    frame_weights: Tensor
    turned_by: Tensor


class OcclusionClassifier(nn.Module):
    """One MLP for all joints' features and a small one behind it for every part (section 3.2, fig. 3b).

    Args:
        channels: of a joint's features. base, head: width of the two. slope: see `H2ONetConfig`.
    """

    def __init__(self, channels: int, base: int, head: int, slope: float):
        super().__init__()
        self.base = nn.Sequential(
            nn.Flatten(),
            nn.Linear(NUM_JOINTS * channels, base),
            rectifier(slope)(),
            nn.Linear(base, base),
            rectifier(slope)(),
        )
        self.heads = nn.ModuleList(mlp(base, (head,), 1, slope) for _ in range(NUM_PARTS))

    def forward(self, joints: Tensor) -> Tensor:
        """(B, 21, C) -> (B, 6) logits that the parts are seen."""
        whole = self.base(joints)
        return torch.cat([head(whole) for head in self.heads], 1)


class H2ONet(Staged):
    """The network; a fresh one has no hand yet, see `set_hand`.

    Args:
        config: its numbers.
    """

    config: H2ONetConfig

    def __init__(self, config: H2ONetConfig):
        super().__init__()
        self.config = c = config
        first, last, vertices = c.channels[0], c.channels[-1], c.levels[-1]
        self.seen: HandTrunk = (DenseTrunk if c.trunk == "dense" else LiteTrunk)(c.size, first)
        code = self.seen.orientation_size
        self.presence, self.side = nn.Linear(self.seen.whole_channels, 1), nn.Linear(self.seen.whole_channels, 1)
        base, head = c.occlusion
        self.occlusion = OcclusionClassifier(first, base, head, c.slope)
        self.lift = nn.Parameter(torch.full((c.levels[0], NUM_JOINTS), 0.01))
        self.decoder = MeshDecoder(c.levels, c.channels, c.spiral)
        self.mesh = SpiralConv(last, 3, vertices, c.spiral)
        self.regressor, self.parts, self.template = (
            FlatTable(NUM_JOINTS, vertices),
            FlatTable(vertices),
            FlatTable(vertices, 3),
        )
        self.orient = mlp(code, c.orientation, 6, c.slope)
        shared = c.turns == "shared"
        self.shared_turn = SharedTurn(code, FRAMES, c.slope) if shared else None
        self.turn_by = None if shared else mlp(2 * code + (12 if c.aware else 0), c.offset, 6, c.slope, silent=True)
        self.move_by = mlp((2 if shared or c.aware else 1) * last, c.vertex_offset, 3, c.slope, silent=True)
        self.age = nn.Parameter(torch.full((FRAMES - 1, NUM_PARTS), float(shared))) if shared or c.aware else None

    @torch.no_grad()
    def set_hand(self, model: HandModel, pyramid: MeshPyramid) -> None:
        """Take in a hand: its tables, the places of its joints, its mean pose as the first answer.

        Args:
            model: the hand, without forearm.
            pyramid: of its mesh.

        Raises:
            WeightsMismatch: the pyramid has other sizes than the network.
        """
        if pyramid.sizes != self.config.levels:
            raise WeightsMismatch(f"the network is for meshes of {self.config.levels}, the pyramid has {pyramid.sizes}")
        self.decoder.fill(pyramid)
        self.mesh.spirals.fill(pyramid.spirals[-1])
        self.parts.fill(pyramid.parts)
        self.template.fill(mean_hand(model))
        tips = np.eye(model.num_vertices, dtype=np.float32)[model.tips]
        joints = np.concatenate([model.J_regressor, tips])[list(JOINTS_FROM_MANO)]
        self.regressor.fill(joints)

    def fusion_parts(self) -> list[nn.Parameter]:
        """What only several frames need."""
        turn = self.turn_by if self.shared_turn is None else self.shared_turn
        assert turn is not None
        layers = [*turn.parameters(), *self.move_by.parameters()]
        return layers if self.age is None else [*layers, self.age]

    def orientation_parts(self) -> list[nn.Parameter]:
        """What only the orientation of one frame needs."""
        return [p for part in (*self.seen.orientation_parts(), self.orient) for p in part.parameters()]

    def stages(self) -> dict[str, Stage]:
        """The two stages and the shapes of their arrays."""
        c, code = self.config, self.seen.orientation_size
        frame: dict[str, Shape] = {
            "part_logit": (NUM_PARTS,),
            "features": (c.levels[-1], c.channels[-1]),
            "orientation": (code,),
            "rotation": (3, 3),
        }
        window = {f"window_{name}": ("B", FRAMES, *frame[name]) for name in KEPT}
        return {
            "encode": Stage(
                "encode",
                {"image": ("B", 3, c.size, c.size)},
                {
                    "presence_logit": ("B", 1),
                    "side_logit": ("B", 1),
                    "places": ("B", NUM_JOINTS, 2),
                    **{name: ("B", *shape) for name, shape in frame.items()},
                },
            ),
            "decode": Stage(
                "decode",
                {**window, "window_turn": ("B", FRAMES, 3, 3), "window_known": ("B", FRAMES)},
                {
                    "vertices": ("B", c.levels[-1], 3),
                    "joints": ("B", NUM_JOINTS, 3),
                    "rotation": ("B", 3, 3),
                    "frame_weights": ("B", FRAMES, NUM_PARTS),
                    "turned_by": ("B", FRAMES),
                },
            ),
        }

    def encode(self, image: Tensor) -> FrameAnswer:
        """Stage `encode`: (B, 3, S, S) RGB in [0, 1] -> what this image tells."""
        seen = self.seen(image)
        # what is fetched there shall not move the places, which have labels of their own
        joints = fetched(seen.latent, seen.places.detach())
        return FrameAnswer(
            self.presence(seen.whole),
            self.side(seen.whole),
            seen.places,
            self.occlusion(joints),
            self.decoder(self.lift @ joints),
            seen.orientation,
            turn_from(self.orient(seen.orientation)),
        )

    def canonical(self, features: Tensor) -> Tensor:
        """(B, V, C) features -> (B, V, 3) mesh in canonical pose as one frame tells it, from the mean hand on [m]."""
        return self.template.values.reshape(-1, 3) + self.mesh(features)

    def joints_of(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) -> (B, 21, 3)."""
        return self.regressor.values.reshape(NUM_JOINTS, -1) @ vertices

    def decode(
        self,
        window_part_logit: Tensor,
        window_features: Tensor,
        window_orientation: Tensor,
        window_rotation: Tensor,
        window_turn: Tensor,
        window_known: Tensor,
    ) -> HandMesh:
        """Stage `decode`: mesh, joints and orientation of the current frame.

        Args:
            window_part_logit, window_features, window_orientation, window_rotation: (B, 3, ...) outputs of `encode` of
                the current frame, and of those one and two strides before it.
            window_turn: (B, 3, 3, 3) from each frame's crop frame to the current one's.
            window_known: (B, 3) 1 for frames that are there; the current one always is.
        """
        fused = self.fuse(
            window_part_logit, window_features, window_orientation, window_rotation, window_turn, window_known
        )
        joints, to_crop = self.joints_of(fused.canonical), fused.rotation.transpose(1, 2)
        wrist = joints[:, :1]
        return HandMesh(
            (fused.canonical - wrist) @ to_crop,
            (joints - wrist) @ to_crop,
            fused.rotation,
            fused.frame_weights,
            fused.turned_by,
        )

    def fuse(
        self, part_logit: Tensor, features: Tensor, orientation: Tensor, rotation: Tensor, turn: Tensor, known: Tensor
    ) -> FusedFrames:
        """Mesh in canonical pose and orientation of the current frame; arguments as of `decode`."""
        weights, here = self.frame_weights(part_logit, known), turn @ rotation
        canonical = self.fused(features, weights)
        if self.shared_turn is not None:
            shared = self.shared_turn(part_logit, orientation, here, known)
            return FusedFrames(canonical, shared.rotation, weights, shared.shares)
        chosen = chosen_frame(part_logit, known)
        return FusedFrames(canonical, self.turned(orientation, here, chosen), weights, chosen)

    def fused(self, features: Tensor, weights: Tensor) -> Tensor:
        """(B, 3, V, C) features, (B, 3, 6) shares of the frames -> (B, V, 3) canonical mesh [m], eqs. (3), (4)."""
        each, now = weights.index_select(2, self.parts.rows())[..., None], features[:, 0]
        if self.shared_turn is not None:  # differences alone: equal frames leave the current one as it is, to the bit
            shared = now + ((features[:, 1:] - features[:, :1]) * each[:, 1:]).sum(1)
            moved = self.move_by(torch.cat([shared, now], 2)) - self.move_by(torch.cat([now, now], 2))
            return self.canonical(now) + moved
        shared = (features * each).sum(1)
        return self.canonical(now) + self.move_by(torch.cat([shared, now], 2) if self.config.aware else shared)

    def frame_weights(self, part_logit: Tensor, known: Tensor) -> Tensor:
        """(B, 3, 6) logits, (B, 3) -> (B, 3, 6) share of each frame in each part, eq. (2): softmax over the frames of
        the log of the probability that the part is seen there."""
        log_seen = F.logsigmoid(part_logit)
        if self.age is not None:
            log_seen = log_seen - F.pad(self.age, (0, 0, 1, 0))
        return torch.softmax(log_seen + (1 - present(known))[..., None] * _UNKNOWN, 1)

    def turned(self, orientation: Tensor, rotation: Tensor, chosen: Tensor) -> Tensor:
        """(B, 3, 3) rotation of the current frame with the turn that the chosen one asks for, eq. (7), from (B, 3, G)
        codes, (B, 3, 3, 3) rotations in the current crop's frame and `chosen_frame`."""
        assert self.turn_by is not None
        told = [(orientation * chosen[..., None]).sum(1), orientation[:, 0]]
        if self.config.aware:
            picked = (rotation * chosen[..., None, None]).sum(1)
            told += [first_columns(picked), first_columns(rotation[:, 0])]
        return turn_from(self.turn_by(torch.cat(told, 1))) @ rotation[:, 0]


def mean_hand(model: HandModel) -> FloatArray:
    """(V, 3) mesh of the mean pose and shape without orientation, the wrist at the origin [m]."""
    pose = np.concatenate([np.zeros((1, 3)), model.hands_mean.reshape(-1, 3)])
    posed = skin(model, matrix_from_axis_angle(pose), np.zeros(NUM_BETAS))
    return posed.vertices - posed.joints[0]


def chosen_frame(part_logit: Tensor, known: Tensor) -> Tensor:
    """(B, 3, 6), (B, 3) -> (B, 3) 1 for the nearest frame in which the hand is not occluded, eq. (6); the current one
    where it is in all. A hand is occluded where all its fingers are (section 3.3)."""
    seen = (part_logit[..., : len(FINGERS)].amax(-1) > 0).to(part_logit.dtype) * present(known)
    first, second, third = seen.unbind(1)
    before = (1 - first) * second, (1 - first) * (1 - second) * third
    return torch.stack([1 - before[0] - before[1], *before], 1)


def build_h2onet(config: H2ONetConfig) -> H2ONet:
    """The network of a configuration, with fresh weights and no hand."""
    return H2ONet(config)
