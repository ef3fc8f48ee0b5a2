"""Where the joints of a hand were last seen, in its own frame, and which hypothesis agrees best with that."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS
from prehend.pipeline.networks.uncertainty import DRIFT_M_S, JOINT_CLASS
from prehend.types import FloatArray, HandEstimate

MEMORY_S = 1.0
"""After this long a place tells nothing any more [s]; fingers move their own length meanwhile."""

SEEN_STD_M = 0.015
"""Of a place when it was seen [m]."""

BETTER = 0.5
"""A hypothesis agrees better than the estimate where its mean squared error, in standard deviations, is below this
share of the estimate's."""


class LastPlaces:
    """Of one hand."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """It is another hand."""
        self._places_m = np.zeros((NUM_JOINTS, 3))
        self._ages_s = np.full(NUM_JOINTS, np.inf)

    def see(self, hand: HandEstimate, elapsed_s: float) -> None:
        """A frame of the hand: what it shows is where the joints were last seen.

        Args:
            hand: as estimated.
            elapsed_s: since the frame before [s].
        """
        self._ages_s += elapsed_s
        if hand.state != "tracked" or not np.isfinite(hand.joints_m).all():
            return
        about = (hand.joints_m - hand.joints_m[0]) @ hand.rotations[0]
        self._places_m[hand.visible], self._ages_s[hand.visible] = about[hand.visible], 0.0

    def most_consistent(self, joints_m: FloatArray, turns: FloatArray, hand: HandEstimate) -> int:
        """Number of the hypothesis that agrees best with where the joints that are hidden now were last seen; -1 where
        the estimate itself agrees about as well, or nothing is remembered.

        Args:
            joints_m: (n, 21, 3) of the hypotheses. turns: (n, 3, 3) from the hand's frame to the camera's.
            hand: the estimate.
        """
        hidden = ~hand.visible & (self._ages_s < MEMORY_S)
        if not hidden.any():
            return -1
        off = self._off(joints_m, turns, hidden)
        own = self._off(hand.joints_m[None], hand.rotations[:1], hidden)[0]
        best = int(off.argmin())
        return best if off[best] < BETTER * own else -1

    def _off(self, joints_m: FloatArray, turns: FloatArray, rows: NDArray[np.bool_]) -> FloatArray:
        """(n,) mean squared distance from the last places, in standard deviations."""
        about = (joints_m - joints_m[:, :1])[:, rows] @ turns
        std = np.hypot(SEEN_STD_M, DRIFT_M_S[JOINT_CLASS[rows]] * self._ages_s[rows])
        far = np.linalg.norm(about - self._places_m[rows], axis=2) / std
        return np.asarray((far**2).mean(1))
