"""`data.crop_targets` for a whole batch on a device; every array has the name and shape it has there."""

import torch
from torch import Tensor

from prehend.conventions import KIND_UNIT_M, NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend_training.data.crop_targets import CENTRE_POINT, KNOWN, MAP_STRIDE
from prehend_training.data.on_device.store import LAYER_HAND, LAYER_OBJECT
from prehend_training.data.on_device.views import Labels, Views, apply_affines, is_right


def hand_targets(labels: Labels, views: Views) -> dict[str, Tensor]:
    """See `prehend_training.data.crop_targets.hand_targets`."""
    R = views.R_crop_camera
    turned = labels["joints_m"].double() @ R.transpose(1, 2)
    rotations = labels["rotations"].clone()
    rotations[:, 0] = (R @ labels["rotations"][:, 0].double()).float()
    frame = torch.eye(3, dtype=R.dtype, device=R.device).repeat(len(R), 1, 1)
    frame[:, :2] = views.affine
    return {
        "presence": torch.ones(len(R), device=R.device),
        "grasp": labels["grasp"].float(),
        "right": is_right(labels),
        **{name: labels[name].float() for name in KNOWN},
        "visible_ratio": labels["visible_ratio"].float(),
        "hand_box": views.hand_box.float(),
        "keypoints": in_boxes(apply_affines(views.affine, labels["keypoints_px"]), views.hand_box).float(),
        "joints": (turned - turned[:, :1]).float(),
        "rotations": rotations,
        "betas": labels["betas"].float(),
        "visible": labels["visible"].float(),
        "root": turned[:, 0].float(),
        "projection": (frame @ labels["K"].double() @ R.transpose(1, 2)).float(),
    }


def absent_targets(views: Views) -> dict[str, Tensor]:
    """See `prehend_training.data.crop_targets.absent_targets`."""
    count, device = len(views.affine), views.affine.device
    zeros, ones = torch.zeros(count, device=device), torch.ones(count, device=device)
    eye = torch.eye(3, device=device)
    return {
        "presence": zeros,
        "grasp": zeros,
        "right": ones,
        **dict.fromkeys(KNOWN, ones),
        "visible_ratio": ones,
        "hand_box": views.hand_box.float(),
        "keypoints": torch.zeros(count, NUM_JOINTS, 2, device=device),
        "joints": torch.zeros(count, NUM_JOINTS, 3, device=device),
        "rotations": eye.expand(count, NUM_MANO_JOINTS, 3, 3),
        "betas": torch.zeros(count, NUM_BETAS, device=device),
        "visible": torch.zeros(count, NUM_JOINTS, device=device),
        "root": eye[2].expand(count, 3),
        "projection": eye.expand(count, 3, 3),
    }


def object_targets(labels: Labels, views: Views, layers: Tensor, present: Tensor, grid: int) -> dict[str, Tensor]:
    """See `prehend_training.data.crop_targets.object_targets`.

    Args:
        labels, views: of B crops.
        layers: (B, S, S) what the crops show, see `resident.LAYERS`.
        present: (B,) bool, crops without the hand have no object either.
        grid: cells of the object stage along a side.
    """
    grasped = labels["grasp"] & labels["has_object"] & present
    points = apply_affines(views.affine, labels["object_keypoints_px"])
    points = in_boxes(points.flatten(1, 2), views.object_box).view(points.shape)
    return {
        "object_box": views.object_box.float(),
        "has_points": grasped.float(),
        "object_points": (points * grasped[:, None, None, None]).float(),
        "object_mask": cells_on((layers == LAYER_OBJECT) & present[:, None, None], views.object_box, grid),
        "object_scale": (_scale(labels, views, layers.shape[-1]) * grasped).float(),
        "object_moments": (_moments(labels, views) * grasped[:, None]).float(),
    }


def _moments(labels: Labels, views: Views) -> Tensor:
    """(B, 6) see `prehend_training.data.crop_targets.object_targets`."""
    points = labels["object_points_m"][:, 0].double() @ views.R_crop_camera.transpose(1, 2)
    points = points - points[:, CENTRE_POINT, None]
    M = points.transpose(1, 2) @ points
    M = M / M.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-12)[:, None, None]
    return torch.stack([M[:, 0, 0], M[:, 1, 1], M[:, 2, 2], M[:, 0, 1], M[:, 0, 2], M[:, 1, 2]], dim=1)


def _scale(labels: Labels, views: Views, size_px: int) -> Tensor:
    """(B,) see `prehend_training.data.crop_targets.object_targets`."""
    K, depth_m = labels["K"].double(), labels["object_points_m"][:, 0, CENTRE_POINT, 2].double().clamp(min=1e-3)
    focal = torch.sqrt(K[:, 0, 0] * K[:, 1, 1] * torch.linalg.det(views.affine[:, :, :2].double()).abs())
    return torch.log(focal * KIND_UNIT_M / (depth_m * size_px))


def in_boxes(points: Tensor, boxes: Tensor) -> Tensor:
    """(B, N, 2) pixels -> units of the (B, 4) boxes."""
    return (points - boxes[:, None, :2]) / (boxes[:, None, 2:] - boxes[:, None, :2])


def cells_on(masks: Tensor, boxes: Tensor, grid: int) -> Tensor:
    """(B, S, S) masks, (B, 4) boxes -> (B, grid**2) 1 where the centre of a cell of the box lies on the mask."""
    steps = (torch.arange(grid, dtype=boxes.dtype, device=boxes.device) + 0.5) / grid
    places = boxes[:, None, :2] + steps[:, None] * (boxes[:, None, 2:] - boxes[:, None, :2])
    x, y = torch.round(places).long().unbind(2)
    height, width = masks.shape[1:]
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    rows = torch.arange(len(masks), device=masks.device)[:, None, None]
    picked = masks[rows, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
    return (picked & inside_y[:, :, None] & inside_x[:, None, :]).flatten(1).float()


def coarse_segments(layers: Tensor) -> Tensor:
    """(B, S, S) layers -> (B, S / 4, S / 4) uint8: 1 the hand with its arm, 2 what it holds, 0 the rest."""
    coarse = layers[:, MAP_STRIDE // 2 :: MAP_STRIDE, MAP_STRIDE // 2 :: MAP_STRIDE]
    return ((coarse == LAYER_HAND) + 2 * (coarse == LAYER_OBJECT)).to(torch.uint8)
