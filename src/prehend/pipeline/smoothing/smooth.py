"""Steady hands: a filter on a hand's pose, its place and its keypoints.

There are two: the One-Euro filter (Casiez et al., CHI 2012), a low-pass filter whose cutoff rises with speed, and a
Kalman filter that knows speeds and how sure the network is (`kalman.py`), which later frames can add to. Which is
better where is in docs/TIME.md. The hand is posed anew from its smoothed pose, so that joints, mesh and wrist go on
belonging together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from prehend.conventions import JOINT_NAMES, MANO_JOINT_NAMES, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.errors import ParameterError
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.smoothing.kalman import Dynamics, State, kalman, looked_back
from prehend.types import FloatArray, HandEstimate

SMOOTHERS = ("one-euro", "kalman")
"""Choices of the option `smoother`."""

CUTOFFS, QUICKER = 1.2, 1.0
"""The Kalman filter's natural frequency for a hand at rest, in cutoffs of the One-Euro filter, and how much it rises
with speed [Hz per hand length a second]: its delay is that of the latter then."""

TYPICAL = 0.06
"""Standard deviation of a keypoint where the network says none, and that for which cutoffs are meant [hand lengths]."""

RELIED = 5.0
"""What the network says of its keypoints counts up to this factor above and below `TYPICAL`."""

TURN = 2.0
"""Standard deviation of a joint's rotation [rad] for each hand length that the keypoints of its finger are off."""

MOST_CUTOFF_HZ = 30.0
"""Highest cutoff for a hand at rest: beyond it a camera's images are hardly smoothed [Hz]."""

HAND_LENGTH_M = 0.18
"""Length of a hand: speeds are in hand lengths a second, so that one `beta` fits metres and pixels alike [m]."""

SPEED_CUTOFF_HZ = 1.0
"""Cutoff of the filter on the speed itself; the paper's value [Hz]."""

SHAPE_CUTOFF_HZ = 0.2
"""Cutoff for the hand's shape, which does not change [Hz]."""


@dataclass(frozen=True)
class SmoothConfig:
    """How results are smoothed.

    Attributes:
        min_cutoff_hz: cutoff for a hand at rest, 0 to `MOST_CUTOFF_HZ`: lower is steadier. 0 switches smoothing off
            [Hz].
        beta: how much the cutoff rises with speed [Hz per hand length a second]: higher is quicker. A movement at
            constant speed v comes out late by 1 / (2 pi (min_cutoff_hz + beta v)) seconds. One-Euro alone.
        smoother: which filter, one of `SMOOTHERS`.

    Raises:
        ParameterError: a value is out of range (it is named as the option is), or there is no such filter.
    """

    min_cutoff_hz: float = 0.0
    beta: float = 4.0
    smoother: str = "one-euro"

    def __post_init__(self) -> None:
        if self.smoother not in SMOOTHERS:
            raise ParameterError(f"smoother is {self.smoother!r}, expected {', '.join(SMOOTHERS)}")
        if not 0 <= self.min_cutoff_hz <= MOST_CUTOFF_HZ:
            raise ParameterError(f"smooth_min_cutoff_hz is {self.min_cutoff_hz}, expected 0 to {MOST_CUTOFF_HZ:g}")
        if not 0 <= self.beta < float("inf"):
            raise ParameterError(f"smooth_beta is {self.beta}, expected 0 or more, and finite")


STILL = SmoothConfig(SHAPE_CUTOFF_HZ, 0.0)
"""How a hand's shape is smoothed."""


class Filtered(NamedTuple):
    """State of a filter: (..., D) smoothed points, the points as measured, and their smoothed speed [units/s]."""

    value: FloatArray
    measured: FloatArray
    speed: FloatArray


