"""When a hand of a rendered film truly holds its object.

`HandLabel.grasp` says that the object has moved since the film began and is touched. Two things of it are not what
`GRASP_DEFINITION` means. A hand that lets go touches its object for up to 0.3 s more, with one finger or with several,
while the others open and even while it goes away, and the object stays where it is. And a hand that only touches what
was put down before touches something that rests where it lies. So the object has to leave the pose in which this hand
found it, and fingertips stay on it as they were then, to the 10 mm of the definition.
"""

import numpy as np

from prehend.conventions import TIP_JOINTS
from prehend.geometry.rotations import geodesic_angle
from prehend.types import FloatArray
from prehend_training.sample import HandLabel, Sample

LEFT_M = 0.01
"""Fingertips that have gone farther over the object than this, in the mean, have let it go [m]."""

MOVED_M, MOVED_RAD = 0.01, np.deg2rad(5.0)
"""An object that has moved or turned by more since a hand touched it goes with the hand, see `GRASP_DEFINITION`."""


class HeldTruth:
    """One hand, frame by frame."""

    def __init__(self) -> None:
        self._tips_m: FloatArray | None = None
        self._found: dict[int, FloatArray] = {}

    def step(self, picture: Sample, label: HandLabel) -> bool:
        """Whether it holds something: its label says so, the object has left the pose in which the hand found it or let
        go of it, and its fingertips are on the object where they were when that began to move."""
        number = label.object_index if _touches(label) else None
        poses = {k: _in_world(picture, k) for k in range(len(picture.objects))}
        self._found |= {k: pose for k, pose in poses.items() if k != number or k not in self._found}
        if not label.grasp or number is None or not _went(self._found[number], poses[number]):
            self._tips_m = None
            return False
        T = np.linalg.inv(picture.objects[number].T_camera_object)
        tips_m = label.joints_m[list(TIP_JOINTS)] @ T[:3, :3].T + T[:3, 3]
        if self._tips_m is None:
            self._tips_m = tips_m
        if float(np.linalg.norm(tips_m - self._tips_m, axis=1).mean()) <= LEFT_M:
            return True
        self._tips_m, self._found[number] = None, poses[number]  # it may take it again without a moment apart
        return False


def _touches(label: HandLabel) -> bool:
    """Labels that tell nothing of contact tell of the grasp."""
    return bool(label.grasp) if label.contact is None else bool(label.contact.any())


def _in_world(picture: Sample, number: int) -> FloatArray:
    return np.asarray(np.linalg.inv(picture.T_camera_world) @ picture.objects[number].T_camera_object)


def _went(before: FloatArray, now: FloatArray) -> bool:
    turned = float(geodesic_angle(before[:3, :3], now[:3, :3]))
    return float(np.linalg.norm(now[:3, 3] - before[:3, 3])) > MOVED_M or turned > MOVED_RAD
