"""When a grasp begins for the record: not when a hand closes, which frames tell, but when what it holds moves with it.

`conventions.GRASP_DEFINITION` asks for that, and a single image cannot tell it: on rendered sequences frames say
"grasps" 0.5 s before (docs/TIME.md). A hand that reaches comes to rest where it closes, and leaves that place with what
it holds.
"""

import numpy as np

from prehend.pipeline.uncertainty import KNUCKLES, metres_per_pixel
from prehend.types import FloatArray, HandEstimate

REST_M_S = 0.08
"""A hand is at rest, if it is no faster, across the line of sight [m/s]."""

MOVED_M = 0.015
"""It has left its place once it is so far away: the 10 mm of the definition and what keypoints are off [m]."""

WAIT_S = 0.8
"""A hand that seems to hold something for so long holds it, moved or not [s]."""

_SPAN_S = 0.1
_PALM = (0, *KNUCKLES[1:])


class Lift:
    """A hand that frames have begun to say holds something, until it moves with it. The camera is taken to stand still.

    Args:
        began_s: when they began, on any clock [s].
    """

    def __init__(self, began_s: float):
        self.began_s = began_s
        self._places: list[tuple[float, FloatArray]] = []
        self._slowest = float("inf")
        self._rest: FloatArray | None = None

    def moved(self, hand: HandEstimate, now_s: float) -> bool:
        """Take in the next frame: whether the hand is not where it came to rest any more."""
        scale = metres_per_pixel(hand.joints_m, hand.keypoints_px)
        place = hand.keypoints_px[list(_PALM)].mean(0)
        recent = [(then, where) for then, where in self._places if now_s - then <= _SPAN_S + 1e-6]
        self._places = recent or self._places[-1:]  # slow cameras
        if self._places:
            then, where = self._places[0]
            speed = float(np.linalg.norm(place - where)) * scale / max(now_s - then, 1e-6)
            if speed <= min(self._slowest, REST_M_S):
                self._slowest, self._rest = speed, place
        self._places.append((now_s, place))
        return self._rest is not None and float(np.linalg.norm(place - self._rest)) * scale > MOVED_M

    def is_over(self, now_s: float) -> bool:
        """Whether it has been waited for long enough."""
        return now_s - self.began_s >= WAIT_S - 1e-6
