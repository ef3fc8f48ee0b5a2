"""Learning from pairs: an image and its de-occluded twin (UniHOPE section 3.3)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from prehend.models.hand_object.outputs import Output
from prehend_training.data.batch import CropBatch, rows_of
from prehend_training.losses.crop import Terms, mean_of_rows

Level = Literal["initial", "roi", "code"]
LEVELS: tuple[Level, ...] = ("initial", "roi", "code")
"""Where features of the hand are compared, eq. (7): layer 2, RoI, and the code that MANO's parameters are read from."""


@dataclass(frozen=True)
class TwinConfig:
    """How pairs are used.

    Attributes:
        levels: features that are drawn towards those of the twin; none leaves the twins as further samples.
        least_hidden: only pairs whose hand is hidden by at least this share are compared (tau of eq. 8); None for all.
        begin: share of the budget after which features are compared (30 of 70 epochs in the paper).
    """

    levels: tuple[Level, ...] = LEVELS
    least_hidden: float | None = 0.1
    begin: float = 30 / 70


class AdaptationLayer(nn.Module):
    """The mapper h of eq. (7): attention with a residual and normalisation on the code (Chen et al., NeurIPS 2017, for
    the idea; docs/PAPERS.md 1.1 for the form). The code is one token, so the attention is a product of two matrices; it
    is needed in training alone.

    Args:
        size: length of the code, divisible by `heads`.
        heads: attention heads.
    """

    def __init__(self, size: int, heads: int = 8):
        super().__init__()
        self.attention = nn.MultiheadAttention(size, heads, batch_first=True)
        self.norm = nn.LayerNorm(size)

    def forward(self, code: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        token = code[:, None]
        return self.norm(token + self.attention(token, token, token, need_weights=False)[0])[:, 0]


def twin_rows(batch: CropBatch) -> Tensor:
    """(n,) rows whose twin differs from the image and shows the hand as trained: right hands that grasp."""
    wanted = batch["has_twin"] * batch["presence"] * batch["right"] * batch["grasp"]
    return wanted.nonzero()[:, 0]


def twin_target(batch: CropBatch, rows: Tensor) -> CropBatch:
    """The labels of the twins: the hand's, which holds nothing; what depends on the object is void."""
    target = rows_of(batch, rows)
    nothing = torch.zeros_like(target["grasp"])
    return {**target, "grasp": nothing, "has_points": nothing, "has_visible": nothing, "has_segments": nothing}


def enhancement_terms(
    config: TwinConfig, output: Output, twin: Output, rows: Tensor, visible_ratio: Tensor, mapper: nn.Module
) -> Terms:
    """Eq. (7): mean |difference| of the features from those of the twins, which are not taught by it.

    Args:
        config: levels and filter; a level that is not wanted is 0.
        output: of the images.
        twin: of the twins of `rows`.
        rows: (n,) see `twin_rows`.
        visible_ratio: (B,) share of the hand that nothing hides.
        mapper: h, applied to the image's code alone (the paper applies it to both, the released code as here).
    """
    counts = torch.ones_like(visible_ratio[rows])
    if config.least_hidden is not None:
        counts = (1 - visible_ratio[rows] >= config.least_hidden).to(counts.dtype)
    pairs = {
        "initial": (output.initial[rows], twin.initial),
        "roi": (output.hand_roi[rows], twin.hand_roi),
        "code": (mapper(output.hand.code[rows]), twin.hand.code),
    }
    terms = {}
    for level, (feature, wanted) in pairs.items():
        difference = (feature - wanted.detach()).abs()
        wanted_level = level in config.levels
        terms[f"{level}_enhancement"] = mean_of_rows(difference, counts) if wanted_level else counts.new_zeros(())
    return terms
