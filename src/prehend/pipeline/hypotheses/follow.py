"""The hypotheses of the hands that are followed: kept from frame to frame, worked on as long as a frame has time."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prehend.backends import Backend
from prehend.conventions import MIRROR
from prehend.errors import ParameterError
from prehend.hand_model import load_hand_model
from prehend.pipeline.frames.times import FRAME_S
from prehend.pipeline.hypotheses.budget import FrameBudget
from prehend.pipeline.hypotheses.denoiser import PoseDenoiser
from prehend.pipeline.hypotheses.places import LastPlaces
from prehend.pipeline.hypotheses.skeleton import Looseness, placed, pulled, rotations_of
from prehend.pipeline.hypotheses.spread import Told, covariances, drawn, told_by, wanted_of
from prehend.pipeline.options import EstimatorOptions
from prehend.types import HandEstimate, HandHypotheses

TIME = 0.2
"""How much noise a pose gets before the prior says what it was: of the forward process, from 0 to 1."""

LOOSE = Looseness(hand_rad=0.3, finger_rad=0.2)
PULLS = 2

UNSURE_M = 0.03
"""A hand whose joints are expected to be off by more than this on average is unsure, seen or not [m]."""


class _FollowedHand:
    """The hypotheses of one hand.

    Attributes:
        offsets: (n, 16, 3, 3) what each bone is turned by against the estimate's, in the bone's own directions: a hand
            that moves takes its hypotheses along.
        steps: (n,) times that the prior has seen each one.
        last: where its joints were last seen.
    """

    def __init__(self, track_id: int, count: int, noise_shape: tuple[int, int]):
        self.draws = drawn(count, noise_shape, track_id)
        self.offsets: NDArray[np.float64] | None = None
        self.steps = np.zeros(count, np.int64)
        self.last = LastPlaces()
        self.side = ""

    def begin(self, side: str) -> None:
        """Begin anew where the hand is of another side than before."""
        if side != self.side:
            self.offsets, self.side = None, side
            self.steps[:] = 0
            self.last.forget()


class FollowedHypotheses:
    """What one camera's hands may be.

    Args:
        denoiser: the prior.
        options: how many, and how long a frame may take for them.
        budget: that several cameras share; None for one of its own.
    """

    def __init__(
        self,
        denoiser: PoseDenoiser,
        options: EstimatorOptions,
        budget: FrameBudget | None = None,
    ):
        self._denoiser, self._count = denoiser, options.hypotheses
        self._budget = budget or FrameBudget(options.hypothesis_budget_ms)
        self._limit_ms, self._alone = options.hypothesis_budget_ms, not options.tracking
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._hands: dict[int, _FollowedHand] = {}
        self._stamp: float | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """That the time is too short for a single step of the prior, where it is."""
        piece_ms = self._budget.alone_ms
        if self._alone or piece_ms is None or piece_ms <= self._limit_ms:
            return ()
        return (
            f"hypothesis_budget_ms is {self._limit_ms:g} and a step of one hypothesis takes {piece_ms:.1f} ms here: "
            "few or none are made",
        )

    def warm_up(self) -> None:
        """Learn how long a step takes, for one hypothesis and for all."""
        alone_ms, whole_ms = (min(self._step_ms(count) for _ in range(3)) for count in (1, self._count))
        self._budget.learn(alone_ms, self._count, whole_ms)

    def _step_ms(self, count: int) -> float:
        still = np.broadcast_to(np.eye(3), (count, 16, 3, 3))
        noise, joints = np.zeros((count, *self._denoiser.noise_shape)), np.zeros((count, 21, 3))
        began = time.perf_counter()
        self._denoiser.denoised(still, noise, TIME, joints, np.zeros(21, np.bool_))
        return 1e3 * (time.perf_counter() - began)

    def step(self, hands: Sequence[HandEstimate], stamp: float | None, share: float = 1.0) -> tuple[HandEstimate, ...]:
        """Take in a frame.

        Args:
            hands: of the frame, with their numbers.
            stamp: of its image [s].
            share: of the time that this camera may take.

        Returns:
            The same hands; `hypotheses` of those that have some.
        """
        elapsed = FRAME_S if stamp is None or self._stamp is None else max(stamp - self._stamp, 0.0)
        self._stamp = stamp
        self._budget.begin(share * self._limit_ms)
        numbers = {hand.track_id for hand in hands}
        self._hands = {number: kept for number, kept in self._hands.items() if number in numbers}
        wanted = [hand for hand in hands if is_open(hand)]
        told = {hand.track_id: told_by(hand) for hand in wanted}
        for hand in wanted:
            if hand.track_id not in self._hands:
                self._hands[hand.track_id] = _FollowedHand(hand.track_id, self._count, self._denoiser.noise_shape)
            self._hands[hand.track_id].begin(hand.side)
        # those whose hypotheses the prior has seen least come first
        for hand in sorted(wanted, key=lambda one: int(self._hands[one.track_id].steps.min())):
            self._work(self._hands[hand.track_id], told[hand.track_id])
        self._budget.end(bool(wanted))
        found = tuple(self._shown(hand, told.get(hand.track_id)) for hand in hands)
        for hand in hands:
            if hand.track_id in self._hands:
                self._hands[hand.track_id].last.see(hand, elapsed)
        return found

    def _work(self, hand: _FollowedHand, told: Told) -> None:
        """Let the prior see as many hypotheses as there is time for, the ones first that it has seen least; of an image
        on its own all of them, since there is no next one."""
        most = self._count if self._alone else self._budget.fits(self._count)
        rows = np.argsort(hand.steps, kind="stable")[:most]
        if not len(rows):
            return
        began = time.perf_counter()
        wanted, turn = wanted_of(told, hand.draws)
        back = np.swapaxes(told.spins, 1, 2)
        if hand.offsets is None:
            hand.offsets = back @ turn[:, None] @ told.spins
        spins = told.spins @ hand.offsets[rows]
        away = np.swapaxes(spins[:, :1], 2, 3)
        joints = (away @ wanted.places_m[rows][..., None])[..., 0]
        flat = self._denoiser.denoised(away @ spins, hand.draws.noise[rows], TIME, joints, told.seen)
        spins = spins[:, :1] @ flat
        for _ in range(PULLS):
            spins = pulled(told.bones_m, spins, wanted._replace(places_m=wanted.places_m[rows]), LOOSE)
        hand.offsets[rows] = back @ spins
        hand.steps[rows] += 1
        self._budget.took(len(rows), 1e3 * (time.perf_counter() - began))

    def _shown(self, hand: HandEstimate, told: Told | None) -> HandEstimate:
        """A hand with its hypotheses, once the prior has seen them all."""
        kept = self._hands.get(hand.track_id)
        if told is None or kept is None or kept.offsets is None or not kept.steps.all():
            return hand
        spins = told.spins @ kept.offsets
        joints, rotations = placed(told.bones_m, spins), rotations_of(spins)
        if hand.side == "left":
            joints, rotations = joints * MIRROR.diagonal(), MIRROR @ rotations @ MIRROR
        joints = joints + hand.joints_m[0]
        choice = kept.last.most_consistent(joints, rotations[:, 0], hand)
        found = HandHypotheses(joints, rotations, covariances(joints, hand), choice, int(kept.steps.min()))
        return replace(hand, hypotheses=found)


def is_open(hand: HandEstimate) -> bool:
    """Whether a hand may be another than it seems: it is seen, and joints are hidden or the network is unsure."""
    if hand.state != "tracked" or not np.isfinite(hand.joints_m).all():
        return False
    unsure = hand.joint_std_m is not None and float(np.mean(hand.joint_std_m[1:])) > UNSURE_M
    return unsure or not bool(hand.visible.all())


def open_hypotheses(
    prior: Backend | None, options: EstimatorOptions, budget: FrameBudget | None = None
) -> FollowedHypotheses | None:
    """What the options ask for; None where `hypotheses` is 0.

    Args:
        prior: runs the prior. options: of the estimator.
        budget: that several cameras share.

    Raises:
        ParameterError: they ask for hypotheses, and there is no prior.
        WeightsMismatch: it is none of the shipped hand.
    """
    if not options.hypotheses:
        return None
    if prior is None:
        raise ParameterError("option hypotheses needs a prior: take load_estimator, or give the estimator one")
    denoiser = PoseDenoiser(prior, load_hand_model().without_forearm())
    return FollowedHypotheses(denoiser, options, budget)
