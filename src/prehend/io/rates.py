"""Rates from the frames' own times: what a container or a recorder says about its rate is a claim."""

from collections.abc import Sequence

import numpy as np

LONGEST_RATE_HZ = 1000.0
_TOLERANCE = 0.05


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