def one_euro(
    state: Filtered | None, measured: FloatArray, elapsed_s: float, config: SmoothConfig, unit: float
) -> Filtered:
    """One step of the filter on points; each point has a speed of its own, whatever its direction.

    The speed is that of the measurements. The paper's listing takes the way from the last *smoothed* value, which makes
    the cutoff depend on the frame rate.

    Args:
        state: after the last step; None takes `measured` as it is.
        measured: (..., D).
        elapsed_s: since the last step; at 0 the answer stays.
        config: cutoffs.
        unit: length of a hand, in units of `measured`.
    """
    if state is None:
        return Filtered(measured, measured, np.zeros_like(measured))
    if elapsed_s <= 0:
        return state
    raw = (measured - state.measured) / elapsed_s
    speed = state.speed + _share(SPEED_CUTOFF_HZ, elapsed_s) * (raw - state.speed)
    cutoff = config.min_cutoff_hz + config.beta * np.linalg.norm(speed, axis=-1, keepdims=True) / unit
    return Filtered(state.value + _share(cutoff, elapsed_s) * (measured - state.value), measured, speed)


class Steady(NamedTuple):
    """What the filters of a hand say: (16, 9) rotation matrices, (3,) wrist [m], (21, 2) keypoints [px]."""

    rotations: FloatArray
    root: FloatArray
    keypoints: FloatArray


class HandStates(NamedTuple):
    """The Kalman filters of a hand after a frame: 16 rotation matrices, the wrist [m], 21 keypoints [px]."""

    rotations: State
    root: State
    keypoints: State

    @property
    def steady(self) -> Steady:
        """What they say of this frame by those before it."""
        return Steady(self.rotations.value, self.root.value[0], self.keypoints.value)


def followed(
    before: HandStates | None, hand: DecodedHand | HandEstimate, elapsed_s: float, cutoff_hz: float
) -> HandStates:
    """One step of a hand's Kalman filters.

    Args:
        before: after the frame before; None begins anew.
        hand: as measured.
        elapsed_s: since then [s].
        cutoff_hz: `SmoothConfig.min_cutoff_hz`.
    """
    rotations, root, keypoints = before or (None, None, None)
    length_px, spread = _length_px(hand), _spread(hand)
    finger = np.array([spread[list(joints)].mean() for joints in _MOVED])
    matrices = np.asarray(hand.rotations, np.float64).reshape(NUM_MANO_JOINTS, 9)
    wrist, places = np.asarray(hand.joints_m[:1], np.float64), np.asarray(hand.keypoints_px, np.float64)
    rest_hz = CUTOFFS * cutoff_hz
    turns = Dynamics(rest_hz, TURN * TYPICAL, np.sqrt(2), QUICKER)
    metres, pixels = (Dynamics(rest_hz, unit * TYPICAL, unit, QUICKER) for unit in (HAND_LENGTH_M, length_px))
    return HandStates(
        kalman(rotations, matrices, elapsed_s, turns, TURN * finger),
        kalman(root, wrist, elapsed_s, metres, HAND_LENGTH_M * spread.mean()),
        kalman(keypoints, places, elapsed_s, pixels, length_px * spread),
    )


def hindsight(states: Sequence[HandStates]) -> Steady:
    """What the first of a hand's states that follow each other turns out to be, by all of them."""
    rotations, root, keypoints = (looked_back(parts) for parts in zip(*states, strict=True))
    return Steady(rotations, root[0], keypoints)


def posed_as(hand: DecodedHand, steady: Steady, betas: FloatArray, model: HandModel) -> DecodedHand:
    """A hand, posed anew.

    Args:
        hand: as decoded; `fit_error_px`, `visible` and what says how sure it is stay those of this frame alone.
        steady: its pose and place; rotations are brought back to the nearest ones.
        betas: (10,) its shape.
        model: of the hand's side, without forearm.
    """
    rotations = nearest_rotation(steady.rotations.reshape(NUM_MANO_JOINTS, 3, 3))
    posed = skin(model, rotations, betas)
    shift = steady.root - posed.joints[0]
    return replace(
        hand,
        keypoints_px=steady.keypoints,
        joints_m=posed.joints + shift,
        vertices_m=(posed.vertices + shift).astype(np.float32),
        rotations=rotations,
        betas=betas,
    )


