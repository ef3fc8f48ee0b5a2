"""Named hand poses: gestures that bare hands make, and the shapes that hands take to grasp."""

from dataclasses import dataclass

import numpy as np

from prehend.errors import UnknownName
from prehend.hand_model import HandModel
from prehend_training.assets.poses import Array, pose_from_angles

Bend = tuple[float, float, float]
_OPEN: Bend = (0, 3, 2)
_CLOSED: Bend = (78, 92, 56)


@dataclass(frozen=True)
class Gesture:
    """Angles [degrees]: flexion of each digit's joints from the palm outwards, and the knuckles' abduction.

    Attributes:
        index, middle, ring, little, thumb: flexion of three joints.
        spread: abduction of the knuckles of index, middle, ring, little (positive towards the thumb).
        thumb_out: abduction of the thumb's first joint, positive away from the index finger.
        thumb_twist: about the thumb's first bone.
    """

    index: Bend
    middle: Bend
    ring: Bend
    little: Bend
    thumb: Bend
    spread: tuple[float, float, float, float] = (0, 0, 0, 0)
    thumb_out: float = 0
    thumb_twist: float = 0


GESTURES = {
    "flat": Gesture(_OPEN, _OPEN, _OPEN, _OPEN, (-15, 0, 0), (-4, 0, 3, 6), thumb_out=-12),
    "relaxed": Gesture((18, 25, 14), (25, 30, 18), (28, 32, 20), (30, 32, 20), (5, 10, 12)),
    "spread": Gesture(_OPEN, _OPEN, _OPEN, _OPEN, (-20, -8, -8), (14, 3, -7, -16), thumb_out=15),
    "fist": Gesture(_CLOSED, _CLOSED, _CLOSED, _CLOSED, (17, 36, 55), thumb_out=-5, thumb_twist=3),
    "point": Gesture((0, 4, 3), _CLOSED, _CLOSED, _CLOSED, (26, 30, 45)),
    "two": Gesture(_OPEN, _OPEN, _CLOSED, _CLOSED, (34, 30, 45), (12, -10, 0, 0)),
    "three": Gesture(_OPEN, _OPEN, _CLOSED, _CLOSED, (-20, -5, -5), (10, 0, 0, 0), thumb_out=10),
    "four": Gesture(_OPEN, _OPEN, _OPEN, _OPEN, (38, 30, 35), (8, 2, -5, -12)),
    "thumb_up": Gesture(_CLOSED, _CLOSED, _CLOSED, _CLOSED, (-22, -10, -12), thumb_out=-10),
    "horns": Gesture(_OPEN, _CLOSED, _CLOSED, _OPEN, (30, 25, 40), (8, 0, 0, -12)),
    "call": Gesture(_CLOSED, _CLOSED, _CLOSED, _OPEN, (-22, -8, -8), (0, 0, 0, -14), thumb_out=15),
    "claw": Gesture((5, 55, 35), (5, 58, 36), (5, 58, 36), (5, 55, 35), (5, 20, 35), (10, 2, -5, -12)),
    "pinch": Gesture((52, 48, 27), (22, 20, 12), (15, 18, 10), (10, 15, 10), (17, 12, 7), thumb_out=2),
    "ok": Gesture(
        (46, 59, 36), (8, 8, 5), (0, 5, 5), (-5, 5, 0), (17, 17, 17), (0, 0, -5, -12), thumb_out=5, thumb_twist=2
    ),
    "tripod": Gesture((53, 40, 23), (55, 54, 24), (55, 60, 40), (50, 60, 35), (28, 20, -8), thumb_out=2),
    "key": Gesture((55, 70, 40), (62, 75, 45), (65, 78, 45), (65, 75, 45), (-5, 21, 17), thumb_out=-22),
    "mug": Gesture((42, 52, 32), (46, 52, 32), (48, 54, 34), (50, 54, 34), (12, 22, 25), thumb_out=8),
    "cylinder": Gesture((30, 42, 26), (32, 42, 26), (34, 44, 28), (36, 46, 28), (2, 15, 18), thumb_out=15),
    "hook": Gesture((25, 88, 50), (25, 90, 50), (25, 90, 50), (25, 85, 48), (5, 10, 15)),
    "plate": Gesture((62, 12, 8), (65, 12, 8), (66, 12, 8), (64, 12, 8), (12, 15, 5)),
    "ball": Gesture(
        (20, 38, 24), (18, 38, 24), (20, 38, 24), (22, 36, 24), (2, 12, 18), (14, 3, -7, -15), thumb_out=18
    ),
}


def gesture(model: HandModel, name: str) -> Array:
    """Rotations (16, 3, 3) of a named pose.

    Raises:
        UnknownName: there is no such pose.
        InvalidInput: the model has no joint axes.
    """
    if name not in GESTURES:
        raise UnknownName("gesture", name, GESTURES)
    angles = GESTURES[name]
    flex = np.array([*angles.index, *angles.middle, *angles.little, *angles.ring, *angles.thumb])
    abduct, twist = np.zeros(15), np.zeros(15)
    index, middle, ring, little = angles.spread
    abduct[[0, 3, 6, 9, 12]] = index, middle, little, ring, angles.thumb_out
    twist[12] = angles.thumb_twist
    return pose_from_angles(model, *np.radians([flex, abduct, twist]))
