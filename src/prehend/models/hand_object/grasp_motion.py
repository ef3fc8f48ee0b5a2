"""Whether what is near a hand goes with it (`grasp-motion`): a small network on what moved between images.

Its input is made by `prehend.pipeline.frames.hand_motion`; no paper of ours has it (docs/TIME.md, "Dated by
movement").
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.models.layers.blocks import conv_bn, rectifier
from prehend.models.stage import Stage, Staged


@dataclass(frozen=True)
class GraspMotionConfig:
    """The numbers of the network.

    Attributes:
        size: side of a patch [cells].
        layers: of a patch.
        speeds: of the hand.
        widths: channels at strides 2, 4, 8 and 16.
        hidden: units between the last map and the answers.
        slope: of the rectifiers below zero.
    """

    size: int = 64
    layers: int = 6
    speeds: int = 2
    widths: tuple[int, ...] = (10, 20, 20, 30)
    hidden: int = 24
    slope: float = 0.1


GRASP_MOTION = GraspMotionConfig()


class GraspMotionAnswer(NamedTuple):
    """Outputs of stage `watch`: logits (B, 1) that something moves with the hand, and that the hand touches it."""

    holds_logit: Tensor
    touches_logit: Tensor


class GraspMotion(Staged):
    """The network.

    Args:
        config: its numbers.
        dropout: share of the last map's values that are left out in training.
    """

    def __init__(self, config: GraspMotionConfig, dropout: float = 0.3):
        super().__init__()
        self.config, act = config, rectifier(config.slope)
        sizes = (config.layers, *config.widths)
        self.body = nn.Sequential(
            *(conv_bn(before, after, stride=2, act=act) for before, after in zip(sizes, config.widths, strict=False))
        )
        cells = config.size >> len(config.widths)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.Linear(config.widths[-1] * cells**2 + config.speeds, config.hidden), act(), nn.Linear(config.hidden, 2)
        )

    def stages(self) -> dict[str, Stage]:
        """The one stage and the shapes of its arrays."""
        side = self.config.size
        return {
            "watch": Stage(
                "forward",
                {"patch": ("B", self.config.layers, side, side), "speeds": ("B", self.config.speeds)},
                {"holds_logit": ("B", 1), "touches_logit": ("B", 1)},
            )
        }

    def forward(self, patch: Tensor, speeds: Tensor) -> GraspMotionAnswer:
        """Stage `watch`: (B, L, S, S) patches and (B, 2) speeds, see `hand_motion.MotionPatch` -> what they tell."""
        seen = self.drop(self.body(patch).flatten(1))
        holds, touches = self.head(torch.cat([seen, speeds], 1)).split(1, 1)
        return GraspMotionAnswer(holds, touches)


def build_grasp_motion(config: GraspMotionConfig) -> GraspMotion:
    """The network of a configuration, with fresh weights."""
    return GraspMotion(config)
