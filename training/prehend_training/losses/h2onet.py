"""The losses of networks that draw on several frames: of H2ONet, section 3.4, and of the fusion of `unihope-s-time`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.time_fusion import FusedPose
from prehend_training.data.batch import CropBatch
from prehend_training.losses.crop import Terms, balanced, hand_rows, mean_of_rows, rotation_distance


@dataclass(frozen=True)
class H2ONetLossWeights:
    """Weight of each term, see `mesh_terms`, `place_terms` and `switch_terms`: those of the released code.

    Lengths are in metres, places in shares of the crop. The last two belong to answers that the paper does not have.
    """

    vertices: float = 1.0
    joints: float = 1.0
    turned_vertices: float = 1.0
    turned_joints: float = 1.0
    places: float = 1.0
    normals: float = 0.1
    edges: float = 1.0
    occlusion: float = 1.0
    rotation: float = 1.0
    presence: float = 0.1
    side: float = 0.1


@dataclass(frozen=True)
class FusionLossWeights:
    """Weight of each term of `fusion_terms`."""

    joints: float = 40.0
    global_rotation: float = 1.0
    finger_rotation: float = 1.0
    betas: float = 0.05


class TrueMesh(NamedTuple):
    """The labelled hand in canonical pose, the wrist at the origin [m]: vertices (B, V, 3), joints (B, 21, 3)."""

    vertices: Tensor
    joints: Tensor


class FoundMesh(NamedTuple):
    """What is compared with it: vertices (B, V, 3) and joints (B, 21, 3) in canonical pose, rotation (B, 3, 3)."""

    vertices: Tensor
    joints: Tensor
    rotation: Tensor


@torch.no_grad()
def true_mesh(target: CropBatch, hand: HandLayer) -> TrueMesh:
    """The hand of the labels without its global rotation."""
    rotations = target["rotations"].clone()
    rotations[:, 0] = torch.eye(3, device=rotations.device)
    posed = hand(rotations, target["betas"])
    return TrueMesh(posed.vertices - posed.joints[:, :1], posed.joints - posed.joints[:, :1])


def mesh_terms(found: FoundMesh, target: CropBatch, hand: HandLayer, faces: Tensor) -> Terms:
    """Terms of a mesh in canonical pose and of its rotation; rows whose pose is not known do not count.

    Args:
        found: of the network, at any origin.
        target: see `crop_targets.hand_targets`.
        hand: skinning of all vertices.
        faces: (F, 3) of the mesh.

    Returns:
        vertices, joints: mean |error| relative to the wrist, eq. (8). turned_vertices, turned_joints: the same in the
        crop frame, of which the shape learns nothing. normals, edges: eq. (9); a normal is that of the labelled mesh,
        an edge of unit length there. rotation: mean squared error of the matrix, eq. (11) up to its scale.
    """
    truth, rows = true_mesh(target, hand), hand_rows(target, "pose")
    vertices, joints = found.vertices - found.joints[:, :1], found.joints - found.joints[:, :1]
    wanted = target["rotations"][:, 0]
    turn, true_turn = found.rotation.transpose(1, 2), wanted.transpose(1, 2)
    normals, edges = surface_errors(vertices, truth.vertices, faces)
    return {
        "vertices": mean_of_rows((vertices - truth.vertices).abs(), rows),
        "joints": mean_of_rows((joints - truth.joints).abs(), rows),
        "turned_vertices": mean_of_rows((vertices.detach() @ turn - truth.vertices @ true_turn).abs(), rows),
        "turned_joints": mean_of_rows((joints.detach() @ turn - truth.joints @ true_turn).abs(), rows),
        "normals": mean_of_rows(normals, rows),
        "edges": mean_of_rows(edges, rows),
        "rotation": mean_of_rows((found.rotation - wanted).square(), rows),
    }


def surface_errors(vertices: Tensor, true_vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """(B, V, 3) twice, (F, 3) -> (B, 3F) |cosine| between edges and the true normals, and (B, 3F) errors of the edges'
    lengths [m]."""
    following = faces.roll(-1, 1)
    edges, wanted = (mesh[:, following] - mesh[:, faces] for mesh in (vertices, true_vertices))
    normals = F.normalize(torch.linalg.cross(wanted[:, :, 0], wanted[:, :, 1]), dim=-1)
    cosines = (F.normalize(edges, dim=-1) * normals[:, :, None]).sum(-1).abs()
    # a length has no gradient at nothing, which no mesh has at its start
    lengths = (edges.norm(dim=-1) - wanted.norm(dim=-1)).abs()
    return cosines.flatten(1), lengths.flatten(1)


def place_terms(places: Tensor, part_logit: Tensor, target: CropBatch, size: int) -> Terms:
    """Terms of what a single image tells beside the mesh.

    Args:
        places: (B, 21, 2) in [0, 1] of the crop. part_logit: (B, 6).
        target: see `crop_targets.hand_targets` and `part_targets`.
        size: side of the crop [px].

    Returns:
        places: mean |error| in shares of the crop. occlusion: log loss, eq. (10).
    """
    box = target["hand_box"]
    wanted_px = box[:, None, :2] + target["keypoints"] * (box[:, 2:] - box[:, :2])[:, None]
    off = (places - (wanted_px + 0.5) / size).abs()
    entropy = F.binary_cross_entropy_with_logits(part_logit, target["part_seen"], reduction="none")
    return {
        "places": mean_of_rows(off, hand_rows(target, "keypoints")),
        "occlusion": mean_of_rows(entropy, hand_rows(target, "parts")),
    }


def switch_terms(presence_logit: Tensor, side_logit: Tensor, target: CropBatch) -> Terms:
    """Log loss of presence and side, both classes of a batch alike."""
    every = torch.ones_like(target["presence"])
    there, right = (
        F.binary_cross_entropy_with_logits(logit[:, 0], wanted, reduction="none")
        for logit, wanted in ((presence_logit, target["presence"]), (side_logit, target["right"]))
    )
    return {
        "presence": balanced(there, target["presence"], every),
        "side": balanced(right, target["right"], hand_rows(target, "side")),
    }


def fusion_terms(fused: FusedPose, target: Mapping[str, Tensor], hand: HandLayer) -> Terms:
    """Terms of a pose that several frames tell together.

    Args:
        fused: of the network.
        target: rotations, joints, betas, has_pose as in `crop_targets.hand_targets`.
        hand: skinning.

    Returns:
        joints: mean |error| relative to the wrist [m]. global_rotation, finger_rotation: mean angle [rad]. betas: mean
        squared error.
    """
    rows = target["has_pose"]
    joints = hand(fused.rotations, fused.betas).joints
    off = rotation_distance(fused.rotations, target["rotations"])
    return {
        "joints": mean_of_rows((joints - joints[:, :1] - target["joints"]).abs(), rows),
        "global_rotation": mean_of_rows(off[:, :1], rows),
        "finger_rotation": mean_of_rows(off[:, 1:], rows),
        "betas": mean_of_rows((fused.betas - target["betas"]).square(), rows),
    }
