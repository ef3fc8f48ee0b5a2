"""The other hand of a person: near the first one, over it, or helping to hold what that one holds."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend_training.scenes.layout.bimanual import GAP_M, WantedHand, second_grasp
from prehend_training.scenes.layout.posing import (
    PosedHand,
    about,
    aimed_arm,
    forearm_direction,
    gap,
    place_hand,
    pose_hand,
)
from prehend_training.scenes.layout.scene import Hand, Thing, mirror_thing_pose, true_points
from prehend_training.scenes.layout.viewpoints import Viewpoint, sample_hand_rotation
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.gestures import sample_bare
from prehend_training.transforms import rigid

Array = NDArray[np.floating]
Rng = np.random.Generator

_STEPS_M = np.array([0.008, 0.02, 0.035, 0.055, 0.08, 0.11, 0.15, 0.2])
_GAP_M = 0.011
"""Between vertices of two hands, of which every ninth is looked at."""


def other_hand(rng: Rng, first: Hand, side: Side, outfit: Outfit, viewpoint: Viewpoint) -> Hand | None:
    """A hand that works or plays with the first one, as near as it gets; None where the arms would cross.

    It lies beside the first, palm to palm as if to clasp, or over it. It holds nothing.

    Args:
        rng: source of randomness.
        first: placed hand.
        side, outfit: of the other.
        viewpoint: of the true world.
    """
    own = viewpoint.seen_by(side)
    posed = pose_hand(sample_bare(rng)[0], first.betas) if rng.random() < 0.3 else _relaxed(rng, first)
    R, push = _rotation(rng, first, side, own)
    middle = true_points(first, first.joints_m).mean(0)
    taken = true_points(first, first.vertices_m)[::9]
    for step in _STEPS_M:
        place = middle + push * (step + 0.03)
        wrist = (place if side == "right" else place @ MIRROR) - R @ posed.joints.mean(0)
        skin = posed.vertices[::9] @ R.T + wrist
        skin = skin if side == "right" else skin @ MIRROR
        if gap(taken, skin) < _GAP_M:
            continue
        T = rigid(R, wrist)
        hand = place_hand(posed, side, T, aimed_arm(T, own.shoulder(wrist), own.elbow), outfit)
        points = true_points(hand, hand.vertices_m)[::9]
        near = hand.joints_m[:, 2].min() < 0.12 or np.linalg.norm(wrist - own.shoulder(wrist)) > 0.6
        if near or gap(taken, points) < _GAP_M:
            return None
        return hand
    return None


def second_hand(
    rng: Rng, first: Hand, thing: Thing, side: Side, outfit: Outfit, viewpoint: Viewpoint, lowest_m: float
) -> Hand | None:
    """A hand that holds, from another side, what the first one holds; None where there is no room for it.

    Args:
        rng: source of randomness.
        first: placed hand that holds the object.
        thing: as it is placed.
        side, outfit: of the other.
        viewpoint: of the true world, its neck settled.
        lowest_m: height along `viewpoint.up` of the table, minus infinity for none.

    Returns:
        The hand with contacts, without the number of its object.
    """
    own = viewpoint.seen_by(side)
    pose = thing.pose if side == "right" else mirror_thing_pose(thing.pose)
    shoulder = own.shoulder(pose[:3, 3])
    found = second_grasp(rng, first, thing.solid, WantedHand(side, pose, shoulder, own.up, lowest_m))
    if found is None:
        return None
    T = pose @ found.T_object_hand
    arm = aimed_arm(T, shoulder, own.elbow)
    toward = shoulder - T[:3, 3]
    if forearm_direction(T[:3, :3], arm.bend) @ toward < 0.35 * np.linalg.norm(toward):
        return None
    hand = place_hand(found.posed, side, T, arm, outfit)
    skin, taken = (true_points(one, one.vertices_m[::5]) for one in (hand, first))
    crossed = gap(taken, skin) < GAP_M
    if crossed or hand.joints_m[:, 2].min() < 0.12 or (skin @ viewpoint.up).min() < lowest_m:
        return None
    return replace(hand, grasp=True, displaced=True, contact=found.contact)


def _relaxed(rng: Rng, first: Hand) -> PosedHand:
    """A loosely bent hand of the same person."""
    angles = np.zeros((15, 3))
    bend = rng.uniform(0.05, 0.7)
    angles[:12, 0] = np.tile([0.7 * bend, bend, 0.6 * bend], 4) + rng.normal(0, 0.06, 12)
    angles[:12:3, 1] = rng.normal(0, 0.05, 4)
    angles[12, 1] = rng.uniform(0.1, 0.5)
    return pose_hand(angles, first.betas)


def _rotation(rng: Rng, first: Hand, side: Side, own: Viewpoint) -> tuple[Array, Array]:
    """(3, 3) of the other hand in its own world, and (3,) in the true world where it is pushed away to."""
    true = first.rotations[0] if first.side == "right" else MIRROR @ first.rotations[0]
    palm = -true[:, 1]
    aside = np.cross(own.up, own.toward)  # of this hand, in its own world
    aside = aside if side == "right" else MIRROR @ aside
    kind = rng.random()
    if kind < 0.4:  # palm to palm: the mirror image of the first in the plane of its palm
        flipped = (np.eye(3) - 2 * np.outer(palm, palm)) @ true
        R = flipped if side == "right" else MIRROR @ flipped
        if np.linalg.det(R) < 0:  # of the same side
            return sample_hand_rotation(rng, own), aside
        return R @ about(np.array([0, 1.0, 0]), rng.normal(0, 0.35)), palm
    if kind < 0.65:  # over the back of the first
        return sample_hand_rotation(rng, own), -palm
    direction = aside + rng.normal(0, 0.4, 3)
    return sample_hand_rotation(rng, own), direction / np.linalg.norm(direction)
