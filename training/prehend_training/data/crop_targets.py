"""What the networks should answer for a view of an image (docs/PAPERS.md 1.1; frames as in `prehend.conventions`)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import KIND_UNIT_M, NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS, SIDES
from prehend.types import FloatArray
from prehend_training.data.batch import ArrayDict
from prehend_training.data.pixels.draws import OccludingPatch, hidden_by
from prehend_training.data.records import Record
from prehend_training.data.views import CropView, apply_affine, crop_projection
from prehend_training.sample import HIDDEN_SHARE

CENTRE_POINT = 20
"""Number of the control point in the middle of the object's box."""

PART_JOINTS = (*(tuple(range(4 * finger + 1, 4 * finger + 5)) for finger in range(5)), (0, 5, 9, 13, 17))
"""Joints of each of `HAND_PARTS` among the 21; the palm's are wrist and knuckles."""

KNOWN = ("has_pose", "has_joints", "has_keypoints", "has_side", "has_grasp", "has_visible")
"""Marks of a hand's labels that are known."""


def hand_targets(record: Record, view: CropView) -> ArrayDict:
    """Labels of the first hand of a record, as the image shows it.

    Returns:
        presence, grasp: () float32 0 or 1.
        right: () 1 for a right hand, as the network shall see it; of a left one (0) only what does not depend on the
        side may be asked: where it is, its segments, its grasp.
        has_pose, has_joints, has_keypoints, has_side, has_grasp, has_visible: () 1 where rotations and betas, joints,
        keypoints, `right`, grasp, `visible` are known; what is not is void.
        visible_ratio: () share of the hand's own pixels that nothing else hides; see `records.known_ratio`.
        hand_box: (4,) crop px, an input.
        keypoints: (21, 2) in units of the hand box.
        joints: (21, 3) relative to the wrist, crop frame [m].
        rotations: (16, 3, 3); the first from the hand to the crop frame.
        betas: (10,).
        visible: (21,) float32 0 or 1.
        root, projection: (3,) wrist in the crop frame [m] and (3, 3) from that frame to crop px: to draw and measure.
    """
    turned = record["joints_m"][0] @ view.R_crop_camera.T
    rotations = np.array(record["rotations"][0], np.float32)
    rotations[0] = view.R_crop_camera @ rotations[0]
    return {
        "presence": np.float32(1)[...],
        "grasp": np.float32(record["grasp"][0])[...],
        "right": np.float32(SIDES[int(record["side"][0])] == "right")[...],
        **{name: np.float32(record[name][0])[...] for name in KNOWN},
        "visible_ratio": np.float32(record["visible_ratio"][0])[...],
        "hand_box": view.spec.hand_box,
        "keypoints": in_box(apply_affine(view.affine, record["keypoints_px"][0]), view.spec.hand_box),
        "joints": (turned - turned[0]).astype(np.float32),
        "rotations": rotations,
        "betas": np.array(record["betas"][0], np.float32),
        "visible": record["visible"][0].astype(np.float32),
        "root": turned[0].astype(np.float32),
        "projection": crop_projection(record["K"], view).astype(np.float32),
    }


def part_targets(record: Record, visible: NDArray[np.floating]) -> ArrayDict:
    """Which parts of the first hand of a record are seen, by the rule of H2ONet's paper (see `HandLabel`).

    Args:
        record: as for `hand_targets`.
        visible: (21,) joints that are seen after patches were erased: a part that lost half of its own is not seen.

    Returns:
        part_seen: (6,) float32 0 or 1. part_shown: (6,) share of each part that the stored image shows. has_parts:
            () 1 where both are known.
    """
    shown = record["part_shown"][0] >= 1 - HIDDEN_SHARE
    before, after = record["visible"][0], np.asarray(visible) > 0.5
    lost = [2 * (before & ~after)[list(joints)].sum() >= max(before[list(joints)].sum(), 1) for joints in PART_JOINTS]
    return {
        "part_seen": (shown & ~np.array(lost)).astype(np.float32),
        "part_shown": np.array(record["part_shown"][0], np.float32),
        "has_parts": np.float32(record["has_parts"][0])[...],
    }


