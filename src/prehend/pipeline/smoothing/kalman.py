"""Points that are measured again and again: a Kalman filter on their places and speeds, and what later measurements say
of earlier ones (the fixed-lag smoother of Rauch, Tung and Striebel, AIAA Journal 3 (8), 1965).

Speeds wander and calm down (a velocity of Ornstein and Uhlenbeck), and the filter is quicker the faster it goes: what
rests is held stiller. A measurement counts for less the less sure the network is of it, and the farther it is from
where the point was expected, as under a t distribution: single frames in which a hand flips are hardly followed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prehend.types import FloatArray

CALM_S = 0.3
"""Time in which a speed falls to 1/e if nothing is measured [s]."""

PAUSE_S = 0.4
"""After this long without a measurement the filter begins anew [s]."""

FRAME_S = 1 / 30
"""Frames that follow each other faster err together: each counts for less [s]."""

QUICKEST = 3.5
"""No frequency is higher than this many times the one at rest."""

EXPECTED = 3.0
"""A measurement is an outlier if it is off by more than this many variances for each of its degrees of freedom."""

BELIEVED = 0.05
"""What an outlier adds to the variance of the place, as a share of its square: some in a row are followed."""


class Dynamics(NamedTuple):
    """How points move, and how well they are measured where nothing more is known.

    Attributes:
        cutoff_hz: natural frequency of the filter at rest: lower is steadier [Hz].
        typical: standard deviation of a measurement that it is meant for [units].
        unit: length of a hand [units].
        quicker: how much the frequency rises with speed [Hz per hand length a second].
    """

    cutoff_hz: float
    typical: float
    unit: float = 1.0
    quicker: float = 0.0

    def drive(self, speed: FloatArray) -> FloatArray:
        """(G,) spectral densities of the accelerations of groups with (G, D) speeds [units^2 / s^3]."""
        faster = self.quicker * np.linalg.norm(speed, axis=-1) / self.unit
        hz = np.minimum(self.cutoff_hz + faster, QUICKEST * self.cutoff_hz)
        return np.asarray(self.typical**2 * FRAME_S * (2 * math.pi * hz) ** 4)


class State(NamedTuple):
    """What is known of G groups of numbers after a frame.

    Attributes:
        value, speed: (G, D) [units], [units/s].
        place, both, motion: (G,) variance of the value, covariance with the speed, variance of the speed; of each of D.
        elapsed_s, drive: since the frame before [s], and the densities of accelerations meanwhile.
    """

    value: FloatArray
    speed: FloatArray
    place: FloatArray
    both: FloatArray
    motion: FloatArray
    elapsed_s: float = 0.0
    drive: FloatArray | float = 0.0


def predicted(state: State, elapsed_s: float, drive: FloatArray | float) -> State:
    """The state this much later, if nothing is measured [s]."""
    decay = math.exp(-elapsed_s / CALM_S)
    way = CALM_S * (1 - decay)
    return State(
        state.value + way * state.speed,
        decay * state.speed,
        state.place + 2 * way * state.both + way**2 * state.motion + drive * elapsed_s**3 / 3,
        decay * (state.both + way * state.motion) + drive * elapsed_s**2 / 2,
        decay**2 * state.motion + drive * elapsed_s,
        elapsed_s,
        drive,
    )


def kalman(
    state: State | None, measured: FloatArray, elapsed_s: float, dynamics: Dynamics, std: FloatArray | float
) -> State:
    """One step of the filter.

    Args:
        state: after the last step; None takes `measured` as it is, and so does a pause.
        measured: (G, D).
        elapsed_s: since the last step; at 0 the answer stays [s].
        dynamics: how points move.
        std: (G,) standard deviations of `measured`, of each of D [units].
    """
    count = len(measured)
    variance = np.broadcast_to(np.square(std), (count,)).astype(np.float64)
    if state is None or elapsed_s > PAUSE_S:
        still = np.zeros_like(measured)
        return State(measured, still, variance, np.zeros(count), dynamics.drive(still) * CALM_S / 2)
    if elapsed_s <= 0:
        return state
    drive = dynamics.drive(state.speed)
    ahead = predicted(state, elapsed_s, drive)
    variance = variance * max(1.0, FRAME_S / elapsed_s)
    off = measured - ahead.value
    freedom = min(measured.shape[1], 3)  # a rotation's nine numbers have three degrees of it
    apart = np.square(off).sum(-1) / freedom
    surprise = np.maximum(apart / (ahead.place + variance) / EXPECTED, 1.0)
    total = ahead.place + variance * surprise
    gain, push = ahead.place / total, ahead.both / total
    return State(
        ahead.value + gain[:, None] * off,
        ahead.speed + push[:, None] * off,
        ahead.place - gain * ahead.place + BELIEVED * (1 - 1 / surprise) * apart,
        ahead.both - gain * ahead.both,
        ahead.motion - push * ahead.both,
        elapsed_s,
        drive,
    )


def looked_back(states: Sequence[State]) -> FloatArray:
    """(G, D) what the first of some states of a filter that follow each other turns out to be, by all of them.

    What came after the filter began anew tells nothing of before.
    """
    anew = next((k for k, state in enumerate(states) if k and not state.elapsed_s), len(states))
    states = states[:anew]
    value, speed = states[-1].value, states[-1].speed
    for state, later in zip(states[-2::-1], states[:0:-1], strict=True):
        decay = math.exp(-later.elapsed_s / CALM_S)
        way = CALM_S * (1 - decay)
        ahead = predicted(state, later.elapsed_s, later.drive)
        place, both, motion = (of[:, None] for of in (ahead.place, ahead.both, ahead.motion))
        off, turn = value - ahead.value, speed - ahead.speed
        scale = place * motion - both**2
        by_place, by_speed = (motion * off - both * turn) / scale, (place * turn - both * off) / scale
        was_place, was_both, was_motion = (of[:, None] for of in (state.place, state.both, state.motion))
        value = state.value + (was_place + way * was_both) * by_place + decay * was_both * by_speed
        speed = state.speed + (was_both + way * was_motion) * by_place + decay * was_motion * by_speed
    return value
