"""Hands through a sequence, and the person whose arms end in them.

The body leans after its hands; where it cannot please both, an arm ends beside it.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend_training.scenes.layout.manipulation import Course
from prehend_training.scenes.layout.planning import DOWN
from prehend_training.scenes.layout.posing import aimed_arm, forearm_direction, place_hand, pose_hand, to_object
from prehend_training.scenes.layout.scene import Hand, Thing, moved_thing, true_points
from prehend_training.scenes.people.body import Arm, shoulder, turn
from prehend_training.scenes.people.clothing import Outfit

Array = NDArray[np.floating]

_FOLLOW, _LEANINGS = 26, 5
"""Frames before and after over which a body takes up what the arms ask for, and how often it is asked."""
_DRAWN_M = (0.212, 0.3)
"""Length of the forearm and the upper arm as they are drawn."""
_LOOKED_AT = 6
"""Every so many frames it is seen where arms end."""
_BESIDE_M, _SUNK_M = 0.025, 0.008
"""So far may an arm end beside the person, and its sleeve sink into the table."""
_HAND_MIDDLE = np.array([-0.08, 0.0, 0.0])


@dataclass(frozen=True)
class HandTrack:
    """One hand through a sequence.

    Attributes:
        side: which hand.
        betas: (10,).
        outfit: what it wears.
        course: in its own world, which for a left hand is the mirror of the true one.
        shoulder_m: (F, 3) where the arm is aimed at, in that world.
        twist_rad: of the forearm.
        thing: number in `Scene.objects` of what it handles, None for nothing.
        displaced: (F,) bool, that object has left its first pose (papers' rule).
    """

    side: Side
    betas: Array
    outfit: Outfit
    course: Course
    shoulder_m: Array
    twist_rad: float
    thing: int | None
    displaced: NDArray[np.bool_]

    def hand(self, frame: int) -> Hand:
        """The hand at a frame. It touches its object where `contact` says so; else `object_index` is None."""
        T = self.course.T_world_hand[frame]
        hand = place_hand(pose_hand(self.course.angles[frame], self.betas), self.side, T, self.arm(frame), self.outfit)
        contact = self.course.contact[frame]
        touches = bool(contact.any())
        return replace(
            hand,
            object_index=self.thing if touches else None,
            grasp=touches and bool(self.displaced[frame]),
            displaced=bool(self.displaced[frame]),
            contact=contact,
        )

    def true(self, points: Array) -> Array:
        """Points (..., 3) of its own world in the true one, or the other way."""
        return points @ MIRROR if self.side == "left" else points

    def arm(self, frame: int) -> Arm:
        """The arm behind it at a frame."""
        return aimed_arm(self.course.T_world_hand[frame], self.shoulder_m[frame], DOWN, self.twist_rad)

    def arm_end(self, frame: int) -> Array:
        """(3,) about where the drawn upper arm ends at a frame, in the hand's own world."""
        T, arm = self.course.T_world_hand[frame], self.arm(frame)
        return np.asarray(T[:3, 3] + _span(forearm_direction(T[:3, :3], arm.bend), arm.elbow))

    def middle(self, frame: int) -> Array:
        """(3,) about the middle of the hand at a frame, in the true world."""
        T = self.course.T_world_hand[frame]
        return self.true(T[:3, :3] @ _HAND_MIDDLE + T[:3, 3])

    def swept(self, step: int = 4) -> Array:
        """(N, 3) places in the true world where hand and forearm come by."""
        places = []
        for k in range(0, len(self.course.angles), step):
            T = self.course.T_world_hand[k]
            joints = pose_hand(self.course.angles[k], self.betas).joints @ T[:3, :3].T + T[:3, 3]
            ahead = forearm_direction(T[:3, :3], self.arm(k).bend)
            places += [joints, T[:3, 3] + np.linspace(0.04, 0.26, 5)[:, None] * ahead]
        return self.true(np.concatenate(places))


def leant(hands: tuple[HandTrack, ...]) -> tuple[tuple[HandTrack, ...], Array]:
    """The hands of a person who follows them, and (F, 3) how far the shoulders went, in the true world.

    Each arm asks for the shift that brings its shoulder to its end; the body goes to the mean, what is left the arms
    make up for, and so again (as Cimmino's method goes to where all are content).
    """
    whole = np.zeros_like(hands[0].shoulder_m)
    starts = [track.true(track.shoulder_m) for track in hands]
    window = np.hanning(2 * _FOLLOW + 1) / np.hanning(2 * _FOLLOW + 1).sum()
    for _ in range(_LEANINGS):
        ends = [track.true(np.stack([track.arm_end(frame) for frame in range(len(whole))])) for track in hands]
        asked = np.mean([end - start for end, start in zip(ends, starts, strict=True)], axis=0) - whole
        padded = np.pad(asked, ((_FOLLOW, _FOLLOW), (0, 0)), mode="edge")
        step = np.stack([np.convolve(padded[:, axis], window, "valid") for axis in range(3)], 1)
        whole = whole + step
        hands = tuple(
            replace(track, shoulder_m=track.shoulder_m + track.true(start + whole - end))
            for track, start, end in zip(hands, starts, ends, strict=True)
        )
    return hands, whole


def arms_fit(hands: Many[HandTrack], scenery: Many[Thing], lean_m: Array) -> bool:
    """Whether every arm ends in the person, and lies on the table rather than in it.

    Args:
        hands: of a person who leans.
        scenery: that person, upright.
        lean_m: (F, 3) how far the shoulders went, in the true world.
    """
    for frame in range(0, len(lean_m), _LOOKED_AT):
        body = [leaning(thing, lean_m[frame]) for thing in scenery]
        for hand in (track.hand(frame) for track in hands):
            end = true_points(hand, shoulder(hand.vertices_m, hand.arm))[None]
            if min(float(part.solid.distance(to_object(part.pose, end))[0]) for part in body) > _BESIDE_M:
                return False
            if float(true_points(hand, hand.vertices_m)[:, 2].min()) < -_SUNK_M:
                return False
    return True


def leaning(thing: Thing, lean_m: Array) -> Thing:
    """A part of the person, moved the more the higher it is."""
    return moved_thing(thing, float(np.clip((thing.pose[2, 3] + 0.55) / 0.9, 0, 1)) * lean_m)


def _span(ahead: Array, elbow: Array) -> Array:
    """(3,) from the wrist to the end of the upper arm as `body` draws it, given the forearm's direction."""
    upper = (turn(elbow / 3) + turn(elbow * (2 / 3)) + 4 * turn(elbow)) / 6
    return np.asarray((_DRAWN_M[0] * np.eye(3) + _DRAWN_M[1] * upper) @ ahead)
