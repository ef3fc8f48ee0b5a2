"""Loss terms of the crop networks, each with a name; weights live in the presets.

Every term is an average over the rows it is defined on (no row: zero), at least zero, and zero at the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.conventions import NUM_JOINTS
from prehend.hand_model.asset import HandModel, load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.outputs import EncodeOutput, HandOutput, Output
from prehend.models.hand_object.unihope import UniHOPE
from prehend_training.data.batch import Batch, CropBatch
from prehend_training.data.pixels.plans import MAP_STRIDE

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class CropLossWeights:
    """Weight of each of our terms: see `hand_terms`, `switch_terms`, `object_terms`, `map_terms`, `heatmap_terms` and
    `prehend_training.losses.pairs.enhancement_terms`.

    The scale is chosen so that the terms pull about alike late in training: 0.03 of the box, 10 mm, 0.2 rad. The forms
    are not the paper's (`prehend_training.losses.paper` has those): absolute errors and dense maps teach a network that
    starts from nothing in far fewer samples.
    """

    keypoints: float = 10.0
    heatmaps: float = 0.5
    dense_heatmaps: float = 0.5
    segments: float = 1.0
    coarse_joints: float = 10.0
    joints: float = 40.0
    vertices: float = 20.0
    global_rotation: float = 1.0
    finger_rotation: float = 1.0
    betas: float = 0.05
    visibility: float = 0.3
    grasp: float = 0.5
    presence: float = 0.3
    side: float = 1.0
    object_points: float = 3.0
    object_confidence: float = 0.5
    initial_enhancement: float = 0.1
    roi_enhancement: float = 0.1
    code_enhancement: float = 0.5

    def hand(self) -> HandLayer:
        """Skinning for the terms."""
        return SampledHand(load_hand_model())

    def image_terms(self, network: UniHOPE, output: Output, batch: CropBatch, read: Batch, hand: HandLayer) -> Terms:
        """Terms of the images; `read` is what the layers of training read from the trunk, see `map_terms`."""
        terms = switch_terms(output.encoded, batch) | hand_terms(output.hand, batch, hand)
        terms |= object_terms(output, batch) | heatmap_terms(network, output.heatmaps, batch)
        return terms | map_terms(read, batch)

    def twin_terms(self, network: UniHOPE, output: Output, target: CropBatch, hand: HandLayer) -> Terms:
        """Terms of de-occluded twins."""
        terms = hand_terms(output.hand, target, hand) | switch_terms(output.encoded, target)
        return terms | heatmap_terms(network, output.heatmaps, target)


def total(terms: Terms, weights: object) -> Tensor:
    """Weighted sum of the terms.

    Args:
        terms: scalars by name.
        weights: dataclass with a float for every name.
    """
    named = {field.name: getattr(weights, field.name) for field in fields(weights)}  # type: ignore[arg-type]
    return torch.stack([value * named[name] for name, value in terms.items()]).sum()


class SampledHand(HandLayer):
    """Skinning of the joints and of a spread-out sample of the vertices: most of the mesh's signal, little of its cost.

    Args:
        model: the hand.
        count: vertices to sample, fingertips come on top.
        seed: of the sample's start.
    """

    def __init__(self, model: HandModel, count: int = 150, seed: int = 0):
        super().__init__(model)
        tips = np.asarray(model.tips)
        others = np.setdiff1d(farthest_points(model.v_template, count, seed), tips)
        kept = torch.tensor(np.concatenate([tips, others]), dtype=torch.long)
        self.v_template, self.weights = self.v_template[kept], self.weights[kept]
        self.blend_directions = self.blend_directions.unflatten(0, (-1, 3))[kept].flatten(0, 1)
        self.tips = torch.arange(len(tips))


def farthest_points(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count,) indices of (N, 3) points, each next one farthest from those before."""
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    distance = np.full(len(points), np.inf)
    for _ in range(min(count, len(points)) - 1):
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(-1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def mean_of_rows(values: Tensor, rows: Tensor) -> Tensor:
    """(B, ...) -> scalar mean over the (B,) rows with weight 1; 0 where there are none."""
    per_row = values.flatten(1).mean(1) if values.dim() > 1 else values
    # a product with the weights would let NaN of rows that do not count through
    return torch.where(rows > 0, per_row, torch.zeros_like(per_row)).sum() / rows.sum().clamp(min=1)


def balanced(values: Tensor, truth: Tensor, rows: Tensor) -> Tensor:
    """Mean over the (B,) rows in which both classes of `truth` weigh alike, so that a logit does not carry the share
    that a class has in training; a class that is not there counts as right."""
    return (mean_of_rows(values, rows * truth) + mean_of_rows(values, rows * (1 - truth))) / 2


def rotation_distance(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3, 3) twice -> (...) chordal distance, the angle for small ones [rad]: ||a - b||_F / sqrt(2).

    Rounded off below a milliradian, where the norm has no gradient.
    """
    square = (a - b).square().sum((-2, -1)) / 2
    return torch.sqrt(square + 1e-6) - 1e-3


DENSE_CHANNELS = 3 + NUM_JOINTS
"""Logits of `map_terms`: 3 segments, 21 heatmaps."""


def bump(places: Tensor, cells: int, sigma: float = 0.8) -> Tensor:
    """(B, N, 2) places in cells, the middle of the first being 0 -> (B, N, cells, cells) normal bumps of sum 1."""
    steps = torch.arange(cells, dtype=places.dtype, device=places.device)
    x, y = torch.softmax(-((steps - places[..., None]) ** 2) / (2 * sigma**2), -1).unbind(2)
    return y[..., :, None] * x[..., None, :]


def heatmap_divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """(B, N, R, R) twice -> (B, N) Kullback-Leibler divergence of the softmax over each map from the wanted map."""
    said = torch.log_softmax(logits.flatten(2), -1)
    target = wanted.flatten(2)
    return (target * (target.clamp(min=1e-9).log() - said)).sum(-1)


def hand_rows(target: CropBatch, *labels: str) -> Tensor:
    """(B,) 1 for rows that show a hand whose `has_...` labels are there, a right one where its pose counts.

    A hand that was not mirrored though it is a left one teaches where its joints are seen, and its side; the pose of a
    left hand is not the network's to answer.

    Args:
        target: see `targets`.
        labels: names without `has_`; `pose` and `joints` are of right hands alone.
    """
    rows = target["presence"]
    for label in labels:
        rows = rows * target[f"has_{label}"]  # type: ignore[literal-required]
        if label in ("pose", "joints"):
            rows = rows * target["right"]
    return rows


def map_terms(read: Mapping[str, Tensor], target: CropBatch) -> Terms:
    """Terms on what layers that only training has read from the trunk.

    Args:
        read: `dense` (B, `DENSE_CHANNELS`, G, G) from the hand map; `coarse` (B, 21, 3) joints from the deep map [m].
        target: see `targets`.
    """
    dense = read["dense"]
    wanted = bump((_keypoints_px(target) + 0.5) / MAP_STRIDE - 0.5, dense.shape[-1])
    segments = F.cross_entropy(dense[:, :3], target["segments"].long(), reduction="none")
    coarse = (read["coarse"] - target["joints"]).abs()
    return {
        "dense_heatmaps": mean_of_rows(heatmap_divergence(dense[:, 3:], wanted), hand_rows(target, "keypoints")),
        "segments": mean_of_rows(segments, target["has_segments"]),
        "coarse_joints": mean_of_rows(coarse, hand_rows(target, "joints")),
    }


def switch_terms(encoded: EncodeOutput, target: CropBatch) -> Terms:
    """Terms of the switcher: whether something is held and whether the hand is a right one, where there is a hand, and
    whether there is one."""

    def entropy(logit: Tensor, name: str) -> Tensor:
        return F.binary_cross_entropy_with_logits(logit[:, 0], target[name], reduction="none")  # type: ignore[literal-required]

    return {
        "grasp": mean_of_rows(entropy(encoded.grasp_logit, "grasp"), target["presence"] * target["has_grasp"]),
        "presence": entropy(encoded.presence_logit, "presence").mean(),
        "side": balanced(entropy(encoded.side_logit, "right"), target["right"], hand_rows(target, "side")),
    }


def _keypoints_px(target: CropBatch) -> Tensor:
    """(B, 21, 2) in crop px."""
    box = target["hand_box"]
    return box[:, None, :2] + target["keypoints"] * (box[:, 2:] - box[:, :2])[:, None]


def heatmap_terms(network: UniHOPE, heatmaps: Tensor, target: CropBatch) -> Terms:
    """Term on the maps whose expected places are the keypoints: it teaches a fresh network where things are long before
    an expected place does.

    Args:
        network: for the hand's RoI.
        heatmaps: (B, 21, R, R) logits over that RoI.
        target: see `targets`.
    """
    region = network.hand_region(target["hand_box"])
    in_region = (_keypoints_px(target) - region[:, None, :2]) / (region[:, 2:] - region[:, :2])[:, None]
    cells = heatmaps.shape[-1]
    wanted = bump(in_region * cells - 0.5, cells)
    return {"heatmaps": mean_of_rows(heatmap_divergence(heatmaps, wanted), hand_rows(target, "keypoints"))}


def hand_terms(answer: HandOutput, target: CropBatch, hand: HandLayer) -> Terms:
    """Terms of keypoints, pose, shape and visibility; rows without a right hand or without the label do not count.

    Args:
        answer: of the network.
        target: see `targets`.
        hand: skinning for `joints` and `vertices`.
    """
    box_size = target["hand_box"][:, 2:] - target["hand_box"][:, :2]
    # errors count alike along both axes, however narrow the box
    aspect = (box_size / box_size.amax(1, keepdim=True))[:, None]
    meshed = hand(answer.rotations, answer.betas)
    with torch.no_grad():
        truth = hand(target["rotations"], target["betas"])
    turned = rotation_distance(answer.rotations, target["rotations"])
    joints = meshed.joints - meshed.joints[:, :1]
    vertices, true_vertices = meshed.vertices - meshed.joints[:, :1], truth.vertices - truth.joints[:, :1]
    posed, placed = hand_rows(target, "pose"), hand_rows(target, "keypoints")
    return {
        "keypoints": mean_of_rows(((answer.keypoints - target["keypoints"]) * aspect).abs(), placed),
        "joints": mean_of_rows((joints - target["joints"]).abs(), hand_rows(target, "joints")),
        "vertices": mean_of_rows((vertices - true_vertices).abs(), posed),
        "global_rotation": mean_of_rows(turned[:, 0], posed),
        "finger_rotation": mean_of_rows(turned[:, 1:], posed),
        "betas": mean_of_rows((answer.betas - target["betas"]).abs(), posed),
        "visibility": visibility_term(answer, target),
    }


def visibility_term(answer: HandOutput, target: CropBatch) -> Tensor:
    """() whether each joint is seen."""
    entropy = F.binary_cross_entropy_with_logits(answer.visibility_logit, target["visible"], reduction="none")
    return mean_of_rows(entropy, hand_rows(target, "visible"))


def divergence(said: Tensor, wanted: Tensor) -> Tensor:
    """Kullback-Leibler divergence of probabilities from those wanted, elementwise.

    The paper has L1, whose gradient dies where the logistic function is flat: all confidences fall to zero early on,
    since most cells are beside the object, and stay there.
    """
    said = said.clamp(1e-6, 1 - 1e-6)
    wanted = wanted.clamp(1e-6, 1 - 1e-6)
    return wanted * (wanted / said).log() + (1 - wanted) * ((1 - wanted) / (1 - said)).log()


class ObjectErrors(NamedTuple):
    """Errors of the proposals to the nearest of the equivalent poses.

    Attributes:
        known: (n,) 1 for rows whose object is known.
        points: (n,) mean |error| in units of the object box; cells beside the object have a tenth of the weight.
        confidence: (n, 21, R * R) what the cells said.
        wanted: (n, 21, R * R) exp(-sharpness * distance) on the object, 0 beside it.
    """

    known: Tensor
    points: Tensor
    confidence: Tensor
    wanted: Tensor


class SeenObjects(NamedTuple):
    """What `object_errors` reads of an `Output`: see there."""

    object_points: Tensor
    object_rows: Tensor


def object_errors(output: Output | SeenObjects, target: CropBatch, sharpness: float) -> ObjectErrors:
    """How far the proposals of `output.object_rows` are off."""
    rows = output.object_rows
    on = target["object_mask"][rows][:, None]
    places, confidence = output.object_points[..., :2], output.object_points[..., 2]
    error = (places[:, None] - target["object_points"][rows][..., None, :]).abs()
    weight = (0.1 + 0.9 * on)[:, None, ..., None]
    per_pose = (error * weight).mean((2, 3, 4)) / weight.mean((2, 3, 4))
    best = per_pose.argmin(1)
    nearest = error[torch.arange(len(rows), device=best.device), best]
    wanted = torch.exp(-sharpness * nearest.detach().norm(dim=-1)) * on
    return ObjectErrors(target["has_points"][rows], per_pose.gather(1, best[:, None])[:, 0], confidence, wanted)


CONFIDENCE_SHARPNESS = 4.0
"""The paper has 1, which leaves all confidences close to 1."""


def object_terms(output: Output | SeenObjects, target: CropBatch) -> Terms:
    """Control points (L1, in units of the object box) and confidence (divergence) of the objects that are known."""
    errors = object_errors(output, target, CONFIDENCE_SHARPNESS)
    return {
        "object_points": mean_of_rows(errors.points, errors.known),
        "object_confidence": mean_of_rows(divergence(errors.confidence, errors.wanted), errors.known),
    }
