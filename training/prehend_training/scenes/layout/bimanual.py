"""The second hand on an object that is held already: grasps of the library, fitted to this person and this size."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from prehend.conventions import Side
from prehend_training.grasps.closing import Hands, close, felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import probe
from prehend_training.grasps.kinds import KINDS, Kind, kind_of
from prehend_training.grasps.library import GraspSet, library_ids, load_grasps
from prehend_training.objects import Solid
from prehend_training.scenes.layout.posing import PosedHand, about, contact_of, pose_hand, skin_distances
from prehend_training.scenes.layout.scene import Hand, true_points
from prehend_training.transforms import inverse

Array = NDArray[np.floating]
Rng = np.random.Generator

GAP_M = 0.005
"""Hands that hold one object come no closer to each other."""
_ROOM_M = 0.012
"""What is asked of the probe's few points, from which skin bulges."""
_DEEPEST_M, _OTHER_SIZE_M, _NEAR_M = 0.004, 0.004, 0.003
_SPINS, _LOOKED_AT, _CLOSED_AT_ONCE, _OPENED = 3, 24, 3, 0.3


class WantedHand(NamedTuple):
    """Where a second hand may come from, in its own world (mirrored for a left one).

    Attributes:
        side: which it becomes.
        pose: (4, 4) of the object in that world.
        shoulder_m: (3,).
        up: (3,) away from the ground.
        lowest_m: height along `up` under which no skin may be.
    """

    side: Side
    pose: Array
    shoulder_m: Array
    up: Array
    lowest_m: float


class SecondGrasp(NamedTuple):
    """A second hand on an object.

    Attributes:
        posed: its shape.
        T_object_hand: (4, 4); in the object's frame the object is as a right hand sees it.
        contact: (6,) bool.
    """

    posed: PosedHand
    T_object_hand: Array
    contact: NDArray[np.bool_]


def second_grasp(rng: Rng, first: Hand, solid: Solid, wanted: WantedHand) -> SecondGrasp | None:
    """A grasp of a solid that another hand of the same person already holds; None where there is no room.

    Args:
        rng: source of randomness.
        first: the hand that holds it.
        solid: at its size.
        wanted: where the other may be.
    """
    if solid.object_id not in library_ids():
        return None
    grasps = _of_this_size(load_grasps(solid.object_id), solid)
    if not len(grasps):
        return None
    taken = _taken(first, wanted)
    kinds, hands = _likely(rng, grasps, solid, wanted, cKDTree(taken[::5]))
    if not len(kinds):
        return None
    chosen = np.flatnonzero(kinds == rng.choice(kinds))[:_CLOSED_AT_ONCE]
    fitted = _fitted(kind_of(str(kinds[chosen[0]])), hands.rows(chosen), first.betas, solid)
    checked = (_checked(one, solid, wanted, taken) for one in fitted)
    return next((found for found in checked if found is not None), None)


def _taken(first: Hand, wanted: WantedHand) -> Array:
    """(V, 3) the first hand and its arm in the other's world."""
    points = true_points(first, first.vertices_m)
    return points if wanted.side == "right" else points * np.array([-1.0, 1.0, 1.0])


def _of_this_size(grasps: GraspSet, solid: Solid) -> GraspSet:
    """Grasps of an object nearly as large, moved to the surface of this one."""
    scale = np.asarray(solid.scale, np.float64)
    ratio = scale / grasps.hands.scale
    near = (np.abs(1 - 1 / ratio) * solid.extents_m / 2).max(1) < _OTHER_SIZE_M
    known = np.isin(grasps.kinds, sorted(KINDS))
    some = grasps.rows(near & known)
    place = some.hands.T_object_hand[:, :3, 3]
    return GraspSet(
        some.object_id,
        some.kinds,
        some.hands.moved(place * (ratio[near & known] - 1)),
        some.contact,
        some.clearance_m,
    )


