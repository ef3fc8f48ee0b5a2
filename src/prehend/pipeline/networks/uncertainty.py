"""How far each joint may be off: the network's own word in pixels, as a distance that was held against the truth.

The numbers were fitted by `prehend-train spread unihope-s --data DIR` on `prehend-train scenes --kind sequences
--count 44 --seed 391 --size 480 --asset-split held-out` (4,963 looks at hands, own detector, one frame, the run `u7` of
training/RUNS.md). Of the errors .68 are within one, of seen joints and of hidden ones; of films that a fit has not seen
.67 of both. How long a joint has been hidden changes nothing while its hand is seen: every
frame guesses it anew (docs/TIME.md). What is carried on without being seen goes off as hands move.
"""

import numpy as np

from prehend.conventions import NUM_JOINTS, TIP_JOINTS
from prehend.types import FloatArray, HandEstimate

KNUCKLES = (1, 5, 9, 13, 17)
KNUCKLE, MIDDLE, TIP = range(3)
JOINT_CLASS = np.array(
    [KNUCKLE if j in (0, *KNUCKLES) else TIP if j in TIP_JOINTS else MIDDLE for j in range(NUM_JOINTS)]
)
"""Of each of the 21 joints; the wrist, from which all is measured, has no error of its own here."""

SAID_M = 0.008
"""Standard deviation of a keypoint, as a distance at the hand, at which `SPREAD` is told [m]."""

SPREAD = {
    "seen": ((0.0244, 0.473), (0.0357, 0.601), (0.0405, 0.558)),
    "hidden": ((0.0254, 1.177), (0.0306, 0.717), (0.0342, 0.54)),
}
"""Of knuckles, middle joints and fingertips: distance that .68 of the errors are below where the network says `SAID_M`,
and the power with which it grows with what the network says [m], [-]."""

DRIFT_M_S = np.array([0.048, 0.084, 0.109])
"""How fast joints leave the places about the wrist in which they were last seen, of each class [m/s]."""


def joint_std(hand: HandEstimate) -> FloatArray | None:
    """(21,) distance from a joint's true place about the wrist that .68 of the errors are below [m]; 0 for the wrist,
    whose own is `position_std_m`. None of weights that do not say how sure their keypoints are. Of hands that depth
    measured it is that of the fit, see `fingers`."""
    if hand.measured:
        return hand.joint_std_m
    if hand.keypoint_std_px is None:
        return None
    said = np.asarray(hand.keypoint_std_px, np.float64) * metres_per_pixel(hand.joints_m, hand.keypoints_px)
    numbers = np.array([SPREAD["hidden"], SPREAD["seen"]])[hand.visible.astype(int), JOINT_CLASS]
    std = numbers[:, 0] * (said / SAID_M) ** numbers[:, 1]
    std[0] = 0.0
    return np.asarray(std, np.float64)


def carried_std(std_m: FloatArray, unseen_s: float) -> FloatArray:
    """The same of joints that are where they were last seen, so long ago [s]."""
    moved = DRIFT_M_S[JOINT_CLASS] * unseen_s
    moved[0] = 0.0
    return np.hypot(std_m, moved)


def metres_per_pixel(joints_m: FloatArray, keypoints_px: FloatArray) -> float:
    """What a pixel is at the hand, of (21, 3) joints in the camera frame and (21, 2) keypoints [m]."""
    spread_m = np.linalg.norm(joints_m[:, :2] - joints_m[:, :2].mean(0))
    return float(spread_m / max(float(np.linalg.norm(keypoints_px - keypoints_px.mean(0))), 1e-6))
