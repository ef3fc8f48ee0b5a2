"""Loss terms of UniHOPE on a pretrained trunk, beside those of `losses`."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.models.hand_object.unihope_lite import LiteHandAnswer, LiteObjectAnswer, UniHOPELite
from prehend_training.data.batch import CropBatch
from prehend_training.losses.crop import Terms, hand_rows, mean_of_rows, rotation_distance


@dataclass(frozen=True)
class LiteLossWeights:
    """Weight of each term: see `losses` and `lite_terms`; those of `skeleton_...` are of skeletons without images."""

    places: float = 10.0
    keypoints: float = 10.0
    certainty: float = 0.2
    heatmaps: float = 0.3
    dense_heatmaps: float = 0.3
    segments: float = 0.5
    joints: float = 40.0
    vertices: float = 20.0
    global_rotation: float = 1.0
    finger_rotation: float = 1.0
    betas: float = 0.05
    visibility: float = 0.3
    grasp: float = 0.5
    presence: float = 0.5
    side: float = 0.5
    object_points: float = 3.0
    object_confidence: float = 0.5
    object_match: float = 0.3
    object_extents: float = 0.5
    object_scale: float = 0.3
    object_moments: float = 4.0
    object_mask: float = 1.0
    lifted: float = 1.0
    skeleton_joints: float = 40.0
    skeleton_vertices: float = 20.0
    skeleton_global_rotation: float = 1.0
    skeleton_finger_rotation: float = 1.0
    skeleton_betas: float = 0.05


SKELETON = "skeleton_"
"""Start of the names of a batch's arrays, and of the terms, that belong to skeletons without images."""


def lite_terms(network: UniHOPELite, places: Tensor, answer: LiteHandAnswer, target: CropBatch) -> Terms:
    """Terms on the trunk's places, on the certainty of the keypoints, and on bare hands of photographs.

    Args:
        network: for its pose head.
        places: (B, 21, 2) of stage `encode`, in [0, 1] of the crop.
        answer: of stage `hand`.
        target: see `targets`.

    Returns:
        places: mean |error| in units of the hand box's longer side, as `keypoints`.
        certainty: negative log likelihood of the keypoints' errors under Laplace's distribution with the stated
        standard deviation; it may be below zero, and teaches the certainty alone.
        lifted: where a bare hand's places are known but not its pose (a photograph), the pose shall be what places
        alone tell: what features add was learnt on rendered hands.
    """
    box = target["hand_box"]
    longer = (box[:, 2:] - box[:, :2]).amax(1)
    size = (box[:, 2:] - box[:, :2])[:, None]
    wanted_px = box[:, None, :2] + target["keypoints"] * size
    rows = hand_rows(target, "keypoints")
    off = (places * network.config.size - 0.5 - wanted_px).abs() / longer[:, None, None]
    said_px = box[:, None, :2] + answer.keypoints * size
    error = (said_px - wanted_px).detach().abs() / longer[:, None, None]
    spread = answer.keypoint_log_std[..., None] - 0.5 * torch.log(torch.tensor(2.0))
    return {
        "places": mean_of_rows(off, rows),
        "certainty": mean_of_rows(error * torch.exp(-spread) + spread, rows),
        "lifted": lifted_term(network, said_px.detach(), answer, target),
    }


_OF_OBJECTS = ("object_match", "object_mask", "object_extents", "object_moments", "object_scale")


def object_kind_terms(thing: LiteObjectAnswer | None, cells: Tensor | None, rows: Tensor, target: CropBatch) -> Terms:
    """Whether the object is the one described (log loss), the extents it seems to have (mean |log ratio|), how far it
    is (negative log likelihood under Laplace's distribution with the stated standard deviation), how its box lies
    (mean |error| of its moments), and which cells show it (log loss).

    Args:
        thing: of the rows whose object was computed; None for none.
        cells: (n, R * R) of them, as in `Output`; None for none.
        rows: (n,) these rows.
        target: see `targets`.
    """
    if thing is None or cells is None:
        return dict.fromkeys(_OF_OBJECTS, target["grasp"].new_zeros(()))
    known = target["has_points"][rows]
    kind, match = target["object_kind"][rows], target["kind_match"][rows]
    entropy = F.binary_cross_entropy_with_logits(thing.object_match[:, 0], match, reduction="none")
    off = (thing.object_extents.log() - target["object_extents"][rows].clamp(min=1e-3).log()).abs()
    shown = F.binary_cross_entropy_with_logits(cells, target["object_mask"][rows], reduction="none").mean(1)
    scale, log_std = thing.object_scale.unbind(1)
    far, spread = (scale - target["object_scale"][rows]).abs(), log_std.clamp(-5, 2) - 0.5 * math.log(2.0)
    return {
        "object_match": mean_of_rows(entropy, known * kind[:, 0]),
        "object_mask": mean_of_rows(shown, known),
        "object_extents": mean_of_rows(off, known),
        "object_moments": mean_of_rows((thing.object_moments - target["object_moments"][rows]).abs(), known * match),
        "object_scale": mean_of_rows(far * torch.exp(-spread) + spread, known * match),
    }


def lifted_term(network: UniHOPELite, places_px: Tensor, answer: LiteHandAnswer, target: CropBatch) -> Tensor:
    """() mean angle between the pose and what the places alone tell, for bare hands without a known pose [rad]."""
    bare = hand_rows(target, "keypoints") * (1 - target["has_pose"]) * target["has_grasp"] * (1 - target["grasp"])
    with torch.no_grad():
        nothing = torch.zeros_like(answer.code)
        alone = network.mano_head(places_px, answer.keypoint_log_std, nothing).rotations
    return mean_of_rows(rotation_distance(answer.rotations, alone), bare * target["right"])
