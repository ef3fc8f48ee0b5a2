"""Loss terms of the palm detector (quality focal loss: Li et al., NeurIPS 2020)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.models.detectors.palm import Palms
from prehend_training.data.batch import PalmBatch
from prehend_training.losses.crop import Terms


@dataclass(frozen=True)
class PalmLossWeights:
    """Weight of each term of `palm_terms`."""

    score: float = 2.0
    box: float = 2.0
    points: float = 2.0
    region: float = 1.0
    side: float = 0.3
    held: float = 0.3
    thing: float = 0.2


def palm_terms(found: Palms, target: PalmBatch) -> Terms:
    """Scalars by names of `PalmLossWeights`; `target` as `palm_targets`, batched. Places count in palms."""
    said, wanted = found.boxes, target["numbers"]
    side = target["palm_side"][..., None]
    far = (said - wanted).abs()
    return {
        "score": score_loss(found.scores[..., 0], target["score"], target["score_weight"]),
        "box": _mean((far[..., 0:4] / side).mean(-1), target["palm_weight"]),
        "points": _mean((far[..., 4:18] / side).mean(-1), target["palm_weight"]),
        "region": _mean(far[..., 18:22].mean(-1), target["region_weight"]),
        "side": _mean(_entropy(said[..., 22], wanted[..., 22]), target["side_weight"]),
        "held": _mean(_entropy(said[..., 23], wanted[..., 23]), target["held_weight"]),
        "thing": _mean(far[..., 24:28].mean(-1), target["object_weight"]),
    }


def score_loss(logit: Tensor, score: Tensor, weight: Tensor) -> Tensor:
    """Quality focal loss with beta = 2 of (B, A) logits, per palm asked for."""
    error = _entropy(logit, score) * (torch.sigmoid(logit) - score).square()
    return (error * weight).sum() / (score * weight).sum().clamp(min=8)


def _entropy(logit: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit, wanted, reduction="none")


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)
