"""The pose of a held object over time: it moves with the hand that holds it, and hardly against it."""

import math
from collections.abc import Sequence

import numpy as np

from prehend.geometry.rotations import nearest_rotation
from prehend.object_catalogue import ObjectModel, Symmetry
from prehend.pipeline.smoothing.smooth import Filtered, SmoothConfig, one_euro
from prehend.types import FloatArray

FORGET_S = 0.5
"""After this long without a pose the next one counts as a new grasp [s]."""

EVIDENCE_TRUST, EVIDENCE_LIMIT, EVIDENCE_KEPT = 0.5, 4.0, 0.95
"""What a frame's log-odds of a candidate count for, the most that they may be, and what is kept of those before."""

_AXES = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}


class HeldSmoother:
    """Low-pass filter on the pose of an object against the hand that holds it.

    The hand's own pose is smoothed apart from this (`smooth.HandSmoother`), with little delay; the object takes it over
    and follows the hand's every move, while the error of its own pose is averaged over 1 / (2 pi cutoff) seconds.
    `SmoothConfig.min_cutoff_hz` is the cutoff; at 0 poses are handed through.
    """

    def __init__(self, config: SmoothConfig):
        self._config = SmoothConfig(config.min_cutoff_hz, 0.0)
        self._elapsed_s = 0.0
        self._evidence: FloatArray | None = None
        self.reset()

    @property
    def candidates(self) -> FloatArray | None:
        """(K,) log-odds of each candidate, over the frames since the object was taken; None before the first."""
        return self._evidence

    def add_evidence(self, log_odds: Sequence[float]) -> None:
        """Take in a frame; frames that follow each other err together, so that each counts for little."""
        added = EVIDENCE_TRUST * np.clip(log_odds, -EVIDENCE_LIMIT, EVIDENCE_LIMIT)
        before = np.zeros(len(added)) if self._evidence is None else self._evidence
        self._evidence = EVIDENCE_KEPT * before + added

    def reset(self) -> None:
        """Begin anew: the object was let go, or another hand holds it."""
        self._evidence = None
        self._center: Filtered | None = None
        self._rotation: Filtered | None = None

    def use(self, config: SmoothConfig) -> None:
        """Go on with another cutoff."""
        if not config.min_cutoff_hz:
            self._center = self._rotation = None
        self._config = SmoothConfig(config.min_cutoff_hz, 0.0)

    def start_frame(self, elapsed_s: float) -> None:
        """Time goes on, whether the object is seen or not [s]."""
        self._elapsed_s += elapsed_s

    def smooth(
        self, T_camera_object: FloatArray, measured: FloatArray, smoothed: FloatArray, model: ObjectModel
    ) -> FloatArray:
        """The object's pose, smoothed.

        Args:
            T_camera_object: (4, 4) as measured in this frame.
            measured: (4, 4) T_camera_hand as measured in this frame.
            smoothed: (4, 4) T_camera_hand as it is shown.
            model: of the object: of the turns after which it looks the same, the one nearest to the last pose counts.

        Returns:
            (4, 4) T_camera_object that goes with `smoothed`.
        """
        elapsed, self._elapsed_s = self._elapsed_s, 0.0
        if not self._config.min_cutoff_hz:
            return T_camera_object
        if elapsed > FORGET_S:
            self.reset()
        R, center = T_camera_object[:3, :3], T_camera_object[:3, :3] @ model.center_m + T_camera_object[:3, 3]
        R_hand = measured[:3, :3].T
        rotation, place = R_hand @ R, R_hand @ (center - measured[:3, 3])
        if self._rotation is not None:
            last = nearest_rotation(self._rotation.value.reshape(3, 3))
            rotation = nearest_turn(rotation, last, model.symmetry)
        self._rotation = one_euro(self._rotation, rotation.reshape(9), elapsed, self._config, 1.0)
        self._center = one_euro(self._center, place, elapsed, self._config, 1.0)
        T = np.eye(4)
        T[:3, :3] = smoothed[:3, :3] @ nearest_rotation(self._rotation.value.reshape(3, 3))
        T[:3, 3] = smoothed[:3, :3] @ self._center.value + smoothed[:3, 3] - T[:3, :3] @ model.center_m
        return T


def nearest_turn(R: FloatArray, last: FloatArray, symmetry: Symmetry) -> FloatArray:
    """(3, 3) of the rotations that look like `R` for an object with this symmetry, the one nearest to `last`."""
    turns = symmetry.turns()
    group = {(a @ b).round().tobytes(): a @ b for a in turns for b in turns}
    options: list[FloatArray] = [R @ turn for turn in group.values()]
    if symmetry.continuous is not None:
        options = [_turned_towards(option, last, *_AXES[symmetry.continuous]) for option in options]
    return max(options, key=lambda option: float(np.trace(last.T @ option)))


def _turned_towards(R: FloatArray, last: FloatArray, i: int, j: int) -> FloatArray:
    """(3, 3) `R` after the turn in the plane of axes i and j that brings it nearest to `last`."""
    M = last.T @ R
    angle = math.atan2(M[i, j] - M[j, i], M[i, i] + M[j, j])
    turn = np.eye(3)
    turn[[i, j], [i, j]] = math.cos(angle)
    turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
    return R @ turn


def wrist_pose(rotations: FloatArray, joints_m: FloatArray) -> FloatArray:
    """(4, 4) T_camera_hand at the wrist, from (16, 3, 3) rotations and (21, 3) joints of a hand."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotations[0], joints_m[0]
    return T
