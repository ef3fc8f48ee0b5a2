"""Whether the stamps of the images belong to this node's clock, and what to go by where they do not."""

import math
import time
from collections.abc import Callable
from typing import Any

from prehend.pipeline.frames.times import ImageClock
from prehend.pipeline.options import option_default
from prehend.ros.conversion.convert import seconds

AHEAD_S = 0.1
"""Clocks that are kept together differ by milliseconds."""

SIM_AHEAD_S = 1.0
"""Simulated time moves in steps."""

LATE_S = 10.0
"""No camera takes longer than this, again and again: images that always look older were stamped by another clock."""

BEHIND_S = 60.0
"""Not even one image takes longer than this, and simulated time does not run ahead of its images as far."""

_NANOSECONDS = 10**9
_STILL = 3
"""Images in a row with the same stamp after which it is the stamp that stands still, and no image that came twice."""

_TAI_S = 37
"""Leap seconds since 2017 (IERS Bulletin C)."""
_ROUND_H = 10 / 3600
"""How near a full half hour what differs is taken for a time zone [h]."""
_STRAY = 3
"""Images in a row off a clock that fitted until then; with more of them it is the clock that changed, and no stray."""


class Stamps:
    """Judges the stamp of every image; called by the worker's thread, asked by the diagnostics.

    Args:
        now: the node's clock [s], 0 for simulated time that has not begun.
        simulated: whether the node's clock is /clock.

    Attributes:
        fault: what is wrong with the newest image's stamp; empty where nothing is.
        usable: whether transforms with this stamp can be told from each other.
    """

    def __init__(self, now: Callable[[], float], simulated: Callable[[], bool]) -> None:
        self._now, self._simulated = now, simulated
        self._last: tuple[int, int] | None = None
        self._same = 0
        self._off = self._late = _STRAY  # images in a row of another clock; until one fitted, none is a stray
        self._told = self._jumped = ""
        self._clock = ImageClock()
        self.fault, self.usable = "", True

    def tracking_s(self, stamp: Any) -> float:
        """Time of an image for the tracker [s]: its stamp, or now where the stamp is none."""
        pair = (int(stamp.sec), int(stamp.nanosec))
        self._same = self._same + 1 if pair == self._last else 0
        self._last = pair
        self.fault, self.usable = self._judge(stamp)
        self._told = self.fault or self._told
        when_s = seconds(stamp) if self.usable else self._now() or time.time()
        self._jumped = self._jump(self._clock.step(when_s)) or self._jumped
        return when_s

    def now_s(self) -> float:
        """The node's clock."""
        return self._now()

    def latency_ms(self, stamp: Any, then_s: float | None = None) -> float:
        """From an image's stamp to now, or to another time of the node's clock [ms]; NaN where the difference says
        nothing."""
        return (
            math.nan if self.fault else max(1e3 * ((self._now() if then_s is None else then_s) - seconds(stamp)), 0.0)
        )

    def take(self) -> str:
        """What was wrong with stamps since the last call."""
        told = (self._told or self.fault, self._jumped)
        self._told = self._jumped = ""
        return "; ".join(text for text in told if text)

    def _jump(self, elapsed_s: float) -> str:
        """Where time jumps the tracker begins anew, as after a bag that loops."""
        if elapsed_s < 0:
            return f"stamps went back by {_duration(-elapsed_s)}: all hands were given up"
        if elapsed_s > option_default("max_gap_s"):
            return f"there was no image for {_duration(elapsed_s)}, as stamps have it: all hands were given up"
        return ""

    def _judge(self, stamp: Any) -> tuple[str, bool]:
        if stamp.sec < 0 or stamp.nanosec >= _NANOSECONDS:
            return f"stamps are invalid (sec {stamp.sec}, nanosec {stamp.nanosec}): no transforms, no latency", False
        if stamp.sec == stamp.nanosec == 0:
            return "stamps are zero, the driver sets none: no transforms, no latency", False
        if self._same >= _STILL:
            return f"stamps stand still at {seconds(stamp):.3f}: no transforms, no latency", False
        now, simulated = self._now(), self._simulated()
        if simulated and now == 0:
            return "use_sim_time is true, but no /clock came: no latency, transforms may not fit", True
        ahead = seconds(stamp) - now
        if -BEHIND_S <= ahead <= (SIM_AHEAD_S if simulated else AHEAD_S):
            self._off = 0
            return self._judge_late(ahead, simulated), True
        self._off += 1
        side = "ahead of" if ahead > 0 else "behind"
        if self._off <= _STRAY:  # buffers of tf2 that got one of tomorrow would refuse all of today
            return f"a stamp is {_duration(abs(ahead))} {side} this node's clock, the others fit: no transforms", False
        return self._apart(ahead, simulated), True

    def _judge_late(self, ahead_s: float, simulated: bool) -> str:
        """What is wrong with a stamp that may be one of this clock: a single image may wait for seconds, not all."""
        if simulated or ahead_s >= -LATE_S:
            self._late = 0
            return ""
        self._late += 1
        if self._late <= _STRAY:
            return f"an image came {_duration(-ahead_s)} after its stamp, the others fit: no latency"
        return self._apart(ahead_s, simulated)

    def _apart(self, ahead_s: float, simulated: bool) -> str:
        side = "ahead of" if ahead_s > 0 else "behind"
        text = f"stamps are {_duration(abs(ahead_s))} {side} this node's clock: transforms will not fit, no latency"
        return f"{text}; {self._way_out(simulated, ahead_s)}"

    @staticmethod
    def _way_out(simulated: bool, ahead_s: float) -> str:
        apart_s = abs(ahead_s)
        if simulated:
            return "use_sim_time is true: is /clock that of these images?"
        if abs(apart_s - _TAI_S) < 1:
            return f"{_TAI_S} s is what TAI differs from UTC by: is the camera's clock, or this computer's, PTP's time?"
        hours = apart_s / 3600
        if 0.5 <= hours <= 14 and abs(hours - round(2 * hours) / 2) < _ROUND_H:
            return "a time zone? Stamps are of UTC"
        if apart_s > 3600:
            return (
                "is use_sim_time right (a bag played with --clock wants it), or does the driver count from its start?"
            )
        played = ", or is it a bag that is played (use_sim_time)?" if ahead_s < 0 else ""
        return f"synchronise the clocks of the computers{played}"


def _duration(value_s: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if value_s < limit:
            return f"{value_s / size:.3g} {unit}"
    return f"{value_s / 86400:.0f} days"
