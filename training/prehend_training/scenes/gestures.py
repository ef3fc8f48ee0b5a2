"""Angles of bare hands: gestures with names, shaken, and free natural poses."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import FINGERS
from prehend_training.assets.poses import sample_angles

Array = NDArray[np.floating]

FINGER_ROWS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
"""First of each digit's three rows among the 15 finger joints (MANO's order)."""

_STRAIGHT, _FOLDED = (0, 3, 2), (85, 98, 55)
_BENDS = {
    "0": _STRAIGHT,
    "1": _FOLDED,
    "h": (35, 45, 25),
    "c": (62, 38, 18),
    "f": (75, 8, 5),
    "k": (5, 95, 60),
    "p": (50, 48, 22),
}
"""Flexion of a finger [deg] at its three joints: straight, folded, half, cupped, flat bent, hooked, pinching."""

# thumb [deg]: flexion and abduction of the first joint, flexion of the second and third
_THUMBS = {
    "out": (-18, 5, 0, 0),
    "up": (-20, -18, -5, -12),
    "beside": (0, -18, 5, 5),
    "across": (35, 5, 45, 40),
    "over": (24, 22, 38, 55),
    "wrap": (28, 28, 40, 40),
    "oppose": (14, 32, 10, 22),
    "free": (-5, 10, 10, 15),
}
# four letters: index, middle, ring, little; then the thumb
_GESTURES = (
    ("0000", "out"), ("0000", "beside"), ("0000", "free"), ("0000", "free"), ("1111", "over"), ("1111", "wrap"), ("1111", "up"),
    ("1111", "beside"), ("0111", "over"), ("0111", "wrap"), ("0111", "out"), ("0011", "wrap"), ("0011", "over"), ("0001", "over"),
    ("0001", "wrap"), ("0000", "across"), ("0110", "wrap"), ("0110", "out"), ("1110", "out"), ("1110", "over"), ("p000", "oppose"),
    ("p000", "oppose"), ("pp00", "oppose"), ("ppp0", "oppose"), ("cccc", "oppose"), ("cccc", "free"), ("hhhh", "free"),
    ("hhhh", "oppose"), ("ffff", "oppose"), ("kkkk", "beside"), ("0hhh", "oppose"), ("phhh", "oppose"), ("p111", "oppose"), ("1011", "over"),
    ("0hhh", "free"), ("h111", "over"),
)  # fmt: skip


def sample_bare(rng: np.random.Generator, limits_rad: Array) -> Array:
    """(15, 3) flexion, abduction, twist [rad] of a bare hand: half gestures, half free poses."""
    if rng.random() < 0.45:
        return sample_angles(rng, 1, limits_rad)[0]
    return shaken(rng, gesture(*_GESTURES[rng.integers(len(_GESTURES))]), limits_rad)


def gesture(fingers: str, thumb: str) -> Array:
    """(15, 3) angles [rad] of a gesture: a letter of `_BENDS` for each finger, a name of `_THUMBS`."""
    angles = np.zeros((15, 3))
    for finger, letter in zip(FINGERS[1:], fingers, strict=True):
        row = FINGER_ROWS[finger]
        angles[row : row + 3, 0] = _BENDS[letter]
    first, spread, second, third = _THUMBS[thumb]
    angles[12:, 0] = first, second, third
    angles[12, 1] = spread
    return np.deg2rad(angles)


def shaken(rng: np.random.Generator, angles: Array, limits_rad: Array, strength: float = 1.0) -> Array:
    """The pose with noise: all fingers together, each finger, each joint; inside the limits."""
    deg = np.pi / 180 * strength
    shaken_angles = angles.copy()
    fingers = shaken_angles[:12].reshape(4, 3, 3)
    fingers[..., 0] += rng.normal(0, 6 * deg) + rng.normal(0, 5 * deg, (4, 1)) + rng.normal(0, 5 * deg, (4, 3))
    room = np.clip(1 - fingers[:, 0, 0] / 1.6, 0.1, 1)
    # rows: index, middle, little, ring
    fan = rng.normal(3 * deg, 8 * deg) * np.array([1.0, 0.2, -1.1, -0.5])
    fingers[:, 0, 1] += room * (fan + rng.normal(0, 3 * deg, 4))
    shaken_angles[12:, 0] += rng.normal(0, 7 * deg, 3)
    shaken_angles[12, 1:] += rng.normal(0, 7 * deg, 2)
    return np.clip(shaken_angles, limits_rad[..., 0], limits_rad[..., 1])
