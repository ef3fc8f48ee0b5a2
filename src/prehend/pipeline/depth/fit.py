"""How a hand lies by its depth: turned, sized and moved as a whole until skin and joints are where they are seen.

From one image a network tells how a hand is bent better than how it is turned towards the camera and how large it is.
Depth shows both: the skin lies on a measured surface (point to plane, Chen and Medioni, 1992; each point against the
depth at its own pixel, Blais and Levine, 1995), and at a known distance the places of the joints in the image are
lengths. All seven numbers are found together by Gauss-Newton, with weights that fall with the error (Geman and McClure,
1987), so that what lies before the hand and what it holds draw it nowhere.

None of the numbers here was fitted to weights: they say how a hand is built and roughly how far a network's answers are
off, and answers change little where they are halved or doubled.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.geometry.camera import plane_from_pixels
from prehend.pipeline.depth.skin import Skin, cross, measured
from prehend.pipeline.networks.uncertainty import JOINT_CLASS
from prehend.types import Camera, FloatArray

BENT_STD_M = np.array([0.004, 0.015, 0.03])
"""How far knuckles, middle joints and fingertips, with the skin around them, are off of a hand that lies right: fingers
are bent otherwise than the network says [m]."""

SKIN_STD_M = 0.006
"""How far skin is off the model's besides [m]."""

TURN_STD_RAD, SCALE_LOG_STD = 0.4, 0.12
"""How far a network's turn is off about an axis, and its size: twice as far as hands differ (`root.HAND_SIZE_STD`)."""

FREE_M = 100.0
"""The hand's place is free: that far off, so that there is always an answer [m]."""

LIKE_STD = 2.0
"""Keypoints of a hand err together: each counts as if its standard deviation were so many times as large."""

KEYPOINT_LIMIT = 2.0
"""Standard deviations from which the pull of a keypoint no longer grows (Huber)."""

HIDDEN_TRUST = 0.1
"""Weight of a keypoint that is not visible."""

REACHES_M = (0.06, 0.03, 0.02), (0.02, 0.015)
"""Error from which the pull of a point of the skin falls, in each step, before and after the visible skin is looked for
anew [m]; from `CUT` times as far away there is none."""

CUT = 3.0

MOST_TURN_RAD, MOST_LOG_SCALE = 1.0, 0.4
"""A hand that is turned or resized more than this is taken for another object."""


class Places(NamedTuple):
    """A hand's joints, where the network puts them and where it sees them.

    Attributes:
        joints_m: (21, 3) in the camera frame [m].
        seen: (21, 2) keypoints on the plane at the distance of the focal length, without distortion [px].
        std_px: (21,) their standard deviations.
        trust: (21,) weights, 0 for what no ray reaches.
        focal: (2,) [px].
    """

    joints_m: FloatArray
    seen: FloatArray
    std_px: FloatArray
    trust: FloatArray
    focal: FloatArray


class Lie(NamedTuple):
    """How a hand lies: turned and resized about its wrist, which is moved.

    Attributes:
        turn: (3, 3) in the camera frame.
        scale: of its size.
        wrist_m: (3,) where the wrist is [m].
        normal: (7, 7) inverse covariance of wrist [m], turn [rad] and logarithm of the scale.
    """

    turn: FloatArray
    scale: float
    wrist_m: FloatArray
    normal: FloatArray

    def arms(self, points_m: FloatArray, wrist_m: FloatArray) -> FloatArray:
        """(N, 3) from the wrist to points of the hand as it was, whose wrist was at `wrist_m`."""
        return np.asarray((points_m - wrist_m) @ (self.scale * self.turn.T))

    def before(self, skin: Skin, wrist_m: FloatArray) -> Skin:
        """Skin of the hand as it lies, where it was when the wrist was at `wrist_m`."""
        points = (skin.points_m - self.wrist_m) @ self.turn / self.scale + wrist_m
        return Skin(np.asarray(points), skin.normals @ self.turn, skin.joints, skin.corners)

    @property
    def sound(self) -> bool:
        """Whether it is finite and not beyond reason."""
        return bool(
            np.isfinite(self.wrist_m).all()
            and abs(np.log(self.scale)) < MOST_LOG_SCALE
            and (np.trace(self.turn) - 1) / 2 > np.cos(MOST_TURN_RAD)
        )


class WeightedErrors(NamedTuple):
    """Errors (N,) of one kind of measurement and their weights (N,)."""

    error: FloatArray
    weight: FloatArray


def places_of(
    joints_m: FloatArray, keypoints_px: FloatArray, std_px: FloatArray, visible: NDArray[np.bool_], camera: Camera
) -> Places:
    """See `Places`; the arguments are (21, ...) as of a decoded hand."""
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    seen = plane_from_pixels(keypoints_px, camera) * focal
    finite = np.isfinite(seen).all(-1)
    trust = np.where(visible, 1.0, HIDDEN_TRUST) * finite
    return Places(np.asarray(joints_m, np.float64), np.where(finite[:, None], seen, 0.0), std_px, trust, focal)


def at_rest(wrist_m: FloatArray) -> Lie:
    """A hand as the network says."""
    return Lie(np.eye(3), 1.0, np.asarray(wrist_m, np.float64), np.eye(7))


