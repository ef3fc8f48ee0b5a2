"""Angles of bare hands: named gestures, shaken and mixed, and free natural poses."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.assets.contact import penetration
from prehend_training.assets.gestures import GESTURES
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles, sample_angles
from prehend_training.scenes.body import drawn_hand

Array = NDArray[np.floating]
Rng = np.random.Generator

FINGER_ROWS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
"""First of each digit's three rows among the 15 finger joints (MANO's order)."""

_FAVOURITES = ("flat", "spread", "relaxed", "fist", "point", "pinch", "ok", "thumb_up", "two")
_TRIES = 5


def sample_bare(rng: Rng) -> tuple[Array, Array]:
    """Angles (15, 3) [rad] and rotations (16, 3, 3) of a bare hand whose digits do not pierce each other.

    A third are free poses, the others named gestures with noise, some of them mixed. The tries are bounded, so a few
    in a thousand do touch themselves too deeply.
    """
    model = drawn_hand()
    assert model.limits_rad is not None
    for _ in range(_TRIES):
        if rng.random() < 0.35:
            angles = sample_angles(rng, 1, model.limits_rad)[0]
        else:
            angles = shaken(rng, _mixed(rng), model.limits_rad)
        rotations = pose_from_angles(model, angles[:, 0], angles[:, 1], angles[:, 2])
        if penetration(model, rotations[None])[0] <= MAX_PENETRATION_M:
            break
    return angles, rotations


def _mixed(rng: Rng) -> Array:
    """A named gesture; sometimes one on its way to another, sometimes with the thumb of another."""
    names = sorted(GESTURES)
    first = gesture_angles(str(rng.choice(_FAVOURITES) if rng.random() < 0.5 else rng.choice(names)))
    kind = rng.random()
    if kind < 0.6:
        return first
    other = gesture_angles(str(rng.choice(names)))
    if kind < 0.85:
        return first + rng.uniform(0, 1) * (other - first)
    share = np.repeat(rng.uniform(0, 1, 5), 3)[:, None]
    return first + share * (other - first)


@lru_cache(maxsize=64)
def gesture_angles(name: str) -> Array:
    """(15, 3) flexion, abduction, twist [rad] of a gesture of `assets.gestures`."""
    gesture = GESTURES[name]
    angles = np.zeros((15, 3))
    for finger, row in FINGER_ROWS.items():
        angles[row : row + 3, 0] = getattr(gesture, finger)
    for row, spread in zip((0, 3, 9, 6), gesture.spread, strict=True):
        angles[row, 1] = spread
    angles[12, 1:] = gesture.thumb_out, gesture.thumb_twist
    return np.deg2rad(angles)


def shaken(rng: Rng, angles: Array, limits_rad: Array) -> Array:
    """The pose with noise: all fingers together, each finger, each joint; inside the limits."""
    deg = np.pi / 180 * rng.uniform(0.3, 1.3)
    result = angles.copy()
    fingers = result[:12].reshape(4, 3, 3)
    fingers[..., 0] += rng.normal(0, 6 * deg) + rng.normal(0, 5 * deg, (4, 1)) + rng.normal(0, 5 * deg, (4, 3))
    room = np.clip(1 - fingers[:, 0, 0] / 1.6, 0.1, 1)  # bent fingers cannot spread
    fan = rng.normal(2 * deg, 8 * deg) * np.array([1.0, 0.2, -1.1, -0.5])  # rows: index, middle, little, ring
    fingers[:, 0, 1] += room * (fan + rng.normal(0, 3 * deg, 4))
    result[12:, 0] += rng.normal(0, 7 * deg, 3)
    result[12, 1:] += rng.normal(0, 7 * deg, 2)
    return np.clip(result, limits_rad[..., 0], limits_rad[..., 1])
