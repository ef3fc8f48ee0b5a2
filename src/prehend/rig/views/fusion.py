"""One hand from several views of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from prehend.conventions import NUM_BETAS, NUM_MANO_JOINTS, SIDES, Side
from prehend.geometry.camera import project
from prehend.geometry.rotations import geodesic_angle, nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.model import HandModel
from prehend.hand_model.skeleton import Posture
from prehend.hand_model.skinning import skin
from prehend.pipeline.smoothing.grasp import instant_grasp
from prehend.rig.views.association import absorb, associate
from prehend.rig.views.fit import PoseFit, Prior, fit_pose, start_translation
from prehend.rig.views.held import fused_object
from prehend.rig.views.records import FusedHand, View, ViewError
from prehend.rig.views.sights import Sight, residuals, sights_of
from prehend.rig.views.triangulation import triangulate
from prehend.types import Box, Camera, FloatArray, GraspEstimate, HandEstimate

WRIST_STD, FINGER_STD = 0.35, 0.25
"""How well one view's network knows the wrist's orientation and that of a finger's joint [rad]."""

SHAPE_STD = 1.0
"""How far a hand's shape may lie from what the views see, in standard deviations of hands."""

AGREE_RAD = 0.7
"""Wrists that lie further from the one that most agree with than this are left out of their mean [rad]."""

MOST_MISS = 0.2
"""Views whose keypoints miss the fused hand by more than this, in units of its longer side (median), do not agree on
it."""

LEAST_USED = 0.3
"""A view of whose keypoints less than this share counts is thrown out."""


@dataclass(frozen=True)
class KnownShape:
    """What is known of a hand's shape from the sets before.

    Attributes:
        betas: (10,).
        std: their standard deviation.
    """

    betas: FloatArray
    std: float


class Pair(NamedTuple):
    """A pose in the rig's frame and what its views say."""

    fit: PoseFit
    sights: list[Sight]


def fuse(views: Sequence[View], hand_models: Mapping[Side, HandModel] | None = None) -> tuple[FusedHand, ...]:
    """The hands that several cameras see at one moment, each once; for one set on its own (`tracking.RigTracker`
    follows them through time).

    Args:
        views: of the cameras, in any order; the first is the one whose pixels the hands get.
        hand_models: of each side, without forearm; None for the shipped one.

    Returns:
        By their numbers, from 1: the hand that most views see first.
    """
    if not views:
        return ()
    models = hand_models or {side: load_hand_model(side=side).without_forearm() for side in SIDES}
    groups = grouped(sights_of(views), {})
    ordered = sorted(groups, key=lambda group: (-len(group[0]), group[0][0].key))
    return tuple(
        _of_one_set(fuse_group(group, out, models, views[0], number))
        for number, (group, out) in enumerate(ordered, start=1)
    )


def _of_one_set(fused: FusedHand) -> FusedHand:
    """A hand of which nothing is known from before: the more probable state of its grasp."""
    grasp = instant_grasp(fused.hand.grasp.probability, None)
    held = None if grasp.state == "not_grasping" else fused.hand.held_object
    return replace(fused, hand=replace(fused.hand, grasp=grasp, held_object=held))


def grouped(sights: Sequence[Sight], known: Mapping[tuple[str, int], int]) -> list[tuple[list[Sight], list[Sight]]]:
    """The views of each hand, and those that are thrown out; see `association`."""
    groups = associate(sights, known)
    return absorb(groups, [triangulate(group).points_m for group in groups])


