"""What a hand holds, from several views of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prehend.geometry.rotations import geodesic_angle, nearest_rotation
from prehend.rig.views.sights import Sight
from prehend.types import FloatArray, ObjectEstimate

AGREE_RAD = 0.6
"""Poses whose orientations differ by less than this are averaged; of others the surest stands, for objects look alike
from several sides [rad]."""


def fused_object(group: Sequence[Sight], joints_m: FloatArray) -> ObjectEstimate | None:
    """The held object in the rig's frame, from the views that see one.

    What it is, is what most trust goes to. Its place is that nearest to the viewing rays of all views that give it a
    pose; in one view alone it moves along its ray as the hand does, so that it stays in the hand. Its orientation is
    the mean of those that agree with the surest.

    Args:
        group: views of the hand.
        joints_m: (21, 3) of the fused hand.
    """
    seen = [(sight, sight.hand.held_object) for sight in group if sight.hand.held_object is not None]
    if not seen:
        return None
    votes: dict[str, float] = {}
    for sight, held in seen:
        votes[held.object_id] = votes.get(held.object_id, 0.0) + sight.trust * max(held.score, 1e-3)
    name = max(sorted(votes), key=lambda one: votes[one])
    named = [(sight, held) for sight, held in seen if held.object_id == name]
    posed = [(sight, held) for sight, held in named if held.T_camera_object is not None]
    best_sight, best = max(posed or named, key=lambda one: (one[0].trust * max(one[1].score, 1e-3), one[0].key))
    score = max(held.score for _, held in named)
    if not posed:
        return replace(best, score=score)
    poses = [_in_rig(sight, held, joints_m) for sight, held in posed]
    weights = np.array([sight.trust * max(held.score, 1e-3) for sight, held in posed])
    chosen = _in_rig(best_sight, best, joints_m)
    near = geodesic_angle(np.stack([T[:3, :3] for T in poses]), chosen[:3, :3]) < AGREE_RAD
    T = np.eye(4)
    T[:3, :3] = nearest_rotation(
        np.einsum("v,vab->ab", (weights * near) / (weights * near).sum(), np.stack([T[:3, :3] for T in poses]))
    )
    T[:3, 3] = _place([sight for sight, _ in posed], poses, weights) if len(posed) > 1 else chosen[:3, 3]
    return replace(best, T_camera_object=T, score=score)


def _in_rig(sight: Sight, held: ObjectEstimate, joints_m: FloatArray) -> FloatArray:
    """(4, 4) the pose in the rig's frame, at the fused hand's distance."""
    assert held.T_camera_object is not None
    own = float(sight.hand.joints_m[:, 2].mean())
    fused = float((joints_m @ sight.R.T + sight.t)[:, 2].mean())
    T = np.array(held.T_camera_object, np.float64)
    T[:3, 3] *= fused / own if own > 0 and fused > 0 else 1.0
    there = np.eye(4)
    there[:3, :3], there[:3, 3] = sight.R.T, -sight.R.T @ sight.t
    return np.asarray(there @ T)


def _place(sights: Sequence[Sight], poses: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """(3,) nearest to the rays from the cameras through the places, by weight; along a ray a tenth counts."""
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for sight, T, weight in zip(sights, poses, weights, strict=True):
        ray = T[:3, 3] + sight.R.T @ sight.t
        ray = ray / np.linalg.norm(ray)
        information = weight * (np.eye(3) - 0.9 * np.outer(ray, ray))
        normal += information
        right += information @ T[:3, 3]
    return np.asarray(np.linalg.solve(normal, right))
