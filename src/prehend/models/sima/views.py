"""SiMA-Hand's teacher (section 3): one hand from several calibrated views, fused at image, joint and vertex level.

Stage `encode` looks at each image alone, stage `fuse` at what up to eight of them left. Views may stand in any order;
of the cameras' poses only those against each other count.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import HandModel
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.heads.mano import first_columns, rotations_from_6d
from prehend.models.layers.blocks import conv_bn, mlp, present
from prehend.models.sima.hand import SIMA_LITE, SIMA_PAPER, SIMA_SMALL
from prehend.models.sima.parts import HandDecoder, Orientation, SimaConfig, eyes_of
from prehend.models.sima.rays import canonical_points, meeting_points
from prehend.models.stage import Shape, Stage, Staged
from prehend.models.trunks.h2onet_trunks import fetched

MOST_VIEWS = 8
"""Of the papers' rigs."""

SIMA_VIEWS_LITE = replace(SIMA_LITE, views=MOST_VIEWS, triangulates=True)
SIMA_VIEWS_SMALL = replace(SIMA_SMALL, views=MOST_VIEWS, triangulates=True)
SIMA_VIEWS_PAPER = replace(SIMA_PAPER, views=MOST_VIEWS)

KEPT = ("places", "joint_features", "image_feature")
"""Outputs of `encode` that are, of several views, the inputs `views_...` of `fuse`."""

_UNKNOWN = -1e4
"""Log weight of a view that is not there."""


class ViewAnswer(NamedTuple):
    """Outputs of stage `encode`: what one image tells.

    Attributes:
        places: (B, 21, 2) of the joints, in [0, 1] of the crop (0 and 1 are its outer edges).
        joint_features: (B, 21, C) fetched at these places.
        image_feature: (B, D, h, w).
    """

    places: Tensor
    joint_features: Tensor
    image_feature: Tensor


class FusedMesh(NamedTuple):
    """Outputs of stage `fuse`.

    Attributes:
        vertices: (B, V, 3), joints: (B, 21, 3) in canonical pose, relative to the wrist [m].
        rotation: (B, N, 3, 3) from the canonical pose to the crop frame of each view.
        shares: (B, N) of each view in the features of the vertices, their mean.
    """

    vertices: Tensor
    joints: Tensor
    rotation: Tensor
    shares: Tensor


class FusedFeatures(NamedTuple):
    """What training compares with labels, and what a student is compared with.

    Attributes:
        shape: (B, V_0, C) fused f_v. orientation: (B N, T, W) f_o of each view as the target.
        vertices, joints, rotation, shares: see `FusedMesh`.
        own_rotation: (B, N, 3, 3) as each view alone tells it.
        points: (B, 21, 3) joints where the rays of the views meet, see `canonical_points`; 0 for a network that does
            not ask.
    """

    shape: Tensor
    orientation: Tensor
    vertices: Tensor
    joints: Tensor
    rotation: Tensor
    own_rotation: Tensor
    shares: Tensor
    points: Tensor


class Rig(NamedTuple):
    """What is known of the cameras.

    Attributes:
        known: (B, N) 1 for views that are there; the first one always is.
        turn: (B, N, 3, 3) from each crop frame to a frame that all share, such as the world's.
        center: (B, N, 3) the cameras' centres in that frame [m].
        ray: (B, N, 3, 3) from (x, y, 1), places in [0, 1] of the crop, to a direction in the crop frame.
    """

    known: Tensor
    turn: Tensor
    center: Tensor
    ray: Tensor


class VertexFusion(nn.Module):
    """Attention over the views, vertex by vertex (eq. 3): each view's feature asks those of all others, and how well it
    agrees with the answer is its score.

    Args:
        channels: of a vertex' features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, V, C), (B, N) -> (B, V, C) fused and (B, N, V) shares of the views."""
        by_vertex, absent = features.transpose(1, 2), (1 - known)[:, None] * _UNKNOWN
        scale = features.shape[-1] ** -0.5
        query, key = self.query(by_vertex), self.key(by_vertex)
        among = torch.softmax(query @ key.transpose(2, 3) * scale + absent[:, :, None], -1)
        scores = (query * (among @ key)).sum(-1) * scale + absent
        shares = torch.softmax(scores, -1)
        return (by_vertex * shares[..., None]).sum(2), shares.transpose(1, 2)