def fuse_group(
    group: list[Sight],
    out: Sequence[Sight],
    models: Mapping[Side, HandModel],
    lead: View,
    number: int,
    shape: KnownShape | None = None,
    side: Side | None = None,
) -> FusedHand:
    """One hand.

    Args:
        group: its views, at least one.
        out: views that were thrown out.
        models: hand models by side.
        lead: whose pixels it gets.
        number: its track id.
        shape: from before, None where nothing is known.
        side: left or right; None for what the views say.
    """
    side = side or voted_side(group)
    pair = _agreed(group, models[side], side, shape)
    fit, used = pair.fit, {sight.key for sight, row in zip(pair.sights, pair.fit.used, strict=True) if row.any()}
    posed = skin(models[side], fit.posture.rotations, fit.posture.betas)
    shift = fit.joints_m[0] - posed.joints[0]
    best = max(pair.sights, key=lambda sight: (sight.trust, sight.view.name))
    rows = {sight.key: row for sight, row in zip(pair.sights, fit.used, strict=True)}
    members = [*group, *out]
    nobody = np.zeros(len(fit.joints_m), np.bool_)
    errors = tuple(_error(s, fit.joints_m, rows.get(s.key, nobody)) for s in sorted(members, key=lambda s: s.key))
    counted = [sight for sight in pair.sights if sight.key in used] or [best]
    hand = replace(
        best.hand,
        track_id=number,
        side=side,
        score=max(float(sight.hand.score) for sight in counted),
        side_score=_side_score(counted, side),
        joints_m=fit.joints_m,
        vertices_m=(posed.vertices + shift).astype(np.float32),
        rotations=fit.posture.rotations,
        betas=fit.posture.betas,
        visible=np.any([sight.hand.visible for sight in counted], axis=0),
        grasp=GraspEstimate(best.hand.grasp.state, voted_grasp(counted), best.hand.grasp.since),
        held_object=fused_object(counted, fit.joints_m),
        fit_error_px=_rms(fit),
        position_std_m=_position_std(fit, counted),
        keypoint_std_px=None,
        motion=None,
        validity=None,
    )
    covariance = fit.covariance_m2
    return FusedHand(in_pixels(hand, lead.camera, lead.T_rig_camera), lead.name, errors, covariance)


def in_pixels(hand: HandEstimate, camera: Camera, T_rig_camera: FloatArray) -> HandEstimate:
    """A hand of the rig's frame with the pixels of a camera; NaN where it does not lie in front of that."""
    R, t = T_rig_camera[:3, :3], T_rig_camera[:3, 3]
    pixels = project((hand.joints_m - t) @ R, camera)
    if not np.isfinite(pixels).all():
        pixels = np.full_like(pixels, np.nan)
    return replace(hand, keypoints_px=pixels, box_px=Box.around(pixels))


def voted_side(group: Sequence[Sight]) -> Side:
    """Left or right, by what the views say and how sure they are."""
    odds = 0.0
    for sight in group:
        score = sight.hand.side_score if np.isfinite(sight.hand.side_score) else 0.75
        vote = np.log(np.clip(score, 1e-3, 1 - 1e-3) / (1 - np.clip(score, 1e-3, 1 - 1e-3)))
        odds += sight.trust * float(vote) * (1 if sight.hand.side == "right" else -1)
    return "right" if odds >= 0 else "left"


def voted_grasp(group: Sequence[Sight]) -> float:
    """Probability of a grasp: the mean of the views' log-odds, by what each counts for; NaN of no view that tells."""
    told = [(sight.trust, sight.hand.grasp.probability) for sight in group]
    told = [(trust, float(np.clip(p, 1e-4, 1 - 1e-4))) for trust, p in told if np.isfinite(p)]
    if not told:
        return float("nan")
    odds = np.average([np.log(p / (1 - p)) for _, p in told], weights=[trust + 1e-6 for trust, _ in told])
    return float(1 / (1 + np.exp(-odds)))


def _agreed(group: list[Sight], model: HandModel, side: Side, shape: KnownShape | None) -> Pair:
    """The fit of the views that agree: without those of which next to nothing counts, or, where none agree, that of the
    best view alone."""
    kept = list(group)
    while len(kept) > 1:
        fit = _fitted(kept, model, side, shape)
        shares = [float(row.mean()) for row in fit.used]
        misses = [float(np.median(row)) / sight.size_px for sight, row in zip(kept, fit.distance_px, strict=True)]
        if min(shares) >= LEAST_USED and max(misses) <= MOST_MISS:
            return Pair(fit, kept)
        if len(kept) == 2:  # each of the two may be the wrong one
            worst = min(range(2), key=lambda k: (kept[k].trust, kept[k].key))
        else:
            worst = max(range(len(kept)), key=lambda k: (misses[k], kept[k].key))
        kept.pop(worst)
    if shape is None:
        return Pair(_alone(kept[0], model), kept)
    return Pair(_fitted(kept, model, side, shape), kept)


