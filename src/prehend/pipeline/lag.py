"""Results that wait for later images: a hand is told once it is known how it went on.

Every hand's Kalman filters run on, and what is told of a frame is what they make of it by all frames up to
`temporal_lag_s` later (a fixed-lag smoother, see `kalman.py`). Numbers, sides, grasps and events are those that would
be told at once.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from prehend.conventions import Side
from prehend.hand_model.model import HandModel
from prehend.pipeline.frames.times import ImageClock
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing.held import wrist_pose
from prehend.pipeline.smoothing.smooth import (
    STILL,
    Filtered,
    HandStates,
    Steady,
    followed,
    hindsight,
    one_euro,
    posed_as,
)
from prehend.pipeline.tracking.identities import Identities
from prehend.types import Box, FloatArray, FrameResult, HandEstimate

Item = TypeVar("Item")
"""What belongs to a result: its image, say."""

FASTEST_HZ = 120.0
"""No more results wait than images of this rate make: time may stand still [Hz]."""

_EPS = 1e-6


@dataclass
class _LaggedHand:
    """The filters of a track's hand of one side, and when it was last seen [s]."""

    states: HandStates
    betas: Filtered
    seen_s: float


@dataclass
class _WaitingResult(Generic[Item]):
    """A result, its time on the lag's own clock [s], and what the filters said of its hands."""

    item: Item
    result: FrameResult
    now_s: float
    states: dict[tuple[int, Side], HandStates] = field(default_factory=dict)


class _Number(NamedTuple):
    track_id: int


class FixedLag(Generic[Item]):
    """Holds the results of one camera's images back and smooths them; see `EstimatorOptions.temporal_lag_s`.

    A result is told with the first image that was taken `temporal_lag_s` later or more. `FrameResult.lag_s` says how
    much later the newest image is that it draws on: less than that at the end, and where time jumps.

    Args:
        options: of the estimator whose results they are; it does not smooth by itself then.
        hand_models: of both sides, without forearm.
    """

    def __init__(self, options: EstimatorOptions, hand_models: Mapping[Side, HandModel]):
        self._options, self._models = options, hand_models
        self._most = int(options.temporal_lag_s * FASTEST_HZ) + 1
        self._waiting: deque[_WaitingResult[Item]] = deque()
        self._hands: dict[tuple[int, Side], _LaggedHand] = {}
        self._identities = Identities(options)
        self._now_s, self._times = 0.0, ImageClock()

    def __len__(self) -> int:
        return len(self._waiting)

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options; the lag stays."""
        self._options = options
        self._identities.use(options)

    def add(self, item: Item, result: FrameResult) -> list[tuple[Item, FrameResult]]:
        """Take in the next result.

        Args:
            item: comes out with it.
            result: of an image that was taken later than those before; with none, or another order, as for the tracker.

        Returns:
            The results that waited long enough, in their order.
        """
        elapsed = self._times.step(result.stamp)
        told: list[tuple[Item, FrameResult]] = []
        if not 0 <= elapsed <= self._options.max_gap_s:
            told = self.flush()
            self.reset()
            self._times.step(result.stamp)
            elapsed = 0.0
        self._now_s += elapsed
        waiting = _WaitingResult(item, result, self._now_s)
        for hand in result.hands:
            if hand.state == "tracked":
                waiting.states[hand.track_id, hand.side] = self._follow(hand)
        self._waiting.append(waiting)
        while self._waiting and self._is_due(self._waiting[0]):
            told.append(self._tell())
        return told

    def flush(self) -> list[tuple[Item, FrameResult]]:
        """All results that still wait, as far as they are known: no image comes for now."""
        return [self._tell() for _ in range(len(self._waiting))]

    def reset(self) -> None:
        """Forget all hands, and results that still wait."""
        self._waiting.clear()
        self._hands.clear()
        self._identities.reset()
        self._times.reset()

    def _is_due(self, waiting: _WaitingResult[Item]) -> bool:
        return self._now_s - waiting.now_s >= self._options.temporal_lag_s - _EPS or len(self._waiting) > self._most

    def _follow(self, hand: HandEstimate) -> HandStates:
        key = hand.track_id, hand.side
        before = self._hands.get(key)
        elapsed = 0.0 if before is None else self._now_s - before.seen_s
        cutoff = self._options.smooth_min_cutoff_hz
        states = followed(None if before is None else before.states, hand, elapsed, cutoff)
        betas = np.asarray(hand.betas, np.float64)
        betas_now = one_euro(None if before is None else before.betas, betas, elapsed, STILL, 1.0)
        self._hands[key] = _LaggedHand(states, betas_now, self._now_s)
        return states

    def _tell(self) -> tuple[Item, FrameResult]:
        waiting = self._waiting.popleft()
        result = waiting.result
        seen = [self._shown(hand, waiting) for hand in result.hands if hand.state == "tracked"]
        numbers = [_Number(number) for number in (*(hand.track_id for hand in result.hands), *result.lost)]
        hands = self._identities.step(seen, numbers, result.stamp)
        self._forget(numbers)
        lag_s = max(self._now_s - waiting.now_s, 0.0)
        return waiting.item, replace(result, hands=hands, lost=self._identities.lost, lag_s=lag_s)

    def _forget(self, numbers: list[_Number]) -> None:
        """Drop the filters of tracks that nobody waits for any more."""
        kept = {one.track_id for one in numbers}
        kept |= {number for one in self._waiting for number, _ in one.states}
        self._hands = {key: hand for key, hand in self._hands.items() if key[0] in kept}

    def _shown(self, hand: HandEstimate, waiting: _WaitingResult[Item]) -> HandEstimate:
        """A hand as it turns out to have been."""
        key = hand.track_id, hand.side
        chain = [waiting.states[key]]
        for later in self._waiting:
            states = later.states.get(key)
            if states is not None and states.root is not chain[-1].root:  # the same moment twice is one
                chain.append(states)
        betas = self._hands[key].betas.value if key in self._hands else np.asarray(hand.betas, np.float64)
        return _posed(hand, hindsight(chain), betas, self._models[hand.side])


def _posed(hand: HandEstimate, steady: Steady, betas: FloatArray, model: HandModel) -> HandEstimate:
    """The hand in another pose; what it holds moves with its wrist."""
    raw = DecodedHand(
        hand.keypoints_px, hand.joints_m, hand.vertices_m, hand.rotations, hand.betas, hand.visible, 0.0, 0.0
    )
    new = posed_as(raw, steady, betas, model)
    held = hand.held_object
    if held is not None and held.T_camera_object is not None:
        before, after = (wrist_pose(one.rotations, one.joints_m) for one in (raw, new))
        held = replace(held, T_camera_object=after @ np.linalg.inv(before) @ held.T_camera_object)
    return replace(
        hand,
        box_px=Box.around(new.keypoints_px),
        keypoints_px=new.keypoints_px,
        joints_m=new.joints_m,
        vertices_m=new.vertices_m,
        rotations=new.rotations,
        betas=new.betas,
        held_object=held,
    )
