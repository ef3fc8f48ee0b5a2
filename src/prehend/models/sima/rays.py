"""Where the rays of several cameras meet, and the same points without where the hand is and how it is turned."""

import torch
from torch import Tensor

from prehend.models.heads.mano import rotations_from_6d

_DAMPING = 1e-4
"""Weight of the middle of the views' first metre: rays of one place do not meet anywhere else."""
_FAR_M = 0.7
_WRIST, _INDEX, _MIDDLE, _LITTLE = 0, 5, 9, 17
_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]


def meeting_points(places: Tensor, weight: Tensor, turn: Tensor, center: Tensor, ray: Tensor) -> Tensor:
    """The points that are nearest to the rays of all views, in least squares.

    Args:
        places: (B, N, J, 2) in [0, 1] of the crops.
        weight: (B, N, J) of each ray, at least one above 0.
        turn, center, ray: see `views.Rig`.

    Returns:
        (B, J, 3) in the frame that the views share [m].
    """
    pixels = torch.cat([places, torch.ones_like(places[..., :1])], -1)
    along = pixels @ (turn @ ray).transpose(2, 3)
    along = along / along.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    across = torch.eye(3, dtype=along.dtype, device=along.device) - along[..., None] * along[..., None, :]
    weight = (weight / weight.sum(1, keepdim=True).clamp(min=1e-6))[..., None]
    anchor = ((center[:, :, None] + _FAR_M * along) * weight).sum(1)
    # counted from the anchor: numbers near nothing, and a frame far away changes nothing
    off = center[:, :, None] - anchor[:, None]
    normal = (across * weight[..., None]).sum(1) + _DAMPING * torch.eye(3, dtype=along.dtype, device=along.device)
    wanted = ((across @ off[..., None])[..., 0] * weight).sum(1)
    return anchor + solved(normal, wanted)


def solved(A: Tensor, b: Tensor) -> Tensor:
    """(..., 3, 3), (..., 3) -> (..., 3) with A x = b, by Cramer's rule, which every runtime has."""
    rows = A.unbind(-2)
    cofactors = [_cross(rows[1], rows[2]), _cross(rows[2], rows[0]), _cross(rows[0], rows[1])]
    determinant = (rows[0] * cofactors[0]).sum(-1, keepdim=True)
    return (torch.stack(cofactors, -1) @ b[..., None])[..., 0] / determinant


def canonical_points(joints: Tensor) -> Tensor:
    """(B, 21, 3) joints in any frame -> the same from the wrist, in a frame that lies in the palm: it points from the
    wrist to the middle knuckle, and across from the little to the index knuckle [m]."""
    from_wrist = joints - joints[:, :1]
    ahead = from_wrist[:, _MIDDLE]
    aside = joints[:, _INDEX] - joints[:, _LITTLE]
    palm = rotations_from_6d(20 * torch.cat([ahead, aside], -1))
    return from_wrist @ palm


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., _NEXT] * b[..., _AFTER] - a[..., _AFTER] * b[..., _NEXT]