def _likely(
    rng: Rng, grasps: GraspSet, solid: Solid, wanted: WantedHand, taken: cKDTree
) -> tuple[NDArray[np.str_], Hands]:
    """Kinds and hands, in random order, to which an arm leads and which are free of what is taken."""
    spun = _spun(rng, grasps, solid)
    T = wanted.pose @ spun.hands.T_object_hand
    toward = wanted.shoulder_m - T[:, :3, 3]
    away = np.linalg.norm(toward, axis=1)
    ahead = (T[:, :3, 0] * toward).sum(1) / away
    reached = np.flatnonzero((away < 0.58) & (away > 0.2) & (ahead > 0.25))
    reached = rng.permutation(reached)[:_LOOKED_AT]
    if not len(reached):
        return spun.kinds[:0], spun.hands.rows(reached)
    some = spun.rows(reached)
    points = probe().points(some.hands.angles, some.hands.betas)
    world = points @ T[reached][:, :3, :3].transpose(0, 2, 1) + T[reached][:, None, :3, 3]
    nearest, _ = taken.query(world.reshape(-1, 3))
    free = nearest.reshape(len(reached), -1).min(1) > _ROOM_M
    free &= (world @ wanted.up).min(1) > wanted.lowest_m + 0.004
    return some.kinds[free], some.hands.rows(free)


def _spun(rng: Rng, grasps: GraspSet, solid: Solid) -> GraspSet:
    """The grasps at several angles about the axis of what is round."""
    axis = solid.symmetry.continuous
    if axis is None or np.ptp(np.delete(solid.scale, "xyz".index(str(axis)))) > 1e-9:
        return grasps
    many = grasps.rows(np.tile(np.arange(len(grasps)), _SPINS))
    way = np.eye(3)["xyz".index(str(axis))]
    T = many.hands.T_object_hand.copy()
    for k, angle in enumerate(rng.uniform(-np.pi, np.pi, len(many))):
        R = about(way, angle)
        T[k, :3, :3] = R @ T[k, :3, :3]
        T[k, :3, 3] = R @ (T[k, :3, 3] - solid.center_m) + solid.center_m
    hands = Hands(many.hands.betas, many.hands.angles, T, many.hands.scale)
    return GraspSet(many.object_id, many.kinds, hands, many.contact, many.clearance_m)


def _fitted(kind: Kind, hands: Hands, betas: Array, solid: Solid) -> list[Hands]:
    """The hands with this person's shape, closed anew; those that hold, each alone."""
    field = ExactField(solid, filled=kind.filled)
    angles = hands.angles + _OPENED * (kind.opened - hands.angles)
    own = Hands(np.tile(betas, (len(hands), 1)), angles, hands.T_object_hand, hands.scale)
    closed = close(kind, own, field)
    distances = felt(closed, field)
    patches = probe().patches
    found = []
    for k, distance in enumerate(distances):
        touching = [
            sum(distance[patches[name]].min() < _NEAR_M for name in side) for side in (kind.side_a, kind.side_b)
        ]
        held = touching[0] >= kind.needed[0] and touching[1] >= kind.needed[1]
        if held and distance.min() > -_DEEPEST_M:
            found.append(closed.rows(np.array([k])))
    return found


def _checked(one: Hands, solid: Solid, wanted: WantedHand, taken: Array) -> SecondGrasp | None:
    """The hand, if all of its skin is free of the first hand and not deep in the object."""
    posed = pose_hand(one.angles[0], one.betas[0])
    T = wanted.pose @ one.T_object_hand[0]
    T_hand_object = inverse(one.T_object_hand[0])
    skin = posed.vertices @ T[:3, :3].T + T[:3, 3]
    if cKDTree(taken[::2]).query(skin[::2])[0].min() < GAP_M or (skin @ wanted.up).min() < wanted.lowest_m:
        return None
    if skin_distances(posed, solid, T_hand_object)[0].min() < -_DEEPEST_M - 0.0005:
        return None
    return SecondGrasp(posed, one.T_object_hand[0], contact_of(posed, solid, T_hand_object))
