"""Loss terms of the detector (quality focal loss, Li et al., NeurIPS 2020; GIoU, Rezatofighi et al., CVPR 2019)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.models.detectors.centers import CenterMaps
from prehend_training.data.batch import DetectorBatch
from prehend_training.losses.crop import Terms


@dataclass(frozen=True)
class DetectorLossWeights:
    """Weight of each term of `detector_terms`, and of the segmentation that only training has."""

    heat: float = 2.0
    side: float = 0.5
    hand_box: float = 1.0
    hand_sides: float = 0.5
    held: float = 0.3
    object_box: float = 0.5
    segments: float = 1.0


def detector_terms(found: CenterMaps, target: DetectorBatch) -> Terms:
    """Scalars by names of `DetectorLossWeights`; `target` as `data.frames.detector_targets`, batched."""
    weight = target["box_weight"]
    count = weight.sum().clamp(min=1)
    right = F.binary_cross_entropy_with_logits(found.side_logit[:, 0], target["side"], reduction="none")
    held = F.binary_cross_entropy_with_logits(found.held_logit[:, 0], target["held"], reduction="none")
    # errors of a box count relative to the hand's size
    side = (target["hand_box"][:, :2] + target["hand_box"][:, 2:]).amax(1).clamp(min=8.0)
    hand_error = (found.hand_box - target["hand_box"]).abs().mean(1) / side
    object_error = (found.object_box - target["object_box"]).abs().mean(1) / side
    return {
        "heat": heat_loss(found.hand_heat[:, 0], target["heat"], target["heat_weight"]),
        "side": (right * weight).sum() / count,
        "hand_box": (giou_loss(found.hand_box, target["hand_box"]) * weight).sum() / count,
        "hand_sides": (hand_error * weight).sum() / count,
        "held": (held * weight).sum() / count,
        "object_box": (object_error * target["object_weight"]).sum() / target["object_weight"].sum().clamp(min=1),
    }


def heat_loss(logit: Tensor, heat: Tensor, weight: Tensor) -> Tensor:
    """Quality focal loss (Li et al., NeurIPS 2020, eq. 1, beta = 2) per hand: (B, G, G) logits, heat and weight.

    All cells near a hand's centre pull, not the one in the middle alone: with few samples that is learned sooner.
    """
    error = F.binary_cross_entropy_with_logits(logit, heat, reduction="none") * (torch.sigmoid(logit) - heat).square()
    return (error * weight).sum() / (heat * weight).sum().clamp(min=1)


def giou_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 - GIoU of boxes given as (B, 4, ...) positive distances from one point to left, top, right, bottom."""
    area_a, area_b = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3]), (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    least, most = torch.minimum(a, b), torch.maximum(a, b)
    shared = (least[:, 0] + least[:, 2]) * (least[:, 1] + least[:, 3])
    hull = (most[:, 0] + most[:, 2]) * (most[:, 1] + most[:, 3])
    union = area_a + area_b - shared
    return 1 - shared / union + (hull - union) / hull