class SimaViews(Staged):
    """The network; a fresh one has no hand yet, see `set_hand`.

    Args:
        config: its numbers.
    """

    config: SimaConfig

    def __init__(self, config: SimaConfig):
        super().__init__()
        self.config = c = config
        first, wide = c.channels[0], c.width
        self.eyes = eyes_of(c)
        self.decoder = HandDecoder(c)
        image = self.eyes.image_channels
        self.fuse_images = nn.Sequential(conv_bn(3 * image, image, 1), conv_bn(image, image, 1))
        self.fuse_joints = mlp(3 * first, (wide,), wide, c.slope)
        self.fuse_vertices = VertexFusion(first)
        self.orient = Orientation(c)
        self.trust = nn.Linear(wide, 1)
        self.certain = nn.Linear(first, 1) if c.triangulates else None
        self.of_points = mlp(3 * NUM_JOINTS, (first, first), c.levels[0] * 4, c.slope) if c.triangulates else None
        self.of_vertex = nn.Linear(4, first) if c.triangulates else None

    def set_hand(self, model: HandModel, pyramid: MeshPyramid) -> None:
        """Take in a hand, see `HandDecoder.fill`."""
        self.decoder.fill(model, pyramid)

    def _image_shape(self) -> Shape:
        cells = self.config.size // (4 if self.config.trunk == "dense" else 32)
        return self.eyes.image_channels, cells, cells

    def stages(self) -> dict[str, Stage]:
        """The two stages and the shapes of their arrays."""
        c, views = self.config, self.config.views
        told: dict[str, Shape] = {
            "places": (NUM_JOINTS, 2),
            "joint_features": (NUM_JOINTS, c.channels[0]),
            "image_feature": self._image_shape(),
        }
        rig: dict[str, Shape] = {
            "views_known": ("B", views),
            "views_turn": ("B", views, 3, 3),
            "views_center": ("B", views, 3),
            "views_ray": ("B", views, 3, 3),
        }
        return {
            "encode": Stage(
                "encode",
                {"image": ("B", 3, c.size, c.size)},
                {name: ("B", *shape) for name, shape in told.items()},
            ),
            "fuse": Stage(
                "fuse",
                {**{f"views_{name}": ("B", views, *told[name]) for name in KEPT}, **rig},
                {
                    "vertices": ("B", c.levels[-1], 3),
                    "joints": ("B", NUM_JOINTS, 3),
                    "rotation": ("B", views, 3, 3),
                    "shares": ("B", views),
                },
            ),
        }

    def encode(self, image: Tensor) -> ViewAnswer:
        """Stage `encode`: (B, 3, S, S) RGB in [0, 1] -> what this image tells."""
        seen = self.eyes(image)
        return ViewAnswer(seen.places, fetched(seen.latent, seen.places.detach()), seen.image)

    def fuse(
        self,
        views_places: Tensor,
        views_joint_features: Tensor,
        views_image_feature: Tensor,
        views_known: Tensor,
        views_turn: Tensor,
        views_center: Tensor,
        views_ray: Tensor,
    ) -> FusedMesh:
        """Stage `fuse`: (B, N, ...) outputs of `encode`, see `ViewAnswer` and `Rig`; the mesh of the hand."""
        told = ViewAnswer(views_places, views_joint_features, views_image_feature)
        found = self.fused(told, Rig(views_known, views_turn, views_center, views_ray))
        return FusedMesh(found.vertices, found.joints, found.rotation, found.shares)

    def fused(self, told: ViewAnswer, rig: Rig) -> FusedFeatures:
        """Mesh and features of (B, N, ...) answers of `encode`; N may be any number here."""
        count = told.places.shape[1]
        known = present(rig.known)
        rig, places = rig._replace(known=known), told.places.detach()
        lifted = self.decoder.lifted(told.joint_features.flatten(0, 1)).unflatten(0, (-1, count))
        shape, shares = self.fuse_vertices(lifted, known)
        points = torch.zeros_like(places[:, 0, :, :1]).expand(-1, -1, 3)
        if self.certain is not None and self.of_points is not None and self.of_vertex is not None:
            weight = torch.sigmoid(self.certain(told.joint_features.detach())[..., 0]) * known[..., None]
            points = canonical_points(meeting_points(places, weight, rig.turn, rig.center, rig.ray))
            shape = shape + self.of_vertex(self.of_points(10 * points.flatten(1)).unflatten(1, (-1, 4)))
        orientation = self._orientation(told, known, places)
        own = self.orient.rotation(orientation).unflatten(0, (-1, count))
        trust = self.trust(orientation.mean(1)).reshape(-1, count)
        vertices, joints = self.decoder(shape)
        rotation = _agreed(own, trust, rig)
        return FusedFeatures(shape, orientation, vertices, joints, rotation, own, shares.mean(2), points)

    def _orientation(self, told: ViewAnswer, known: Tensor, places: Tensor) -> Tensor:
        """(B N, T, W) f_o of each view: its own image beside what all images have in common, asked for by the
        joints of all."""
        count = known.shape[1]
        largest, mean, _ = _statistics(told.image_feature, known)
        both = torch.cat([largest, mean], 1)[:, None].expand(-1, count, -1, -1, -1)
        image = self.fuse_images(torch.cat([told.image_feature, both], 2).flatten(0, 1))
        joints = self.fuse_joints(torch.cat(_statistics(told.joint_features.detach(), known), -1))
        tokens = joints[:, None].expand(-1, count, -1, -1).flatten(0, 1)
        return self.orient(tokens, places.flatten(0, 1), self.eyes.turned(image))


def _statistics(features: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, N, ...), (B, N) -> largest, mean and standard deviation (B, ...) over the views that are there (eq. 2)."""
    there = known.reshape(*known.shape, *[1] * (features.dim() - 2))
    count = there.sum(1)
    largest = (features + (1 - there) * _UNKNOWN).amax(1)
    mean = (features * there).sum(1) / count
    variance = ((features - mean[:, None]).square() * there).sum(1) / count
    return largest, mean, (variance + 1e-6).sqrt()


def _agreed(own: Tensor, trust: Tensor, rig: Rig) -> Tensor:
    """(B, N, 3, 3) the rotation that all views agree on, in each crop's frame: the mean of what each tells in the frame
    that all share, (B, N, 3, 3) with log weights (B, N)."""
    weights = torch.softmax(trust + (1 - rig.known) * _UNKNOWN, 1)
    shared = ((rig.turn @ own) * weights[..., None, None]).sum(1)
    return rig.turn.transpose(2, 3) @ rotations_from_6d(first_columns(shared))[:, None]


def build_sima_views(config: SimaConfig) -> SimaViews:
    """The network of several views of a configuration, with fresh weights and no hand.

    Raises:
        WeightsMismatch: the configuration is that of a single view, or has no attention, which joins the joints of all
            views to each.
    """
    if config.views < 2 or not config.enhanced:
        raise WeightsMismatch(
            "a configuration of one view or without attention is none of sima-s-views or sima-b-views"
        )
    return SimaViews(config)