def lie(
    start: Lie,
    skin: Skin,
    places: Places,
    depth_m: FloatArray,
    camera: Camera,
    depth_std: float,
    reaches_m: tuple[float, ...],
) -> Lie | None:
    """How a hand lies, near where it is.

    Args:
        start: from where to go on.
        skin: of the hand as the network says.
        places: its joints, the same.
        depth_m: (H, W) aligned to the image, along the optical axis [m].
        camera: of the image.
        depth_std: standard deviation of the depth camera, in units of the depth.
        reaches_m: for each step, see `REACHES_M`.

    Returns:
        None where it would be turned, resized or moved beyond reason.
    """
    now = start
    prior = np.diag([*[FREE_M**-2] * 3, *[TURN_STD_RAD**-2] * 3, SCALE_LOG_STD**-2])
    for reach_m in reaches_m:
        rows = _skin_rows(skin, places, now, depth_m, camera, depth_std, reach_m), _joint_rows(places, now)
        away = np.array([0, 0, 0, *cv2.Rodrigues(now.turn)[0].ravel(), np.log(now.scale)])
        normal, pull = prior, prior @ away
        for J, (error, weight) in rows:
            weighted = J.T * weight
            normal, pull = normal + weighted @ J, pull + weighted @ error
        if not np.isfinite(normal).all():
            return None
        step = -np.linalg.solve(normal, pull)
        turn = cv2.Rodrigues(step[3:6])[0] @ now.turn
        now = Lie(turn, float(now.scale * np.exp(np.clip(step[6], -1, 1))), now.wrist_m + step[:3], normal)
        if not now.sound:
            return None
    return now


def skin_errors(skin: Skin, depth_m: FloatArray, camera: Camera, reach_m: float, std_m: FloatArray) -> WeightedErrors:
    """How far each point of the skin is off the measured surface, across the skin [m].

    The points around a joint count for one measurement together: they err together.

    Args:
        skin: where it is now.
        depth_m: (H, W) [m].
        camera: of the image.
        reach_m: see `REACHES_M`.
        std_m: (N,) how far the skin of a hand that lies right is off [m].
    """
    deep = skin.points_m[:, 2]
    behind = measured(depth_m, skin.points_m, camera) - deep
    kept = np.abs(behind) < CUT * reach_m  # NaN is not
    error = np.where(kept, (skin.normals * skin.points_m).sum(-1) * -behind / deep, 0.0)
    count = np.bincount(skin.joints[kept], minlength=len(JOINT_CLASS)).clip(1)
    return WeightedErrors(error, kept / (1 + (error / reach_m) ** 2) ** 2 / (std_m**2 * count[skin.joints]))


def keypoint_errors(places: Places, shown: FloatArray, std_px: FloatArray) -> WeightedErrors:
    """How far each joint, shown at (21, 2), is off its place in the image, x and y in turn [px].

    Args:
        places: where it is seen.
        shown: where it would be seen now [px].
        std_px: (21,) how far it is off of a hand that lies right [px].
    """
    error = shown - places.seen
    length = np.sqrt((error**2).sum(-1)) / std_px
    weight = places.trust / std_px**2 * np.minimum(1.0, KEYPOINT_LIMIT / np.maximum(length, 1e-12))
    return WeightedErrors(error.ravel(), np.repeat(weight, 2))


def _skin_rows(
    skin: Skin, places: Places, now: Lie, depth_m: FloatArray, camera: Camera, depth_std: float, reach_m: float
) -> tuple[FloatArray, WeightedErrors]:
    """Derivatives (N, 7) and errors of the skin."""
    arms, normals = now.arms(skin.points_m, places.joints_m[0]), skin.normals @ now.turn.T
    lying = Skin(arms + now.wrist_m, normals, skin.joints, skin.corners)
    J = np.empty((len(arms), 7))
    J[:, :3], J[:, 3:6], J[:, 6] = normals, cross(arms, normals), (normals * arms).sum(-1)
    bent, sensed = BENT_STD_M[JOINT_CLASS[skin.joints]], depth_std * lying.points_m[:, 2]
    return J, skin_errors(lying, depth_m, camera, reach_m, np.sqrt(bent**2 + SKIN_STD_M**2 + sensed**2))


def _joint_rows(places: Places, now: Lie) -> tuple[FloatArray, WeightedErrors]:
    """Derivatives (42, 7) and errors of the joints in the image."""
    arms = now.arms(places.joints_m, places.joints_m[0])
    points = arms + now.wrist_m
    deep = np.maximum(points[:, 2:], 1e-3)
    shown = points[:, :2] / deep * places.focal
    std = LIKE_STD * np.hypot(places.std_px, BENT_STD_M[JOINT_CLASS] * places.focal[0] / deep[:, 0])
    return _shown_by(arms, shown, places.focal, deep), keypoint_errors(places, shown, std)


def _shown_by(arms: FloatArray, shown: FloatArray, focal: FloatArray, deep: FloatArray) -> FloatArray:
    """(2 N, 7) derivatives of the places in the image (N, 2) of points with arms (N, 3) and depths (N, 1)."""
    J = np.zeros((len(arms), 2, 7))
    x, y, z = arms.T
    for axis in range(2):
        along, away = focal[axis] / deep[:, 0], -shown[:, axis] / deep[:, 0]
        J[:, axis, axis], J[:, axis, 2] = along, away
        J[:, axis, 3] = y * away  # a turn w moves a point by w x arm
        J[:, axis, 4] = -x * away
        J[:, axis, 6] = arms[:, axis] * along + z * away
    J[:, 0, 4] += z * J[:, 0, 0]
    J[:, 0, 5] = -y * J[:, 0, 0]
    J[:, 1, 3] -= z * J[:, 1, 1]
    J[:, 1, 5] = x * J[:, 1, 1]
    return J.reshape(-1, 7)