def still_visible(
    visible: NDArray[np.floating], places_px: FloatArray, patches: Sequence[OccludingPatch], size_px: int
) -> NDArray[np.floating]:
    """(21,) joints without those at whose (21, 2) places patches hide the crop of this side."""
    if not patches:
        return visible
    x, y = np.rint(places_px).astype(int).T.clip(0, size_px - 1)
    return visible * ~hidden_by(patches, (size_px, size_px))[y, x]


def absent_targets(view: CropView) -> ArrayDict:
    """What belongs to a crop without a hand: everything but `presence` and `hand_box` is void and takes no loss."""
    return {
        "presence": np.float32(0)[...],
        "grasp": np.float32(0)[...],
        "right": np.float32(1)[...],
        **{name: np.float32(1)[...] for name in KNOWN},
        "visible_ratio": np.float32(1)[...],
        "hand_box": view.spec.hand_box,
        "keypoints": np.zeros((NUM_JOINTS, 2), np.float32),
        "joints": np.zeros((NUM_JOINTS, 3), np.float32),
        "rotations": np.broadcast_to(np.eye(3, dtype=np.float32), (NUM_MANO_JOINTS, 3, 3)),
        "betas": np.zeros(NUM_BETAS, np.float32),
        "visible": np.zeros(NUM_JOINTS, np.float32),
        "root": np.array([0, 0, 1], np.float32),
        "projection": np.eye(3, dtype=np.float32),
    }


def object_targets(record: Record, view: CropView) -> ArrayDict:
    """Labels of what the first hand grasps, but its mask, which is read off the pixels.

    Args:
        record, view: as for `hand_targets`.

    Returns:
        object_box: (4,) the input. has_points: () 1 where there are labels: an object that is grasped.
        object_points: (4, 21, 2) answers that are equally right, in [0, 1] of the object box.
        object_scale: () log of the share of the crop's side that 0.1 m cover at the object's centre.
        object_moments: (6,) xx, yy, zz, xy, xz, yz of R diag(extents^2) R^T in the crop frame, over its trace: how the
        object's box lies; half turns change nothing.
    """
    grasped = bool(record["grasp"][0] and record["has_object"][0])
    box_px = view.spec.object_box
    points = in_box(apply_affine(view.affine, record["object_keypoints_px"][0]), box_px)
    return {
        "object_box": box_px,
        "has_points": np.float32(grasped)[...],
        "object_points": points if grasped else np.zeros_like(points),
        "object_scale": np.float32(_scale(record, view) if grasped else 0.0)[...],
        "object_moments": _moments(record, view) if grasped else np.zeros(6, np.float32),
    }


def _moments(record: Record, view: CropView) -> NDArray[np.float32]:
    """See `object_targets`; the control points weigh the three axes of the box alike."""
    points = record["object_points_m"][0, 0].astype(np.float64) @ view.R_crop_camera.T
    points -= points[CENTRE_POINT]
    M = points.T @ points
    M /= max(float(np.trace(M)), 1e-12)
    return np.array([M[0, 0], M[1, 1], M[2, 2], M[0, 1], M[0, 2], M[1, 2]], np.float32)


def _scale(record: Record, view: CropView) -> float:
    """See `object_targets`."""
    focal = np.sqrt(record["K"][0, 0] * record["K"][1, 1]) * view.spec.scale
    depth_m = max(float(record["object_points_m"][0, 0, CENTRE_POINT, 2]), 1e-3)
    return float(np.log(focal * KIND_UNIT_M / (depth_m * view.spec.size)))


def in_box(points_px: FloatArray, box_px: FloatArray) -> NDArray[np.float32]:
    """(..., 2) pixels -> units of the (4,) box: (0, 0) its first corner, (1, 1) its last."""
    return ((points_px - box_px[:2]) / (box_px[2:] - box_px[:2])).astype(np.float32)


def from_box(points: FloatArray, box_px: FloatArray) -> FloatArray:
    """The inverse of `in_box`."""
    return points * (box_px[2:] - box_px[:2]) + box_px[:2]
