"""The network of MediaPipe's hand_landmark_full: a trunk and four linear answers of what a crop shows on average."""

from typing import NamedTuple

from torch import Tensor, nn

from prehend.models.trunks.efficientnet_lite import HAND_TRUNK, HEAD_CHANNELS, EfficientNetLite, EfficientNetLiteConfig

LANDMARKS_SIZE = 224
"""Side of the crop that the shipped numbers of the linear layers are for [px]."""


class Landmarks(NamedTuple):
    """What the network says of a crop that is turned so that the hand points up.

    Attributes:
        landmarks: (B, 63) 21 joints in our order: x, y [1/224 of the crop's side], z in the same unit, relative to the
            wrist, negative towards the camera.
        presence: (B, 1) logit of there being a hand.
        handedness: (B, 1) logit of a right hand, of one that is not mirrored.
        world: (B, 63) the joints around the middle of the hand, axes as in the crop [m].
    """

    landmarks: Tensor
    presence: Tensor
    handedness: Tensor
    world: Tensor


class HandLandmarks(nn.Module):
    """Trunk and linear layers.

    Args:
        config: of the trunk.
    """

    def __init__(self, config: EfficientNetLiteConfig = HAND_TRUNK):
        super().__init__()
        self.trunk = EfficientNetLite(config)
        self.landmarks = nn.Linear(HEAD_CHANNELS, 63)
        self.presence = nn.Linear(HEAD_CHANNELS, 1)
        self.handedness = nn.Linear(HEAD_CHANNELS, 1)
        self.world = nn.Linear(HEAD_CHANNELS, 63)

    def forward(self, image: Tensor) -> Landmarks:
        """(B, 3, S, S) RGB in [0, 1] -> answers."""
        return self.answer(self.trunk(image)[-1])

    def answer(self, head_map: Tensor) -> Landmarks:
        """(B, 1152, h, w) the trunk's last map -> answers."""
        mean = head_map.mean((2, 3))
        return Landmarks(self.landmarks(mean), self.presence(mean), self.handedness(mean), self.world(mean))
