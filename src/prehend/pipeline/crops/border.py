"""Hands that the image's border cuts: what their joints are worth, and a distance that does not run away with them.

A network that sees half a hand guesses the other half. Guesses that are too near to what is left of the hand make it
look small, and so far away.
"""

import numpy as np
from numpy.typing import NDArray

from prehend.types import FloatArray

MARGIN = 0.1
"""Joints nearer to the border than this share of the hand's longer side count for less, down to `OUTSIDE`."""

OUTSIDE = 0.1
"""What a joint outside the image counts for: its place is a guess, but better than none."""

RADIAL_M_S = 0.3
"""How fast hands come nearer or go away while the border cuts them: what the filter expects [m/s]."""

FIT_STD, CUT_STD = 0.03, 0.15
"""Standard deviation of a depth in units of the depth: of a whole hand from frame to frame, and what is added for
one that is all cut. How badly the joints fit their keypoints is added too."""

MAX_STDS = 2.0
"""A depth that is off by more standard deviations than this counts as one that is off by so many."""


def is_inside(keypoints_px: FloatArray, image_size: tuple[int, int]) -> NDArray[np.bool_]:
    """(21, 2) -> (21,) whether a joint lies in the image of this width and height."""
    return _inwards(keypoints_px, image_size) > 0


def border_trust(keypoints_px: FloatArray, image_size: tuple[int, int]) -> FloatArray:
    """(21, 2) -> (21,) what the joints count for by their place: 1 well inside the image, `OUTSIDE` beyond it."""
    return np.clip(_inwards(keypoints_px, image_size) / (MARGIN * _longer(keypoints_px)), OUTSIDE, 1.0)


class BorderDepth:
    """The depth of one hand, held while the border cuts it: hands leave the image sideways."""

    def __init__(self) -> None:
        self._depth_m: float | None = None
        self._variance = 0.0

    def factor(
        self,
        joints_m: FloatArray,
        keypoints_px: FloatArray,
        fit_error_px: float,
        image_size: tuple[int, int],
        elapsed_s: float,
    ) -> float:
        """By how much to move a hand away along its viewing ray: 1 unless a joint is near the border or beyond it, and
        the hand was seen before.

        Args:
            joints_m: (21, 3) as measured in one frame, in the camera frame.
            keypoints_px: (21, 2).
            fit_error_px: root mean square distance between the two in the image.
            image_size: width, height [px].
            elapsed_s: since the last call [s].
        """
        measured = float(joints_m[:, 2].mean())
        free = float((border_trust(keypoints_px, image_size) >= 1).mean())
        noise = (measured * (FIT_STD + CUT_STD * (1 - free) + fit_error_px / _longer(keypoints_px))) ** 2
        if free == 1 or self._depth_m is None:
            self._depth_m, self._variance = measured, noise
            return 1.0
        self._variance += (RADIAL_M_S * elapsed_s) ** 2
        spread = float(np.sqrt(self._variance + noise))
        gain = self._variance / spread**2
        step = float(np.clip(measured - self._depth_m, -MAX_STDS * spread, MAX_STDS * spread))
        self._depth_m, self._variance = self._depth_m + gain * step, (1 - gain) * self._variance
        return self._depth_m / measured


def _inwards(keypoints_px: FloatArray, image_size: tuple[int, int]) -> FloatArray:
    """(21, 2) -> (21,) distance to the border, negative outside [px]."""
    edge = np.array(image_size) - 0.5
    return np.minimum(keypoints_px + 0.5, edge - keypoints_px).min(-1)


def _longer(keypoints_px: FloatArray) -> float:
    return max(float(np.ptp(keypoints_px, axis=0).max()), 1.0)
