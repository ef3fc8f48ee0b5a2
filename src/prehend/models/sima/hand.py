"""SiMA-Hand (Wang et al., AAAI 2024), its single-view network: canonical mesh and orientation of a hand from one crop.

Its teacher, which sees several views of the moment, is in `views`. docs/DEVIATIONS.md says what differs from the
paper.
"""

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

from prehend.conventions import NUM_JOINTS
from prehend.errors import WeightsMismatch
from prehend.hand_model.asset import HandModel
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.sima.parts import HandDecoder, Mapper, Orientation, SimaConfig, eyes_of
from prehend.models.stage import Shape, Stage, Staged
from prehend.models.trunks.h2onet_trunks import fetched

SIMA_LITE = SimaConfig()
SIMA_PAPER = SimaConfig(
    size=128,
    trunk="dense",
    channels=(256, 256, 128, 64, 32),
    width=1024,
    head_width=512,
    narrow=256,
    orientation=(1024, 512, 256, 128, 64, 32, 16),
    slope=0.0,
)
SIMA_SMALL = replace(SIMA_LITE, size=160)
"""At 128 px the pretrained trunk no longer knows where joints are: off by 15 % of the crop, 9 % here, 7 % at 224."""


class ViewMesh(NamedTuple):
    """Outputs of stage `reconstruct`, relative to the wrist [m].

    Attributes:
        places: (B, 21, 2) of the joints, in [0, 1] of the crop (0 and 1 are its outer edges).
        vertices: (B, V, 3), joints: (B, 21, 3) in the crop frame.
        rotation: (B, 3, 3) from the canonical pose to the crop frame.
    """

    places: Tensor
    vertices: Tensor
    joints: Tensor
    rotation: Tensor


class ViewFeatures(NamedTuple):
    """What training compares, with labels and with the teacher.

    Attributes:
        places: (B, 21, 2) see `ViewMesh`.
        shape: (B, V_0, C) f_v of the coarsest vertices.
        orientation: (B, T, W) enhanced f_o.
        vertices, joints: (B, V, 3), (B, 21, 3) in canonical pose [m].
        rotation: (B, 3, 3) from there to the crop frame.
    """

    places: Tensor
    shape: Tensor
    orientation: Tensor
    vertices: Tensor
    joints: Tensor
    rotation: Tensor


class SimaHand(Staged):
    """The network; a fresh one has no hand yet, see `set_hand`.

    Args:
        config: its numbers.
    """

    config: SimaConfig

    def __init__(self, config: SimaConfig):
        super().__init__()
        self.config = config
        self.eyes = eyes_of(config)
        self.decoder = HandDecoder(config)
        self.image_mapper = Mapper(self.eyes.image_channels)
        self.joint_tokens = nn.Linear(config.channels[0], config.width) if config.enhanced else None
        self.joint_mapper = Mapper(config.width) if config.enhanced else None
        self.orient = Orientation(config)

    def set_hand(self, model: HandModel, pyramid: MeshPyramid) -> None:
        """Take in a hand, see `HandDecoder.fill`."""
        self.decoder.fill(model, pyramid)

    def stages(self) -> dict[str, Stage]:
        """The one stage and the shapes of its arrays."""
        c = self.config
        outputs: dict[str, Shape] = {
            "places": ("B", NUM_JOINTS, 2),
            "vertices": ("B", c.levels[-1], 3),
            "joints": ("B", NUM_JOINTS, 3),
            "rotation": ("B", 3, 3),
        }
        return {"reconstruct": Stage("reconstruct", {"image": ("B", 3, c.size, c.size)}, outputs)}

    def features(self, image: Tensor) -> ViewFeatures:
        """(B, 3, S, S) RGB in [0, 1] -> what this image tells, with the features that have a teacher."""
        seen = self.eyes(image)
        places = seen.places.detach()
        # what is fetched there shall not move the places, which have labels of their own
        joints = fetched(seen.latent, places)
        shape = self.decoder.lifted(joints)
        turned = self.eyes.turned(self.image_mapper(seen.image))
        orientation = self.orient(self._tokens(joints.detach()), places, turned)
        vertices, canonical = self.decoder(shape)
        return ViewFeatures(seen.places, shape, orientation, vertices, canonical, self.orient.rotation(orientation))

    def _tokens(self, joints: Tensor) -> Tensor | None:
        """(B, 21, C) features of the joints -> (B, 21, W) tokens; None where nobody asks with them."""
        if self.joint_tokens is None or self.joint_mapper is None:
            return None
        mapped: Tensor = self.joint_mapper(self.joint_tokens(joints).transpose(1, 2)[..., None])
        return mapped[..., 0].transpose(1, 2)

    def reconstruct(self, image: Tensor) -> ViewMesh:
        """Stage `reconstruct`: (B, 3, S, S) RGB in [0, 1] -> mesh, joints and orientation."""
        told = self.features(image)
        to_crop = told.rotation.transpose(1, 2)
        return ViewMesh(told.places, told.vertices @ to_crop, told.joints @ to_crop, told.rotation)


def build_sima_hand(config: SimaConfig) -> SimaHand:
    """The single-view network of a configuration, with fresh weights and no hand.

    Raises:
        WeightsMismatch: the configuration is one of several views.
    """
    if config.views != 1:
        raise WeightsMismatch(f"a configuration of {config.views} views is that of sima-s-views or sima-b-views")
    return SimaHand(config)
