"""Grasp and release as states that do not flicker."""

from dataclasses import dataclass

import numpy as np

from prehend.errors import ParameterError
from prehend.types import GraspEstimate, GraspState


@dataclass(frozen=True)
class GraspConfig:
    """When a grasp begins and ends.

    Attributes:
        enter: probability from which a frame speaks for a grasp.
        leave: probability up to which a frame speaks against one; between the two a frame says nothing.
        lasting_s: the state changes once frames in a row have agreed for so long, from the first to the last: the third
            one at 30 Hz, the second one at 15 Hz and below [s].

    Raises:
        ParameterError: not 0 < leave <= enter < 1, or `lasting_s` is negative.
    """

    enter: float = 0.6
    leave: float = 0.4
    lasting_s: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter < 1:
            raise ParameterError(
                f"grasp thresholds: leave {self.leave:g}, enter {self.enter:g}; 0 < leave <= enter < 1"
            )
        if not 0 <= self.lasting_s < float("inf"):
            raise ParameterError(f"grasp lasting_s is {self.lasting_s}, expected 0 or more")


class GraspFilter:
    """The grasp state of one hand over time.

    It is "unknown" until frames in a row agree for `lasting_s`, and changes only when they say the opposite as long.
    `since` is the first of those frames, that is, when it happened and not when it was certain. A first image without
    a stamp may be the only one: it gets the more probable state at once, and later ones are held against that.
    """

    def __init__(self, config: GraspConfig):
        self._config = config
        self._state: GraspState = "unknown"
        self._since: float | None = None
        self._started = False
        self._says: GraspState = "unknown"
        self._streak_s = 0.0
        self._streak_began: float | None = None

    def holds(self, probability: float) -> bool:
        """Whether to look for an object in this frame: a threshold that is lower while something is held."""
        return probability > self._config.leave if self._state == "grasping" else probability >= self._config.enter

    def update(self, probability: float, stamp: float | None, elapsed_s: float) -> GraspEstimate:
        """Take in a frame.

        Args:
            probability: that the hand grasps, for this frame alone; NaN says nothing.
            stamp: of the frame [s].
            elapsed_s: since the frame before in which the hand was seen [s].
        """
        if not self._started:
            self._started, self._since = True, stamp
            if stamp is None:
                self._state = instant_grasp(probability, None).state
        says = self._vote(probability)
        if says != self._says or says == "unknown":
            self._says, self._streak_s, self._streak_began = says, 0.0, stamp
        else:
            self._streak_s += elapsed_s
        if says not in ("unknown", self._state) and self._streak_s >= self._config.lasting_s:
            self._state, self._since = says, self._streak_began
        return GraspEstimate(self._state, probability, self._since)

    def _vote(self, probability: float) -> GraspState:
        if probability >= self._config.enter:
            return "grasping"
        return "not_grasping" if probability <= self._config.leave else "unknown"


def instant_grasp(probability: float, stamp: float | None) -> GraspEstimate:
    """The state of an image on its own: the more probable one; "unknown" for NaN."""
    if np.isnan(probability):
        return GraspEstimate("unknown", probability, None)
    return GraspEstimate("grasping" if probability >= 0.5 else "not_grasping", probability, stamp)
