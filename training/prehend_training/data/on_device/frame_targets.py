"""`data.frames.seen_hands` and `data.frames.detector_targets` for a whole batch on a device."""

from typing import NamedTuple

import torch
from torch import Tensor

from prehend.pipeline.find import cell_centers
from prehend_training.data.frames import MIN_INSIDE, MIN_SIDE_PX, MIN_VISIBLE, SAYS_BOX
from prehend_training.data.on_device.tensors import on_device
from prehend_training.data.on_device.views import Labels, apply_affines


class SeenHands(NamedTuple):
    """Hands of B frames in the detector's input, H of each: seen (B, H) whether there is one, side (B, H) its index,
    box and object_box (B, H, 4), held and counts (B, H), center (B, H, 2); see `data.frames.SeenHand`."""

    seen: Tensor
    side: Tensor
    box: Tensor
    object_box: Tensor
    held: Tensor
    counts: Tensor
    center: Tensor


def seen_hands(labels: Labels, affine: Tensor, window: Tensor, flip: Tensor) -> SeenHands:
    """The hands in the detector's input.

    Args:
        labels: of B frames.
        affine: (B, 2, 3) from frames to the input.
        window: (B, 4) x0, y0, x1, y1, ends excluded, of the picture inside the input.
        flip: (B,) whether the frame is mirrored.
    """
    low, high = window[:, None, None, :2].double(), window[:, None, None, 2:].double() - 1
    points = apply_affines(affine, labels["keypoints_px"])
    inside = ((points >= low) & (points <= high)).all(-1)
    box = torch.cat([points.amin(2), points.amax(2)], 2)
    things = apply_affines(affine, labels["object_keypoints_px"])
    things = torch.minimum(torch.maximum(things, 2 * low - high), 2 * high - low)
    object_box = torch.cat([things.amin(2), things.amax(2)], 2)
    there = torch.arange(points.shape[1], device=points.device) < labels["hand_count"][:, None]
    large = (box[..., 2:] - box[..., :2]).amax(-1) >= MIN_SIDE_PX
    counts = (inside.double().mean(-1) >= MIN_INSIDE) & (labels["visible_ratio"] >= MIN_VISIBLE) & large
    shown = [torch.minimum(torch.maximum(corner, low[:, 0]), high[:, 0]) for corner in (box[..., :2], box[..., 2:])]
    return SeenHands(
        there & inside.any(-1),
        labels["side"].long() ^ flip[:, None].long(),
        box,
        object_box,
        labels["grasp"] & labels["has_object"],
        counts,
        (shown[0] + shown[1]) / 2,
    )


def detector_targets(hands: SeenHands, size: int, stride: int) -> dict[str, Tensor]:
    """Maps by the names and shapes of `data.frames.detector_targets`, (B, ...) each."""
    count, cells, device = len(hands.seen), size // stride, hands.seen.device
    centers = on_device(cell_centers(cells, size), device, torch.float64)
    maps = {name: torch.zeros(count, cells, cells, device=device) for name in ("heat", "side", "held")}
    maps |= {name: torch.zeros(count, cells, cells, device=device) for name in ("box_weight", "object_weight")}
    maps["heat_weight"] = torch.ones(count, cells, cells, device=device)
    maps["hand_box"] = torch.ones(count, 4, cells, cells, device=device)
    maps["object_box"] = torch.zeros(count, 4, cells, cells, device=device)
    for number in range(hands.seen.shape[1]):
        one = SeenHands(*(value[:, number] for value in hands))
        _draw(maps, one, centers, stride)
    return maps


def _draw(maps: dict[str, Tensor], hand: SeenHands, centers: Tensor, stride: int) -> None:
    """One hand of each frame, where it is seen."""
    cells = len(centers)
    steps = torch.arange(cells, device=centers.device)
    place = torch.round((hand.center - centers[0]) / stride).clamp(0, cells - 1).long()
    area = ((hand.box[:, 2:] - hand.box[:, :2]).clamp(min=0)).prod(1)
    sigma = (0.09 * area.clamp(min=1).sqrt() / stride).clamp(min=0.8)
    away = (steps - place[:, 1:])[:, :, None] ** 2 + (steps - place[:, :1])[:, None, :] ** 2
    gauss = torch.exp(-away / (2 * sigma**2)[:, None, None]).float()
    x0, y0, x1, y1 = (edge[:, None, None] for edge in hand.box.unbind(1))
    x, y = centers[None, None, :], centers[None, :, None]
    distances = torch.stack([value.expand_as(gauss) for value in (x - x0, y - y0, x1 - x, y1 - y)], 1)
    counts = (hand.seen & hand.counts)[:, None, None]
    on = (distances >= 0).all(1)
    either = (hand.seen & ~hand.counts)[:, None, None] & on
    at = (away == 0) & counts
    maps["heat_weight"] = torch.where(at, 1.0, torch.where(either, 0.0, maps["heat_weight"]))
    maps["heat"] = torch.where(counts, torch.maximum(maps["heat"], gauss), maps["heat"])
    mine = counts & (gauss > SAYS_BOX) & (gauss > maps["box_weight"]) & (distances > 0).all(1)
    held = hand.held[:, None, None].expand_as(gauss)
    offsets = torch.stack([
        value.expand_as(gauss) for value in
        (edge[:, None, None] - axis for edge, axis in zip(hand.object_box.unbind(1), (x, y, x, y), strict=True))
    ], 1)  # fmt: skip
    new = {
        "box_weight": gauss,
        "side": hand.side[:, None, None].float().expand_as(gauss),
        "held": held.float(),
        "object_weight": torch.where(held, gauss, 0.0),
    }
    for name, value in new.items():
        maps[name] = torch.where(mine, value, maps[name])
    maps["hand_box"] = torch.where(mine[:, None], distances.float(), maps["hand_box"])
    maps["object_box"] = torch.where((mine & held)[:, None], offsets.float(), maps["object_box"])