class HandSmoother:
    """The filters of one hand; with smoothing off it hands everything through."""

    def __init__(self, config: SmoothConfig):
        self._config = config
        self._elapsed_s = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin anew, as after a change of side."""
        self._states: HandStates | None = None
        self._rotations: Filtered | None = None
        self._betas: Filtered | None = None
        self._root: Filtered | None = None
        self._keypoints: Filtered | None = None

    def use(self, config: SmoothConfig) -> None:
        """Go on with other cutoffs."""
        if not config.min_cutoff_hz:
            self.reset()  # it would be old when smoothing begins again
        self._config = config

    def start_frame(self, elapsed_s: float) -> None:
        """Time goes on, whether the hand is seen or not [s]."""
        self._elapsed_s += elapsed_s

    def smooth(self, hand: DecodedHand, model: HandModel) -> DecodedHand:
        """A hand seen in this frame, with smoothed pose, shape, place and keypoints.

        Rotations are averaged as matrices and brought back to the nearest rotation.

        Args:
            hand: as decoded; `fit_error_px`, `visible` and `position_std_m` stay those of this frame alone.
            model: of the hand's side, without forearm.
        """
        config, elapsed = self._config, self._elapsed_s
        self._elapsed_s = 0.0
        if not config.min_cutoff_hz:
            return hand
        self._betas = one_euro(self._betas, np.asarray(hand.betas, np.float64), elapsed, STILL, 1.0)
        if config.smoother == "kalman":
            self._states = followed(self._states, hand, elapsed, config.min_cutoff_hz)
            steady = self._states.steady
        else:
            steady = self._one_euro(hand, elapsed)
        return posed_as(hand, steady, self._betas.value, model)

    def _one_euro(self, hand: DecodedHand, elapsed: float) -> Steady:
        """A radian counts as much as a hand length, which is about the way of the fingertips in a turn of the wrist."""
        config = self._config
        matrices = np.asarray(hand.rotations, np.float64).reshape(NUM_MANO_JOINTS, 9)
        self._rotations = one_euro(self._rotations, matrices, elapsed, config, np.sqrt(2))
        self._root = one_euro(self._root, hand.joints_m[0], elapsed, config, HAND_LENGTH_M)
        self._keypoints = one_euro(self._keypoints, hand.keypoints_px, elapsed, config, _length_px(hand))
        return Steady(self._rotations.value, self._root.value, self._keypoints.value)


def _length_px(hand: DecodedHand | HandEstimate) -> float:
    return max(float(np.ptp(hand.keypoints_px, axis=0).max()), 1.0)


def _spread(hand: DecodedHand | HandEstimate) -> FloatArray:
    """(21,) standard deviations of the keypoints [hand lengths]."""
    if hand.keypoint_std_px is None:
        return np.full(NUM_JOINTS, TYPICAL)
    said = np.asarray(hand.keypoint_std_px, np.float64) / _length_px(hand)
    return np.clip(said, TYPICAL / RELIED, TYPICAL * RELIED)


def _moved() -> tuple[tuple[int, ...], ...]:
    """Of each of MANO's joints those that show how it is turned: its finger's, of the wrist all."""
    fingers = [[k for k, name in enumerate(JOINT_NAMES) if name.split("_")[0] == finger] for finger in _FINGERS]
    return (tuple(range(NUM_JOINTS)), *(tuple(joints) for joints in fingers for _ in range(3)))


_FINGERS = tuple(dict.fromkeys(name.rstrip("123").split("_")[0] for name in MANO_JOINT_NAMES[1:]))
_MOVED = _moved()


def _share(cutoff_hz: FloatArray | float, elapsed_s: float) -> FloatArray:
    """What a new value counts for: 1 / (1 + tau / elapsed) with tau = 1 / (2 pi cutoff)."""
    turn = 2 * np.pi * np.asarray(cutoff_hz) * elapsed_s
    return turn / (1 + turn)
