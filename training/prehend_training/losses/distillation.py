"""What a network learns from a larger one beside the labels (Hinton et al., 2015)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from prehend.models.hand_object.outputs import Output
from prehend.models.hand_object.unihope import UniHOPE
from prehend_training.data.batch import CropBatch
from prehend_training.losses.crop import (
    CropLossWeights,
    Terms,
    hand_rows,
    heatmap_divergence,
    mean_of_rows,
    rotation_distance,
)


@dataclass(frozen=True)
class TaughtLossWeights(CropLossWeights):
    """Weights of `teacher_terms` beside those of the labels."""

    teacher_keypoints: float = 10.0
    teacher_rotations: float = 1.0
    teacher_heatmaps: float = 0.5


def teacher_terms(student: UniHOPE, said: Output, teacher: UniHOPE, taught: Output, target: CropBatch) -> Terms:
    """How far a network is from its teacher, in rows that show a right hand.

    Args:
        student, teacher: for their RoIs.
        said, taught: what they answered to the same batch; the heatmaps of the teacher are laid out anew over the
            student's RoI.
        target: the batch.
    """
    rows = hand_rows(target)
    box_size = target["hand_box"][:, 2:] - target["hand_box"][:, :2]
    aspect = (box_size / box_size.amax(1, keepdim=True))[:, None]
    turned = rotation_distance(said.hand.rotations, taught.hand.rotations)
    region, wanted_region = (network.hand_region(target["hand_box"]) for network in (teacher, student))
    maps = torch.softmax(taught.heatmaps.float().flatten(2), -1).view_as(taught.heatmaps)
    wanted = laid_out_anew(maps, region, wanted_region, said.heatmaps.shape[-1])
    return {
        "teacher_keypoints": mean_of_rows(((said.hand.keypoints - taught.hand.keypoints) * aspect).abs(), rows),
        "teacher_rotations": mean_of_rows(turned[:, 0] + turned[:, 1:].mean(1), rows),
        "teacher_heatmaps": mean_of_rows(heatmap_divergence(said.heatmaps.float(), wanted), rows),
    }


def laid_out_anew(maps: Tensor, region: Tensor, wanted: Tensor, cells: int, fine: int = 4) -> Tensor:
    """Probabilities over one region as probabilities over another.

    Args:
        maps: (B, N, R, R) of sum 1 over `region`.
        region, wanted: (B, 4) boxes [crop px].
        cells: of the result along a side.
        fine: points along each axis of a cell at which the density is read.

    Returns:
        (B, N, cells, cells) of sum 1; what lies beyond `wanted` is left out.
    """
    steps = (torch.arange(cells * fine, device=maps.device, dtype=maps.dtype) + 0.5) / (cells * fine)
    places = wanted[:, None, :2] + steps[:, None] * (wanted[:, None, 2:] - wanted[:, None, :2])
    unit = 2 * (places - region[:, None, :2]) / (region[:, None, 2:] - region[:, None, :2]) - 1
    x, y = unit.unbind(2)
    count = len(steps)
    grid = torch.stack([x[:, None].expand(-1, count, -1), y[:, :, None].expand(-1, -1, count)], -1)
    density = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    shares = F.avg_pool2d(density, fine)
    return shares / shares.sum((2, 3), keepdim=True).clamp(min=1e-9)
