"""Balls along the bones that tell quickly whether digits of a posed hand go into each other or into the palm."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.hand_model import HandModel, skin

_PALM = -1
_THUMB_BASE = 13  # its flesh is the palm's: the two fold, they do not meet
_PER_BONE = (0.1, 0.3, 0.5, 0.7, 0.88)
_WEB = 0.6  # up to here along the first bone of a digit the skin around it is shared
_RING = 20
_PALM_STEPS = (0.36, 0.56, 0.76)  # along the metacarpals of the four fingers


class Balls(NamedTuple):
    """Balls in the zero pose.

    Attributes:
        centers: (B, 3) [m].
        radii: (B,) [m].
        joint: (B,) joint of MANO's order that carries the ball.
        pairs: (P, 2) balls of different digits, or of a digit and the palm, that must not meet.
        allowed: (P,) depth [m] by which a pair overlaps in the zero pose already.
    """

    centers: NDArray[np.float64]
    radii: NDArray[np.float64]
    joint: NDArray[np.int64]
    pairs: NDArray[np.int64]
    allowed: NDArray[np.float64]


def penetration(model: HandModel, rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """How deep the digits of the mean hand go into each other or the palm.

    Args:
        model: the hand.
        rotations: (N, 16, 3, 3) of its joints.

    Returns:
        (N,) depth [m] of the worst pair of balls, 0 where nothing meets.
    """
    balls = fit_balls(model)
    spin = np.asarray(rotations, np.float64).copy()
    places = np.empty((len(spin), 16, 3))
    joints = model.joints_template.astype(np.float64)
    places[:, 0] = joints[0]
    for j in range(1, 16):
        parent = 0 if j % 3 == 1 else j - 1
        spin[:, j] = spin[:, parent] @ spin[:, j]
        places[:, j] = places[:, parent] + spin[:, parent] @ (joints[j] - joints[parent])
    local = balls.centers - joints[balls.joint]
    centers = places[:, balls.joint] + (spin[:, balls.joint] @ local[..., None])[..., 0]
    return np.maximum(_overlap(centers, balls.radii, balls.pairs) - balls.allowed, 0).max(1)


@lru_cache(maxsize=4)
def fit_balls(model: HandModel) -> Balls:
    """Put balls along the bones and make them as large as the flesh around them allows."""
    rest = skin(model, np.tile(np.eye(3), (16, 1, 1)), np.zeros(10))
    points = rest.joints.astype(np.float64)
    owner = model.weights.argmax(1)
    centers, radii, joint, digit = [], [], [], []
    for finger, chain in enumerate((4, 0, 1, 3, 2)):  # thumb first, as among the 21 joints
        for part in range(3):
            start, end = points[1 + 4 * finger + part], points[2 + 4 * finger + part]
            for step in _PER_BONE:
                center = start + step * (end - start)
                if part > 0 or step > _WEB:
                    center = _middle(center, end - start, rest.vertices[np.isin(owner, 3 * chain + 1 + np.arange(3))])
                centers.append(center)
                radii.append(_thickness(center, rest.vertices))
                joint.append(3 * chain + 1 + part)
                digit.append(finger)
        if finger > 0:
            knuckle = points[1 + 4 * finger]
            for step in _PALM_STEPS:
                centers.append(points[0] + step * (knuckle - points[0]))
                radii.append(_thickness(centers[-1], rest.vertices))
                joint.append(0)
                digit.append(_PALM)
    place, radius, owner_digit = np.array(centers), np.array(radii), np.array(digit)
    first, second = np.triu_indices(len(place), 1)
    apart = owner_digit[first] != owner_digit[second]
    bone = np.array(joint)
    apart &= ~((np.minimum(bone[first], bone[second]) == 0) & (np.maximum(bone[first], bone[second]) == _THUMB_BASE))
    pairs = np.stack([first[apart], second[apart]], 1)
    allowed = np.maximum(_overlap(place[None], radius, pairs)[0], 0)
    return Balls(place, radius, bone, pairs, allowed)


def _middle(
    center: NDArray[np.floating], bone: NDArray[np.floating], flesh: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The middle of the slice of flesh around a point of a bone; bones lie nearer to the back of a digit."""
    direction = bone / np.linalg.norm(bone)
    along = (flesh - center) @ direction
    ring = flesh[np.argsort(np.abs(along), kind="stable")[:_RING]]
    middle = (ring.min(0) + ring.max(0)) / 2
    return middle - ((middle - center) @ direction) * direction


def _thickness(center: NDArray[np.floating], skin_points: NDArray[np.floating]) -> float:
    """Radius [m] of the largest ball around a point that stays in the flesh."""
    return float(np.linalg.norm(skin_points - center, axis=1).min())


def _overlap(centers: NDArray[np.float64], radii: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, P) depth of pairs of balls at (N, B, 3), negative where they are apart."""
    gap = np.linalg.norm(centers[:, pairs[:, 0]] - centers[:, pairs[:, 1]], axis=2)
    return radii[pairs].sum(1) - gap
