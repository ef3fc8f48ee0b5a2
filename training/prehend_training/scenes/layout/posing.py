"""From angles to a hand in the world: shapes, grasps, where it is, and the arm behind it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from prehend.conventions import Side
from prehend.hand_model import skin
from prehend_training.assets.forearm import MAX_DEVIATION_RAD, MAX_FLEXION_RAD
from prehend_training.assets.poses import pose_from_angles
from prehend_training.grasps.checks import touching_parts
from prehend_training.grasps.library import HeldGrasp, sample_grasp
from prehend_training.grasps.search.fresh import POOL_SIZE, pooled
from prehend_training.objects import Solid
from prehend_training.objects.asset_split import families_in_split
from prehend_training.sample import HAND_PARTS, PART_OF_JOINT
from prehend_training.scenes.layout.scene import Hand
from prehend_training.scenes.people.body import Arm, bend_wrist, cross, drawn_hand, turn
from prehend_training.scenes.people.clothing import Outfit
from prehend_training.scenes.people.gestures import sample_bare, sample_betas

Array = NDArray[np.floating]
Rng = np.random.Generator

FOREARM_M, UPPER_ARM_M = 0.25, 0.29
_FRESH_SHARE = 0.08
NO_CONTACT = np.zeros(len(HAND_PARTS), np.bool_)


class PosedHand(NamedTuple):
    """A right hand in its own frame, wrist at the origin.

    Attributes:
        angles: (15, 3) flexion, abduction, twist [rad].
        rotations: (16, 3, 3), the wrist's is the identity.
        betas: (10,).
        vertices: (V, 3) with the forearm, straight.
        joints: (21, 3).
    """

    angles: Array
    rotations: Array
    betas: Array
    vertices: Array
    joints: Array


def pose_hand(angles: Array, betas: Array) -> PosedHand:
    """The hand of angles (15, 3) and shape (10,)."""
    rotations = pose_from_angles(drawn_hand(), *angles.T)
    posed = skin(drawn_hand(), rotations, betas)
    wrist = posed.joints[0]
    return PosedHand(angles, rotations, betas, posed.vertices - wrist, posed.joints - wrist)


def bare_hand(rng: Rng) -> PosedHand:
    """An empty hand of anyone."""
    return pose_hand(sample_bare(rng)[0], sample_betas(rng))


def held_grasp(rng: Rng) -> HeldGrasp:
    """A random grasp of a random object: mostly of the library, else of an object of a family."""
    fresh = rng.random() < _FRESH_SHARE and families_in_split()
    return pooled(int(rng.integers(POOL_SIZE))) if fresh else sample_grasp(rng)


def to_object(pose: Array, points: Array) -> Array:
    """Points (..., 3) in the object's frame, given the object's pose (4, 4) in theirs."""
    return (points - pose[:3, 3]) @ pose[:3, :3]


def skin_distances(posed: PosedHand, solid: Solid, T_hand_object: Array, step: int = 1) -> tuple[Array, Array]:
    """Signed distances (N,) [m] of every `step`-th vertex of the hand to an object, and the part (N,) each belongs to.

    Hollows count as filled. Parts are numbers in `HAND_PARTS`.
    """
    model = drawn_hand()
    assert model.hand_mask is not None
    rows = np.flatnonzero(model.hand_mask)[::step]
    part = np.array(PART_OF_JOINT)[model.weights[rows].argmax(1)]
    return solid.distance(to_object(T_hand_object, posed.vertices[rows]), filled=True), part


def nearest_skin(posed: PosedHand, solid: Solid, T_hand_object: Array, step: int = 1) -> float:
    """The smallest of the distances [m] that `skin_distances` gives."""
    model = drawn_hand()
    assert model.hand_mask is not None
    skin_points = posed.vertices[np.flatnonzero(model.hand_mask)[::step]]
    return solid.nearest(to_object(T_hand_object, skin_points), filled=True)


def gap(first_m: Array, second_m: Array) -> float:
    """The smallest distance [m] between points (N, 3) and points (M, 3)."""
    return float(cKDTree(first_m).query(second_m)[0].min())


def contact_of(posed: PosedHand, solid: Solid, T_hand_object: Array) -> NDArray[np.bool_]:
    """(6,) which of `HAND_PARTS` touch an object whose hollows count as filled."""
    return touching_parts(skin_distances(posed, solid, T_hand_object)[0])


def aimed_arm(T_world_hand: Array, shoulder_m: Array, down: Array, twist_rad: float = 0.0) -> Arm:
    """The arm of a person whose shoulder is there; the wrist bends as far as wrists do.

    Args:
        T_world_hand: (4, 4), of a right hand in its own (mirrored, for a left one) world.
        shoulder_m: (3,) in that world; where it is too far the person leans.
        down: (3,) unit vector to which elbows hang, in that world.
        twist_rad: of the forearm.
    """
    R, wrist = T_world_hand[:3, :3], T_world_hand[:3, 3]
    toward = shoulder_m - wrist
    away = max(float(np.linalg.norm(toward)), 1e-6)
    toward = toward / away
    reach = min(away, 0.97 * (FOREARM_M + UPPER_ARM_M))
    along = (reach**2 + FOREARM_M**2 - UPPER_ARM_M**2) / (2 * reach)
    aside = down - (down @ toward) * toward
    aside = aside / max(float(np.linalg.norm(aside)), 1e-6)
    elbow = wrist + along * toward + np.sqrt(max(FOREARM_M**2 - along**2, 0.0)) * aside
    local = R.T @ (elbow - wrist) / np.linalg.norm(elbow - wrist)
    deviation = np.clip(np.arcsin(np.clip(local[2], -1, 1)), -MAX_DEVIATION_RAD, MAX_DEVIATION_RAD)
    flexion = np.clip(np.arctan2(-local[1], local[0]), -0.95 * MAX_FLEXION_RAD, 0.95 * MAX_FLEXION_RAD)
    bend = np.array([flexion, deviation, twist_rad])
    ahead = forearm_direction(R, bend)
    upper = shoulder_m - (wrist + FOREARM_M * ahead)
    return Arm(bend, _limited_turn(ahead, upper, 2.2))


def forearm_direction(R_world_hand: Array, bend: Array) -> Array:
    """(3,) from the wrist to the elbow of a hand with its wrist bent."""
    flexion, deviation, _ = bend
    flat = np.cos(deviation)
    return np.asarray(R_world_hand @ np.array([np.cos(flexion) * flat, -np.sin(flexion) * flat, np.sin(deviation)]))


def _limited_turn(source: Array, target: Array, most_rad: float) -> Array:
    """Axis-angle (3,) that turns one direction to another as far as it may."""
    axis = cross(source, target)
    sine, cosine = float(np.linalg.norm(axis)), float(source @ target)
    if sine < 1e-9:
        return np.zeros(3)
    return np.asarray(axis / sine * min(np.arctan2(sine, cosine), most_rad))


def hand_frame(to_elbow: Array, back: Array) -> Array:
    """(3, 3) rotation of a right hand whose forearm goes there and whose back faces there as well as may be."""
    x = to_elbow / np.linalg.norm(to_elbow)
    y = back - (back @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, cross(x, y)], 1)


def place_hand(posed: PosedHand, side: Side, T_world_hand: Array, arm: Arm, outfit: Outfit) -> Hand:
    """A hand that touches nothing.

    Args:
        posed: its shape.
        side: which it becomes.
        T_world_hand: (4, 4) in its own world, which for a left one is the mirror of the true one.
        arm: behind it.
        outfit: what it wears.
    """
    R, wrist = T_world_hand[:3, :3], T_world_hand[:3, 3]
    rotations = np.concatenate([R[None], posed.rotations[1:]]).astype(np.float64)
    model = drawn_hand()
    return Hand(
        side=side,
        rotations=rotations,
        betas=posed.betas,
        wrist_m=wrist,
        joints_m=posed.joints @ R.T + wrist,
        model_m=posed.vertices[model.hand_mask] @ R.T + wrist,
        vertices_m=bend_wrist(posed.vertices, arm) @ R.T + wrist,
        arm=arm,
        outfit=outfit,
    )


def about(axis: Array, angle_rad: float) -> NDArray[np.float64]:
    """(3, 3) rotation about an axis (3,)."""
    return turn(np.asarray(axis, np.float64) / np.linalg.norm(axis) * angle_rad)
