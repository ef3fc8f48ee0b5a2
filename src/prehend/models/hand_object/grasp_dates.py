"""When a grasp begins and ends (`grasp-dates`): a small network on the last seconds of a hand.

Its input is made by `prehend.pipeline.tracking.grasp_moments`; no paper of ours has it (docs/TIME.md, "Dated by
movement").
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.models.layers.blocks import rectifier
from prehend.models.stage import Stage, Staged


@dataclass(frozen=True)
class GraspDatesConfig:
    """The numbers of the network.

    Attributes:
        signals: of a window. size: times at which they are told.
        width: channels of the convolutions. kernel: times that one of them sees.
        hidden: units between them and the answers.
        slope: of the rectifiers below zero.
    """

    signals: int = 9
    size: int = 32
    width: int = 16
    kernel: int = 5
    hidden: int = 32
    slope: float = 0.1


GRASP_DATES = GraspDatesConfig()


class GraspDatesAnswer(NamedTuple):
    """Outputs of stage `date`: logits (B, 1) that a grasp begins at the window's moment, that one ends there, and that
    something is held there."""

    begins_logit: Tensor
    ends_logit: Tensor
    holds_logit: Tensor


class GraspDates(Staged):
    """The network.

    Args:
        config: its numbers.
        dropout: share of the values before each fully connected layer that are left out in training.
    """

    def __init__(self, config: GraspDatesConfig, dropout: float = 0.3):
        super().__init__()
        self.config, act = config, rectifier(config.slope)
        width, kernel = config.width, config.kernel
        self.body = nn.Sequential(
            nn.Conv1d(config.signals, width, kernel, padding=kernel // 2),
            act(),
            nn.Conv1d(width, width, kernel, stride=2, padding=kernel // 2),
            act(),
        )
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width * (config.size // 2), config.hidden),
            act(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, 3),
        )

    def stages(self) -> dict[str, Stage]:
        """The one stage and the shapes of its arrays."""
        names = ("begins_logit", "ends_logit", "holds_logit")
        window = ("B", self.config.signals, self.config.size)
        return {"date": Stage("forward", {"window": window}, dict.fromkeys(names, ("B", 1)))}

    def forward(self, window: Tensor) -> GraspDatesAnswer:
        """Stage `date`: (B, S, T) windows, see `grasp_moments.moment_windows` -> what they tell."""
        return GraspDatesAnswer(*torch.split(self.head(self.body(window).flatten(1)), 1, 1))


def build_grasp_dates(config: GraspDatesConfig) -> GraspDates:
    """The network of a configuration, with fresh weights."""
    return GraspDates(config)