def _fitted(group: Sequence[Sight], model: HandModel, side: Side, shape: KnownShape | None) -> PoseFit:
    alike = [sight for sight in group if sight.hand.side == side] or list(group)
    trust = np.array([sight.trust + 1e-6 for sight in alike])
    betas = np.average([sight.hand.betas for sight in alike], axis=0, weights=trust)
    spread = np.full(NUM_BETAS, SHAPE_STD)
    if shape is not None:
        betas, spread = shape.betas, np.full(NUM_BETAS, shape.std)
    start = Posture(_mean_rotations(alike, trust), betas, np.zeros(3))
    places = triangulate(group).points_m
    start = start._replace(translation_m=start_translation(places, model, start))
    std = np.array([WRIST_STD, *[FINGER_STD] * (NUM_MANO_JOINTS - 1)])
    return fit_pose(group, Prior(start, std, spread), model)


def _alone(sight: Sight, model: HandModel) -> PoseFit:
    """What one view says, as it says it."""
    hand = sight.hand
    posture = Posture(sight.rotations, np.asarray(hand.betas, np.float64), np.zeros(3))
    distance = np.linalg.norm(residuals(sight, sight.joints_m)[0], axis=-1)
    center = -sight.R.T @ sight.t
    ray = sight.joints_m.mean(0) - center
    depth = float(np.linalg.norm(ray))
    along = hand.position_std_m if np.isfinite(hand.position_std_m) else depth
    across = np.where(np.isfinite(sight.std), sight.std, sight.size_px) * depth / sight.focal.mean()
    outer = np.outer(ray, ray) / depth**2
    covariance = across[:, None, None] ** 2 * (np.eye(3) - outer) + along**2 * outer
    return PoseFit(posture, sight.joints_m, covariance, distance[None], np.isfinite(sight.std)[None])


def _mean_rotations(group: Sequence[Sight], trust: FloatArray) -> FloatArray:
    """(16, 3, 3) mean of the views' rotations (in the chordal metric), of the wrists that agree with each other."""
    all_of = np.stack([sight.rotations for sight in group])
    wrists = all_of[:, 0]
    apart = geodesic_angle(wrists[:, None], wrists[None])
    middle = int(np.argmin((np.minimum(apart, AGREE_RAD) * trust).sum(1)))
    weight = np.where(apart[middle] < AGREE_RAD, trust, 0.0)
    return nearest_rotation(np.einsum("v,vjab->jab", weight / weight.sum(), all_of))


def _error(sight: Sight, joints_m: FloatArray, used: FloatArray) -> ViewError:
    distance = np.linalg.norm(residuals(sight, joints_m)[0], axis=-1)
    rms = float(np.sqrt((distance**2).mean()))
    depth = float((joints_m @ sight.R.T + sight.t)[:, 2].mean())
    apart = float(np.linalg.norm(sight.joints_m - joints_m, axis=-1).mean())
    return ViewError(
        sight.view.name, sight.hand.track_id, np.asarray(used, np.bool_), rms, rms * depth / sight.focal.mean(), apart
    )


def _rms(fit: PoseFit) -> float:
    used = fit.distance_px[fit.used]
    return float(np.sqrt((used**2).mean())) if len(used) else float("nan")


def _position_std(fit: PoseFit, group: Sequence[Sight]) -> float:
    """Of the wrist along its least certain direction [m]; NaN where a camera's focal length is a guess."""
    if any(sight.view.camera.estimated for sight in group):
        return float("nan")
    return float(np.sqrt(np.linalg.eigvalsh(fit.covariance_m2[0])[-1]))


def _side_score(group: Sequence[Sight], side: Side) -> float:
    scores = [
        sight.hand.side_score if sight.hand.side == side else 1 - sight.hand.side_score
        for sight in group
        if np.isfinite(sight.hand.side_score)
    ]
    weights = [sight.trust + 1e-6 for sight in group if np.isfinite(sight.hand.side_score)]
    return float(np.average(scores, weights=weights)) if scores else float("nan")
