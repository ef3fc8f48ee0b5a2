"""What is known of a hand beyond its frame: whether it is the operator's, how it moves, what of it is seen now."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from prehend.conventions import NUM_JOINTS, SIDES
from prehend.geometry.rotations import axis_angle_from_matrix
from prehend.pipeline.frames.times import ImageClock
from prehend.pipeline.networks.uncertainty import carried_std, joint_std
from prehend.pipeline.options import EstimatorOptions
from prehend.types import HandEstimate, HandMotion

VELOCITY_S = 0.1
"""Time constant of the low-pass filter on velocities: at constant acceleration they come late by this much [s]."""

PAUSE_S = 0.25
"""A hand that was out of sight for longer begins to move anew [s]."""

FASTEST_M_S = 6.0
"""No hand at work is faster: where a wrist goes so far from an image to the next, one of them placed it wrongly, as
where little of a hand is in view [m/s]."""

COAST_M_S = 0.3
"""How fast hands are expected to move away, unseen, from where they were: the growth of `position_std_m` [m/s]."""

LARGER = 1.3
"""A hand becomes the operator's instead of another one if it is larger by this factor; with `operator` "largest"."""

GUESSED, CARRIED, SEEN = 0, 1, 2

CARRIED_SHARE = 0.5
"""A hand that fades has joints that count as carried over down to this share of its score."""


class Numbered(Protocol):
    """What is followed, under a number."""

    @property
    def track_id(self) -> int:
        """The number."""


@dataclass
class _Past:
    """A track.

    Attributes:
        hand: as it was last seen.
        in_view_s: for how long it was seen, all in all.
        unseen_s: since it was last seen.
        lost_s: since the first frame without it; None while it is seen.
        motion: of then; None before it was seen twice.
    """

    hand: HandEstimate
    in_view_s: float = 0.0
    unseen_s: float = 0.0
    lost_s: float | None = None
    motion: HandMotion | None = None


class Identities:
    """What frames that follow each other say of their hands.

    Of each side one hand at most is the operator's: with `operator` "longest" the one that was seen for the longest
    time, with "largest" the one that is largest in the image. It stays so until its track is given up or believed to
    be of the other side, with "largest" also until another one is larger by `LARGER`. Of equal ones the surer counts.

    Attributes:
        lost: numbers of hands that are waited for and were not given out with the last frame.
    """

    def __init__(self, options: EstimatorOptions):
        self._options, self._times = options, ImageClock()
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._past: dict[int, _Past] = {}
        self._operators: dict[str, int] = {}
        self._times.reset()
        self.lost: tuple[int, ...] = ()

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options."""
        self._options = options

    def step(
        self, hands: Sequence[HandEstimate], tracks: Sequence[Numbered], stamp: float | None
    ) -> tuple[HandEstimate, ...]:
        """Take in the next frame.

        Args:
            hands: that are seen in it.
            tracks: that are followed, those without a hand too.
            stamp: of its image [s]; without one frames follow each other at 30 Hz.

        Returns:
            The hands by number, with `motion`, `validity` and `is_operator`; with option `lost` "hold" or "fade" also
            those that are waited for, as they were last seen.
        """
        elapsed = max(self._times.step(stamp), 0.0)
        kept = {track.track_id for track in tracks} | {hand.track_id for hand in hands}
        self._past = {number: past for number, past in self._past.items() if number in kept}
        for past in self._past.values():
            past.unseen_s += elapsed
        shown = {hand.track_id: self._see(hand, elapsed) for hand in hands}
        for number, past in self._past.items():
            past.lost_s = None if number in shown else 0.0 if past.lost_s is None else past.lost_s + elapsed
        if self._options.lost != "drop":
            shown |= {number: self._coasting(past) for number, past in self._past.items() if past.lost_s is not None}
        self.lost = tuple(sorted(self._past.keys() - shown.keys()))
        self._choose()
        operators = set(self._operators.values())
        return tuple(replace(shown[number], is_operator=number in operators) for number in sorted(shown))

    def _see(self, hand: HandEstimate, elapsed: float) -> HandEstimate:
        past = self._past.get(hand.track_id)
        if past is None or past.hand.side != hand.side:
            past = self._past[hand.track_id] = _Past(hand)
        elif past.unseen_s > 0:
            paused = past.unseen_s > max(PAUSE_S, elapsed + 1e-9)  # at 3 Hz each frame comes later than that
            past.motion = None if paused else _motion(past, hand)
            past.in_view_s += min(elapsed, past.unseen_s)
        hand = replace(hand, joint_std_m=joint_std(hand))
        if not self._times.swapped:  # the next image goes on from the newest
            past.hand, past.unseen_s = hand, 0.0
        return replace(hand, motion=past.motion, validity=np.where(hand.visible, SEEN, GUESSED).astype(np.uint8))

    def _coasting(self, past: _Past) -> HandEstimate:
        share = 1.0 if self._options.lost == "hold" else 1 - (past.lost_s or 0.0) / self._options.keep_lost_s
        return _held(past, max(share, 0.0))

    def _choose(self) -> None:
        """Which hands are the operator's."""
        for side in SIDES:
            own = {number: past for number, past in self._past.items() if past.hand.side == side}
            now = self._operators.pop(side, None)
            if self._options.operator == "off" or not own:
                continue
            best = max(own, key=lambda number: (self._worth(own[number]), own[number].hand.score, -number))
            stays = now in own and (
                self._options.operator == "longest" or self._worth(own[best]) < LARGER * self._worth(own[now])
            )
            self._operators[side] = now if stays and now is not None else best

    def _worth(self, past: _Past) -> float:
        if self._options.operator == "longest":
            return past.in_view_s
        return max(past.hand.box_px.width, past.hand.box_px.height)


def _motion(past: _Past, hand: HandEstimate) -> HandMotion | None:
    """Differences of the smoothed pose, through a low-pass filter of first order; the first one as it is. None where no
    hand goes like that."""
    elapsed, before = past.unseen_s, past.hand
    linear = (hand.joints_m - before.joints_m) / elapsed
    if float(np.linalg.norm(linear[0])) > FASTEST_M_S:
        return None
    angular = axis_angle_from_matrix(np.asarray(hand.rotations[0] @ before.rotations[0].T, np.float64)) / elapsed
    if past.motion is None:
        return HandMotion(linear, angular)
    share = 1 - math.exp(-elapsed / VELOCITY_S)
    last = past.motion
    return HandMotion(
        last.joints_m_s + share * (linear - last.joints_m_s), last.wrist_rad_s + share * (angular - last.wrist_rad_s)
    )


def _held(past: _Past, share: float) -> HandEstimate:
    """A hand that is waited for, as it was last seen, with this share of its scores; below half of them no joint counts
    as carried over any more."""
    hand = past.hand
    held = None if hand.held_object is None else replace(hand.held_object, score=share * hand.held_object.score)
    carried = CARRIED if share >= CARRIED_SHARE else GUESSED
    return replace(
        hand,
        state="coasting",
        score=share * hand.score,
        grasp=replace(hand.grasp, probability=share * hand.grasp.probability),
        held_object=held,
        visible=np.zeros(NUM_JOINTS, np.bool_),
        validity=np.where(hand.visible, carried, GUESSED).astype(np.uint8),
        position_std_m=math.hypot(hand.position_std_m, COAST_M_S * past.unseen_s),
        joint_std_m=None if hand.joint_std_m is None else carried_std(hand.joint_std_m, past.unseen_s),
    )
