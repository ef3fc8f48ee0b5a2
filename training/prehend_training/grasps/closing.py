"""Fingers that close until their skin meets an object, many hands at once."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend_training.grasps.field import Field
from prehend_training.grasps.hand import DIGIT_ROWS, hand_model, probe
from prehend_training.grasps.kinds import Kind

Array = NDArray[np.floating]

_PRESS_M = 0.0008
_STEPS = 9
_LOOSE = (0.3, 0.15, 0.15)
"""How far a finger goes on in each of the three stages where nothing is in its way."""


@dataclass(frozen=True)
class Hands:
    """N hands at one solid.

    Attributes:
        betas: (N, 10).
        angles: (N, 15, 3) flexion, abduction, twist [rad].
        T_object_hand: (N, 4, 4) [m].
        scale: (N, 3) stretch of the solid at each hand.
    """

    betas: Array
    angles: Array
    T_object_hand: Array
    scale: Array

    def __len__(self) -> int:
        return len(self.betas)

    def rows(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> "Hands":
        """Some of them."""
        return Hands(self.betas[chosen], self.angles[chosen], self.T_object_hand[chosen], self.scale[chosen])

    def with_angles(self, angles: Array) -> "Hands":
        """The same with other angles."""
        return replace(self, angles=angles)

    def moved(self, shift_m: Array) -> "Hands":
        """The same, moved by (N, 3) [m] in the object's frame."""
        T = self.T_object_hand.copy()
        T[:, :3, 3] += shift_m
        return replace(self, T_object_hand=T)


def felt(hands: Hands, field: Field) -> Array:
    """(N, F) distances [m] of the probe's skin to the solid."""
    points = probe().points(hands.angles, hands.betas)
    return field(to_object(hands.T_object_hand, points), hands.scale)


def to_object(T_object_hand: Array, points: Array) -> Array:
    """Points (N, P, 3) of the hands' frames in the object's."""
    return points @ T_object_hand[:, :3, :3].transpose(0, 2, 1) + T_object_hand[:, None, :3, 3]


def close(kind: Kind, hands: Hands, field: Field) -> Hands:
    """Close the fingers of a kind, and the thumb, from the knuckles outwards until each meets the solid."""
    limits = hand_model().limits_rad
    assert limits is not None
    most = limits[..., 1] * np.tile([0.8, 0.95, 0.8], 5)[:, None]
    angles = hands.angles
    for stage in range(3):
        target = angles.copy()
        for name in (*kind.fingers, "thumb"):
            rows = slice(DIGIT_ROWS[name] + stage, DIGIT_ROWS[name] + 3)
            target[:, rows, 0] = np.maximum(angles[:, rows, 0], most[rows, 0])
        angles = _stage(stage, hands.with_angles(angles), target, kind, field)
    return hands.with_angles(angles)


def _stage(stage: int, hands: Hands, target: Array, kind: Kind, field: Field) -> Array:
    """Angles (N, 15, 3) when each digit has gone towards its target as far as it can."""
    shares = np.linspace(0, 1, _STEPS)[:, None, None]
    path = hands.angles[:, None] + shares * (target - hands.angles)[:, None]
    count = len(hands)
    many = Hands(
        *(np.repeat(part, _STEPS, 0) for part in (hands.betas, hands.angles, hands.T_object_hand, hands.scale))
    )
    distance = felt(many.with_angles(path.reshape(-1, 15, 3)), field).reshape(count, _STEPS, -1)
    hand, angles = probe(), hands.angles.copy()
    for name in (*kind.fingers, "thumb"):
        first = DIGIT_ROWS[name]
        moving = (hand.digit == first) & (hand.segment >= stage)
        share = first_touch(distance[:, :, moving].min(2), _LOOSE[stage])
        angles[:, first : first + 3] += share[:, None, None] * (target - hands.angles)[:, first : first + 3]
    return angles


def first_touch(distance: Array, loose: float) -> Array:
    """(N,) share of a path of distances (N, S) at which it first falls to the pressed depth; `loose` where never."""
    inside = distance < -_PRESS_M
    k = inside.argmax(1)
    row = np.arange(len(distance))
    before, after = distance[row, np.maximum(k - 1, 0)] + _PRESS_M, distance[row, k] + _PRESS_M
    between = np.where(k > 0, before / np.where(np.abs(before - after) < 1e-9, 1.0, before - after), 0.0)
    share = np.where(k > 0, (k - 1 + between) / (distance.shape[1] - 1), 0.0)
    return np.where(inside.any(1), share, loose)
