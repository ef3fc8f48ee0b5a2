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
        frames: frames in a row that have to agree before the state changes.

    Raises:
        ParameterError: not 0 < leave <= enter < 1, or fewer than one frame.
    """

    enter: float = 0.6
    leave: float = 0.4
    frames: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter < 1:
            raise ParameterError(
                f"grasp thresholds: leave {self.leave:g}, enter {self.enter:g}; 0 < leave <= enter < 1"
            )
        if self.frames < 1:
            raise ParameterError(f"grasp frames is {self.frames}, expected at least 1")


class GraspFilter:
    """The grasp state of one hand over time.

    It is "unknown" until `frames` frames in a row agree, and changes only when as many in a row say the opposite.
    `since` is the first of those frames, that is, when it happened and not when it was certain. A first picture without
    a stamp may be the only one: it gets the more probable state at once, and later ones are held against that.
    """

    def __init__(self, config: GraspConfig):
        self._config = config
        self._state: GraspState = "unknown"
        self._since: float | None = None
        self._started = False
        self._says: GraspState = "unknown"
        self._streak = 0
        self._streak_began: float | None = None

    def holds(self, probability: float) -> bool:
        """Whether to look for an object in this frame: a threshold that is lower while something is held."""
        return probability > self._config.leave if self._state == "grasping" else probability >= self._config.enter

    def update(self, probability: float, stamp: float | None) -> GraspEstimate:
        """Take in a frame.

        Args:
            probability: that the hand grasps, for this frame alone; NaN says nothing.
            stamp: of the frame [s].
        """
        if not self._started:
            self._started, self._since = True, stamp
            if stamp is None:
                self._state = instant_grasp(probability, None).state
        says = self._vote(probability)
        if says != self._says or says == "unknown":
            self._says, self._streak, self._streak_began = says, 0, stamp
        self._streak += 1
        if says not in ("unknown", self._state) and self._streak >= self._config.frames:
            self._state, self._since = says, self._streak_began
        return GraspEstimate(self._state, probability, self._since)

    def _vote(self, probability: float) -> GraspState:
        if probability >= self._config.enter:
            return "grasping"
        return "not_grasping" if probability <= self._config.leave else "unknown"


def instant_grasp(probability: float, stamp: float | None) -> GraspEstimate:
    """The state of a picture on its own: the more probable one; "unknown" for NaN."""
    if np.isnan(probability):
        return GraspEstimate("unknown", probability, None)
    return GraspEstimate("grasping" if probability >= 0.5 else "not_grasping", probability, stamp)
