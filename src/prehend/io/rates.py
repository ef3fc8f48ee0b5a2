"""Rates from the frames' own times: what a container or a recorder says about its rate is a claim."""

from collections.abc import Sequence

import numpy as np

LONGEST_RATE_HZ = 1000.0
_TOLERANCE = 0.05
_DEFAULT_STEP_S = 1 / 30
_LEAST_S = 5e-4
"""Between two frames of one stamp: containers that count milliseconds have two of them at 2000 Hz."""
_AGAIN_S = 0.3
"""Stamps that go back by more begin anew (files behind each other); by less, two were swapped."""
_STILL = 3


def measured_rate(stamps: Sequence[float]) -> float | None:
    """Frames a second of some neighbouring stamps [s], None where fewer than two differ.

    The median interval counts: pauses and frames that were dropped do not make a sequence slow. Stamps may be out of
    order or jitter.
    """
    steps = np.diff(np.sort(np.asarray([stamp for stamp in stamps if np.isfinite(stamp)], np.float64)))
    steps = steps[steps > 1 / LONGEST_RATE_HZ / 2]
    return float(1 / np.median(steps)) if len(steps) else None


def believed_rate(nominal: float | None, stamps: Sequence[float]) -> float | None:
    """The nominal rate where the stamps [s] of the first frames bear it out, else theirs; None for neither."""
    real = measured_rate(stamps)
    if nominal is None or not 0 < nominal < LONGEST_RATE_HZ:
        return real
    if real is None:
        return nominal
    mean = (len(stamps) - 1) / max(max(stamps) - min(stamps), 1e-9)
    return nominal if any(abs(rate / nominal - 1) <= _TOLERANCE for rate in (real, mean)) else real


class FrameTimes:
    """Stamps of a video's frames that always rise, as close to those of the file as can be.

    Args:
        fps: frames a second, for frames without a stamp of their own; None for 30.
        timed: whether the file has stamps at all.
    """

    def __init__(self, fps: float | None, timed: bool) -> None:
        self._step_s, self._timed = 1 / fps if fps else _DEFAULT_STEP_S, timed
        self._last, self._raw = -np.inf, np.nan
        self._shift_s, self._same = 0.0, 0

    def next(self, raw: float) -> float:
        """The stamp [s] of the next frame, of which the file says `raw`."""
        self._same = self._same + 1 if raw == self._raw else 0
        self._raw = raw
        stamp = raw + self._shift_s
        if not np.isfinite(stamp) or not self._timed or self._same >= _STILL:
            stamp = max(self._last + self._step_s, 0.0)
        elif stamp < self._last - _AGAIN_S:
            self._shift_s += self._last + self._step_s - stamp
            stamp = self._last + self._step_s
        self._last = max(stamp, self._last + _LEAST_S)
        return self._last
