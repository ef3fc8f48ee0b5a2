"""How a hand will take an object from a table: which grasp, where it comes from, how far it opens.

All is a right hand's; for a left hand the world here is the mirror image of the true one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend_training.grasps.library import HeldGrasp
from prehend_training.scenes.layout.posing import (
    PosedHand,
    about,
    aimed_arm,
    forearm_direction,
    hand_frame,
    held_grasp,
    pose_hand,
    skin_distances,
)
from prehend_training.scenes.layout.surroundings import resting_pose, resting_rotation
from prehend_training.scenes.people.body import bend_wrist, drawn_hand
from prehend_training.scenes.people.gestures import gesture_angles
from prehend_training.transforms import inverse, rigid

Array = NDArray[np.floating]
Rng = np.random.Generator

DOWN = np.array([0.0, 0.0, -1.0])
UP = -DOWN
_PRESSED_M = 0.004
"""As deep as an opened hand on its way may go into an object; flesh gives way."""
_OPENINGS = (0.3, 0.45, 0.65, 0.85, 1.0)


@dataclass(frozen=True)
class GraspPlan:
    """Where and how an object is taken.

    Attributes:
        grasp: of the object.
        posed: the hand when it holds it.
        resting: (4, 4) the object's first pose.
        open_angles: (15, 3) of the hand opened as wide as on the way.
        arrival: how far it is open when it gets there, 0 closed .. 1 widest.
        out: (3,) from the object to where the hand comes from.
        shoulder_m: (3,).
    """

    grasp: HeldGrasp
    posed: PosedHand
    resting: Array
    open_angles: Array
    arrival: float
    out: Array
    shoulder_m: Array

    def hand_at(self, T_world_object: Array) -> NDArray[np.float64]:
        """(..., 4, 4) of the hand that holds the object at a pose (..., 4, 4)."""
        return np.asarray(T_world_object @ inverse(self.grasp.T_hand_object))


def plan_grasp(rng: Rng, place_m: Array, shoulder_m: Array, tries: int = 40) -> GraspPlan | None:
    """A grasp of something on the table that an arm can reach without going through the table; None for none.

    Args:
        rng: source of randomness.
        place_m: (2,) where about the object is.
        shoulder_m: (3,).
        tries: grasps that are looked at.
    """
    for _ in range(tries):
        grasp = held_grasp(rng)
        R = resting_rotation(rng, grasp.solid)
        T_object_hand = inverse(grasp.T_hand_object)
        ahead = (R @ T_object_hand[:3, :3])[:, 0]
        line = shoulder_m[:2] - place_m
        spin = np.arctan2(line[1], line[0]) - np.arctan2(ahead[1], ahead[0]) + rng.normal(0, 0.35)
        resting = resting_pose(grasp.solid, about(UP, spin) @ R, place_m)
        posed = pose_hand(grasp.angles, grasp.betas)
        hand = resting @ T_object_hand
        if not clear_of_table(posed, hand, shoulder_m):
            continue
        plan = _approached(grasp, posed, resting, hand, shoulder_m)
        if plan is not None:
            return plan
    return None


def clear_of_table(posed: PosedHand, hand: Array, shoulder_m: Array) -> bool:
    """Whether hand and arm are above z = 0, the wrist about as far bent as the arm asks, the palm not to the sky."""
    model = drawn_hand()
    if float((posed.vertices[model.hand_mask] @ hand[2, :3]).min()) + hand[2, 3] < 0.0005 or hand[2, 1] < -0.6:
        return False
    arm = aimed_arm(hand, shoulder_m, DOWN)
    drawn = bend_wrist(posed.vertices, arm) @ hand[2, :3] + hand[2, 3]
    ahead = forearm_direction(hand[:3, :3], arm.bend)
    toward = shoulder_m - hand[:3, 3]
    return bool(drawn.min() > 0.002 and ahead @ toward > 0.3 * np.linalg.norm(toward) and ahead[2] > -0.1)


def _approached(grasp: HeldGrasp, posed: PosedHand, resting: Array, hand: Array, shoulder_m: Array) -> GraspPlan | None:
    """The plan with an opening and a direction in which the opened hand comes and goes without touching the object."""
    opened = opened_hand(grasp.angles)
    palm = bool(grasp.contact[5])
    for weights in ((0.6, 0.7, 0.3), (0.95, 0.2, 0.2), (0.5, 0.2, 0.9)) if palm else ((0.9, 0.4, 0.3), (0.5, 0.3, 0.9)):
        out = weights[0] * hand[:3, 0] + weights[1] * hand[:3, 1] + weights[2] * UP
        out = out / np.linalg.norm(out)
        for arrival in _OPENINGS:
            if _gets_in(grasp, opened, arrival, resting, hand, out):
                return GraspPlan(grasp, posed, resting, opened, arrival, out, shoulder_m)
    return None


def _gets_in(grasp: HeldGrasp, opened: Array, arrival: float, resting: Array, hand: Array, out: Array) -> bool:
    for distance_m in (0.0, 0.015, 0.03, 0.06):
        share = arrival + (1 - arrival) * min(distance_m / 0.05, 1)
        posed = pose_hand(grasp.angles + share * (opened - grasp.angles), grasp.betas)
        away = hand.copy()
        away[:3, 3] += distance_m * out
        if skin_distances(posed, grasp.solid, inverse(away) @ resting, 3)[0].min() < -_PRESSED_M:
            return False
        if (posed.vertices[drawn_hand().hand_mask] @ away[2, :3]).min() + away[2, 3] < -0.001:
            return False
    return True


def opened_hand(angles: Array) -> Array:
    """(15, 3) the same hand with its fingers stretched and its thumb away from them."""
    opened = angles.copy()
    opened[:12, 0] = np.minimum(angles[:12, 0], 0.25 * angles[:12, 0] + 0.06)
    opened[12:, 0] = np.minimum(angles[12:, 0], np.array([-0.1, 0.0, 0.05]))
    opened[12, 1] = np.clip(angles[12, 1] + 0.12, 0.1, 0.7)
    return opened


def waiting_hand(rng: Rng, place_m: Array, shoulder_m: Array, betas: Array) -> tuple[Array, Array]:
    """A relaxed hand near the table: (4, 4) pose, palm more or less down, and angles (15, 3)."""
    name = str(rng.choice(["relaxed", "relaxed", "flat", "fist", "point"]))
    angles = gesture_angles(name) + rng.normal(0, 0.04, (15, 3)) * np.array([1.0, 0.3, 0.3])
    line = np.append(shoulder_m[:2] - place_m, 0.0)
    line = line / np.linalg.norm(line)
    ahead = about(UP, rng.normal(0, 0.3)) @ line + np.array([0, 0, rng.uniform(0.1, 0.45)])
    R = hand_frame(ahead, UP + rng.normal(0, 0.25, 3) + 0.5 * np.cross(line, UP) * rng.uniform(0, 1))
    vertices = bend_wrist(pose_hand(angles, betas).vertices, aimed_arm(rigid(R, place_3(place_m)), shoulder_m, DOWN))
    height = rng.uniform(0.004, 0.02) if rng.random() < 0.5 else rng.uniform(0.02, 0.16)
    return rigid(R, np.array([*place_m, height - float((vertices @ R[2]).min())])), angles


def place_3(place_m: Array) -> Array:
    """(3,) a little above a place (2,) on the table."""
    return np.array([place_m[0], place_m[1], 0.05])
