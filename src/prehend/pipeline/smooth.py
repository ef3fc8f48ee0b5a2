"""Steady hands: the One-Euro filter (Casiez et al., CHI 2012) on a hand's pose, its place and its keypoints.

A low-pass filter whose cutoff rises with speed: a hand that rests is held still, one that moves is followed with little
delay. The hand is posed anew from its smoothed pose, so that joints, mesh and wrist go on belonging together.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from prehend.conventions import NUM_MANO_JOINTS
from prehend.errors import ParameterError
from prehend.geometry.rotations import nearest_rotation
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin
from prehend.pipeline.decode import DecodedHand
from prehend.types import FloatArray

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
        min_cutoff_hz: cutoff for a hand at rest: lower is steadier. 0 switches smoothing off [Hz].
        beta: how much the cutoff rises with speed [Hz per hand length a second]: higher is quicker. A movement at
            constant speed v comes out late by 1 / (2 pi (min_cutoff_hz + beta v)) seconds.

    Raises:
        ParameterError: a value is negative or not finite.
    """

    min_cutoff_hz: float = 0.0
    beta: float = 4.0

    def __post_init__(self) -> None:
        for name in ("min_cutoff_hz", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ParameterError(f"smooth {name} is {getattr(self, name)}, expected 0 or more")


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


class HandSmoother:
    """The filters of one hand; with smoothing off it hands everything through."""

    def __init__(self, config: SmoothConfig):
        self._config = config
        self._elapsed_s = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin anew, as after a change of side."""
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

        Rotations are averaged as matrices and brought back to the nearest rotation; a radian counts as much as a hand
        length, which is about the way of the fingertips in a turn about the wrist.

        Args:
            hand: as decoded; `fit_error_px`, `visible` and `position_std_m` stay those of this frame alone.
            model: of the hand's side, without forearm.
        """
        config, elapsed = self._config, self._elapsed_s
        self._elapsed_s = 0.0
        if not config.min_cutoff_hz:
            return hand
        length_px = max(float(np.ptp(hand.keypoints_px, axis=0).max()), 1.0)
        still = SmoothConfig(SHAPE_CUTOFF_HZ, 0.0)
        matrices = np.asarray(hand.rotations, np.float64).reshape(NUM_MANO_JOINTS, 9)
        self._rotations = one_euro(self._rotations, matrices, elapsed, config, np.sqrt(2))
        self._betas = one_euro(self._betas, np.asarray(hand.betas, np.float64), elapsed, still, 1.0)
        self._root = one_euro(self._root, hand.joints_m[0], elapsed, config, HAND_LENGTH_M)
        self._keypoints = one_euro(self._keypoints, hand.keypoints_px, elapsed, config, length_px)
        rotations = nearest_rotation(self._rotations.value.reshape(NUM_MANO_JOINTS, 3, 3))
        posed = skin(model, rotations, self._betas.value)
        shift = self._root.value - posed.joints[0]
        return replace(
            hand,
            keypoints_px=self._keypoints.value,
            joints_m=posed.joints + shift,
            vertices_m=(posed.vertices + shift).astype(np.float32),
            rotations=rotations,
            betas=self._betas.value,
        )


def _share(cutoff_hz: FloatArray | float, elapsed_s: float) -> FloatArray:
    """What a new value counts for: 1 / (1 + tau / elapsed) with tau = 1 / (2 pi cutoff)."""
    turn = 2 * np.pi * np.asarray(cutoff_hz) * elapsed_s
    return turn / (1 + turn)
