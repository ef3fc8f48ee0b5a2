"""What a network of UniHOPE's kind gives: the outputs of its stages as tensors, and what training wants besides."""

from typing import Any, NamedTuple

from torch import Tensor


class EncodeOutput(NamedTuple):
    """Outputs of stage `encode`: grasp_logit, presence_logit and side_logit (B, 1) as in `Switches`, hand_map
    (B, C, S/4, S/4), object_source (B, Co, h, w)."""

    grasp_logit: Tensor
    presence_logit: Tensor
    side_logit: Tensor
    hand_map: Tensor
    object_source: Tensor


class ObjectOutput(NamedTuple):
    """Outputs of stage `object`: object_roi (B, C, R, R), the object's feature in the hand's RoI; object_points
    (B, 21, R * R, 3), x and y in units of the object box and confidence, of each control point from each cell."""

    object_roi: Tensor
    object_points: Tensor


class HandOutput(NamedTuple):
    """Outputs of stage `hand`: keypoints (B, 21, 2) in units of the hand box (0 left/top, 1 right/bottom; joints
    outside of the box are outside of [0, 1]), rotations (B, 16, 3, 3) in the crop frame, betas (B, 10),
    visibility_logit (B, 21), code (B, D)."""

    keypoints: Tensor
    rotations: Tensor
    betas: Tensor
    visibility_logit: Tensor
    code: Tensor


class Output(NamedTuple):
    """Everything training wants.

    Attributes:
        encoded, hand: as in the stages.
        object_points: (n, 21, R * R, 3) of the rows whose object was computed, in their order.
        object_rows: (n,) int64, these rows.
        initial: (B, Ci, S/8, S/8) layer 2 of the hand stream, first level of the feature enhancement (eq. 7).
        deep: (B, Cd, S/32, S/32) layer 4 of the hand stream.
        hand_roi: (B, C, R, R) hand's RoI feature before the fusion, second level; `hand.code` is the third.
        heatmaps: (B, 21, R, R) logits of the joints' places in the hand's RoI, not yet sharpened.
        thing: everything that stage `object` said of `object_rows`; None without such rows.
        object_cells: (n, R * R) logits that a cell of the object's box shows the object, of networks that say so.
    """

    encoded: EncodeOutput
    hand: HandOutput
    object_points: Tensor
    object_rows: Tensor
    initial: Tensor
    deep: Tensor
    hand_roi: Tensor
    heatmaps: Tensor
    thing: Any = None
    object_cells: Tensor | None = None
