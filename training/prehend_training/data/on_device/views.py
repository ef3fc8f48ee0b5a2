"""`prehend_training.data.views` and `prehend.pipeline.crop` for a whole batch on a device, in double precision."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from prehend.conventions import MIRROR, SIDES
from prehend.geometry.pnp import MIRRORED_ORDER
from prehend.pipeline.crop import CROP_SCALE, MIN_OBJECT_PX
from prehend_training.data.on_device.tensors import on_device

Labels = dict[str, Tensor]
"""Labels of a batch: `ResidentCrops.labels`, of some rows."""


class Views(NamedTuple):
    """`data.views.View` of B crops: affine (B, 2, 3) from the stored picture to the crop, R_crop_camera
    (B, 3, 3), hand_box and object_box (B, 4) in the crop, all float64."""

    affine: Tensor
    R_crop_camera: Tensor
    hand_box: Tensor
    object_box: Tensor


def apply_affines(affine: Tensor, points: Tensor) -> Tensor:
    """(B, 2, 3) maps, (B, ..., 2) pixels -> (B, ..., 2) pixels."""
    flat = points.flatten(1, -2).to(affine.dtype)
    moved = flat @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
    return moved.view(points.shape)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """(B, 2, 3) the map `inner` followed by the map `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, apply_affines(outer, inner[:, None, :, 2]).transpose(1, 2)], 2)


def determinants(affine: Tensor) -> Tensor:
    """(B, 2, 3) maps -> (B,) how they change areas."""
    return affine[:, 0, 0] * affine[:, 1, 1] - affine[:, 0, 1] * affine[:, 1, 0]


def inverse_affines(affine: Tensor) -> Tensor:
    """(B, 2, 3) maps -> (B, 2, 3) the maps back."""
    adjoint = torch.stack([affine[:, 1, 1], -affine[:, 0, 1], -affine[:, 1, 0], affine[:, 0, 0]], 1).view(-1, 2, 2)
    linear = adjoint / determinants(affine)[:, None, None]
    return torch.cat([linear, -linear @ affine[:, :, 2:]], 2)


def flips(rows: Tensor, width: int) -> Tensor:
    """(B,) bool -> (B, 2, 3) maps `x -> width - 1 - x` of the rows that are told and identities of the others."""
    flip = torch.eye(2, 3, dtype=torch.float64, device=rows.device).repeat(len(rows), 1, 1)
    flip[:, 0, 0] -= 2.0 * rows
    flip[:, 0, 2] += (width - 1.0) * rows
    return flip


def mirrored(labels: Labels, rows: Tensor, width: int) -> Labels:
    """Labels of which those of some rows are of the mirror image, as `prehend_training.data.views.mirror` makes them.

    Args:
        labels: of B crops.
        rows: (B,) bool.
        width: of the pictures [px].
    """
    # products with signs, no matrix products: GPUs may round their factors to ten bits
    signs = on_device(MIRROR.diagonal(), rows.device, torch.float32)
    order = on_device(MIRRORED_ORDER, rows.device)
    changed = dict(labels)
    K = labels["K"].clone()
    K[:, 0, 2] = torch.where(rows, width - 1 - K[:, 0, 2], K[:, 0, 2])
    flipped = {
        "K": K,
        "side": 1 - labels["side"],
        "rotations": labels["rotations"] * signs[:, None] * signs,
        "joints_m": labels["joints_m"] * signs,
        "object_points_m": (labels["object_points_m"] * signs)[:, :, order],
        "keypoints_px": _flip_px(labels["keypoints_px"], width),
        "object_keypoints_px": _flip_px(labels["object_keypoints_px"], width)[:, :, order],
    }
    for name, value in flipped.items():
        wanted = rows.view(-1, *[1] * (value.dim() - 1))
        changed[name] = torch.where(wanted, value, labels[name])
    return changed


def _flip_px(points: Tensor, width: int) -> Tensor:
    return torch.stack([width - 1 - points[..., 0], points[..., 1]], -1)


def is_right(labels: Mapping[str, Tensor]) -> Tensor:
    """(B,) float32 1 for right hands."""
    return (labels["side"] == SIDES.index("right")).float()


def boxes_around(points: Tensor) -> Tensor:
    """(B, N, 2) -> (B, 4) tight boxes x0, y0, x1, y1."""
    return torch.cat([points.amin(1), points.amax(1)], 1)


def centers(boxes: Tensor) -> Tensor:
    """(B, 4) -> (B, 2) middles."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def sides(boxes: Tensor) -> Tensor:
    """(B, 4) -> (B,) longer sides."""
    return (boxes[:, 2:] - boxes[:, :2]).amax(1)


def moved_boxes(boxes: Tensor, shift: Tensor, scale: Tensor, stretch: Tensor) -> Tensor:
    """(B, 4) boxes off by (B, 2) shift, (B,) scale and (B,) stretch, see `resident_draws.BoxDraws`."""
    middle = centers(boxes) + shift * sides(boxes)[:, None]
    grown = scale[:, None] * torch.stack([stretch, 1 / stretch], 1)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * grown
    return torch.cat([middle - half, middle + half], 1)


def turns_about_middle(angles_rad: Tensor, size: tuple[int, int]) -> Tensor:
    """(B,) -> (B, 2, 3) turns of pictures of this width and height [px] about their middle."""
    cos, sin = torch.cos(angles_rad), torch.sin(angles_rad)
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    middle = on_device([(size[0] - 1) / 2, (size[1] - 1) / 2], turn.device, turn.dtype)
    return torch.cat([turn, (middle - turn @ middle)[..., None]], 2)


def boxes_beside(hand: Tensor, draws: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 4) square boxes of about the hand's size that hardly overlap the (B, 4) hand's.

    Args:
        hand: tight boxes.
        draws: (B, 3) direction [rad], distance and size in sides of the hand's box.
        size: width and height of the pictures.
    """
    angle, distance, share = draws.unbind(1)
    side = sides(hand)
    away = (side * distance)[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)
    limit = on_device([size[0] - 1.0, size[1] - 1.0], hand.device, hand.dtype)
    middle = torch.minimum((centers(hand) + away).clamp(min=0), limit)
    half = (side / 2 * share)[:, None]
    return torch.cat([middle - half, middle + half], 1)


def views_of(turn: Tensor, hand_box: Tensor, object_box: Tensor, has_box: Tensor, K: Tensor, size_px: int) -> Views:
    """What the pipeline would cut out of pictures after they were turned, see `prehend_training.data.views.view_of`.

    Args:
        turn: (B, 2, 3) see `turns_about_middle`.
        hand_box, object_box: (B, 4) in the turned pictures.
        has_box: (B,) whether the object's box is known; where it is not, the object stage sees the whole crop.
        K: (B, 3, 3) intrinsics of the pictures.
        size_px: side of the crops.
    """
    scale = size_px / (CROP_SCALE * sides(hand_box))
    middle = centers(hand_box)
    crop = torch.zeros_like(turn)
    crop[:, 0, 0] = crop[:, 1, 1] = scale
    crop[:, :, 2] = (size_px - 1) / 2 - scale[:, None] * middle
    stored = ((middle - turn[:, :, 2])[:, None] @ turn[:, :, :2])[:, 0]
    ray = _rays(K.double(), stored)
    turned = torch.zeros_like(K, dtype=torch.float64)
    turned[:, :2, :2], turned[:, 2, 2] = turn[:, :, :2], 1
    R_camera_crop = _rotations_from_axis(ray / ray.norm(dim=1, keepdim=True))
    return Views(
        compose(crop, turn),
        turned @ R_camera_crop.transpose(1, 2),
        _in_crop(hand_box, crop),
        _object_boxes(_in_crop(object_box, crop), has_box, size_px),
    )


def _rays(K: Tensor, pixels: Tensor) -> Tensor:
    """(B, 3, 3) intrinsics, (B, 2) pixels -> (B, 3) directions of z = 1; a linear solver would wait for the device."""
    y = (pixels[:, 1] - K[:, 1, 2]) / K[:, 1, 1]
    x = (pixels[:, 0] - K[:, 0, 2] - K[:, 0, 1] * y) / K[:, 0, 0]
    return torch.stack([x, y, torch.ones_like(x)], 1)


def _rotations_from_axis(rays: Tensor) -> Tensor:
    """(B, 3) unit vectors -> (B, 3, 3) the smallest rotation that takes the z axis to each."""
    x, y, z = rays.unbind(1)
    skew = torch.zeros(len(rays), 3, 3, dtype=rays.dtype, device=rays.device)
    # the axis is z cross ray = (-y, x, 0)
    skew[:, 0, 2], skew[:, 2, 0] = x, -x
    skew[:, 1, 2], skew[:, 2, 1] = y, -y
    return torch.eye(3, dtype=rays.dtype, device=rays.device) + skew + skew @ skew / (1 + z)[:, None, None]


def _in_crop(boxes: Tensor, crop: Tensor) -> Tensor:
    return apply_affines(crop, boxes.view(-1, 2, 2)).flatten(1)


def _object_boxes(inside: Tensor, has_box: Tensor, size_px: int) -> Tensor:
    """(B, 4) as the pipeline gives them: the whole crop where next to nothing of the object is in it."""
    seen = inside.clamp(-0.5, size_px - 0.5)
    shown = has_box & ((seen[:, 2:] - seen[:, :2]).amin(1) >= MIN_OBJECT_PX)
    whole = on_device([-0.5, -0.5, size_px - 0.5, size_px - 0.5], inside.device, inside.dtype)
    return torch.where(shown[:, None], inside.clamp(-size_px, 2 * size_px), whole)
