"""When a hand of a rendered film truly holds its object.

`HandLabel.grasp` says that the object has moved and is touched. A hand that lets go touches it for up to 0.3 s more,
with one finger or with several, while the others open and even while it goes away, and the object stays where it is.
So that the object still moves with the hand is asked of both ends alike, with the 10 mm of `GRASP_DEFINITION`.
"""

import numpy as np

from prehend.conventions import TIP_JOINTS
from prehend.types import FloatArray
from prehend_training.sample import HandLabel, Sample

LEFT_M = 0.01
"""Fingertips that have gone farther over the object than this, in the mean, have let it go [m]."""


class HeldTruth:
    """One hand, frame by frame."""

    def __init__(self) -> None:
        self._tips_m: FloatArray | None = None
        self._has_left = False

    def step(self, picture: Sample, label: HandLabel) -> bool:
        """Whether it holds something: its label says so, and its fingertips are on the object where they were when that
        began to move."""
        if not label.grasp or label.object_index is None:
            self._tips_m, self._has_left = None, False
            return False
        T = np.linalg.inv(picture.objects[label.object_index].T_camera_object)
        tips_m = label.joints_m[list(TIP_JOINTS)] @ T[:3, :3].T + T[:3, 3]
        if self._tips_m is None:
            self._tips_m = tips_m
        gone_m = float(np.linalg.norm(tips_m - self._tips_m, axis=1).mean())
        self._has_left = self._has_left or gone_m > LEFT_M
        return not self._has_left
