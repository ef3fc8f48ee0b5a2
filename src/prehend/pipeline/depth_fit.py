"""How a hand lies by its depth: turned, sized and moved as a whole until skin and joints are where they are seen.

A network sees from one image how a hand is bent better than how it is turned towards the camera and how large it is. A
depth image shows both: the skin lies on a surface (point-to-plane ICP with projective association, Chen and Medioni,
1992; Blais and Levine, 1995), and at a known distance the joints' places in the image are a length. All seven numbers
are found together, by Gauss-Newton with weights that fall with the error (Geman and McClure, 1987).
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.geometry.camera import plane_from_pixels, project
from prehend.geometry.rotations import hat
from prehend.pipeline.uncertainty import JOINT_CLASS
from prehend.types import Camera, FloatArray

SKIN_STD_M = np.array([0.008, 0.012, 0.016])
"""How far the posed skin is off around knuckles, middle joints and fingertips when the hand lies as it should: fingers
are bent otherwise [m]."""

TURN_STD_RAD, SCALE_LOG_STD = 0.25, 0.1
"""How far the network's turn is off about an axis, and its size: what the fit starts from."""

LIKE_STD_PX = 2.0
"""Keypoints of a finger err together, so that each counts as if its standard deviation were so many times as large."""

HIDDEN_TRUST = 0.1
"""Weight of a keypoint that is not visible."""

REACHES_M = (0.04, 0.03, 0.02, 0.015, 0.015, 0.015)
"""Error from which the pull of a point of the skin falls, in each step [m]."""

MOST_TURN_RAD, MOST_LOG_SCALE = 1.0, 0.4
"""What is turned or resized more than this is another thing."""

KEYPOINT_LIMIT = 2.0
"""Standard deviations from which the pull of a keypoint no longer grows (Huber)."""


class Skin(NamedTuple):
    """Points of the skin that the camera may see.

    Attributes:
        points_m: (N, 3) in the camera frame, where the network says [m].
        normals: (N, 3) unit vectors out of the hand.
        joints: (N,) the joint that each is nearest to.
    """

    points_m: FloatArray
    normals: FloatArray
    joints: NDArray[np.intp]


class Places(NamedTuple):
    """Where joints are seen.

    Attributes:
        joints_m: (21, 3) where the network says, in the camera frame [m].
        pixels: (21, 2) keypoints.
        std_px: (21,) their standard deviations.
        visible: (21,) whether each is seen.
    """

    joints_m: FloatArray
    pixels: FloatArray
    std_px: FloatArray
    visible: NDArray[np.bool_]


class Lying(NamedTuple):
    """How a hand lies: turned and resized about its wrist, which is moved.

    Attributes:
        turn: (3, 3).
        scale: of its size.
        wrist_m: (3,) [m].
        covariance: (7, 7) of the wrist [m], the turn [rad] and the logarithm of the scale.
    """

    turn: FloatArray
    scale: float
    wrist_m: FloatArray
    covariance: FloatArray

    def of(self, points_m: FloatArray, wrist_m: FloatArray) -> FloatArray:
        """Points (N, 3) of the hand as it was, whose wrist was at `wrist_m`, as they lie now."""
        return np.asarray((points_m - wrist_m) @ (self.scale * self.turn.T) + self.wrist_m)


def lie(skin: Skin, places: Places, depth_m: FloatArray, camera: Camera, depth_std: float) -> Lying | None:
    """How a hand lies, near where it is.

    Args:
        skin: its visible skin.
        places: its joints.
        depth_m: (H, W) aligned to the image [m].
        camera: of the image.
        depth_std: of the depth camera, in units of the depth.

    Returns:
        None where it would be turned, sized or moved beyond reason.
    """
    wrist = places.joints_m[0]
    now = Lying(np.eye(3), 1.0, wrist.astype(np.float64), np.eye(7))
    plane = plane_from_pixels(places.pixels, camera)
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    seen = np.nan_to_num(plane * focal)
    trust = np.where(places.visible & np.isfinite(plane).all(-1), 1.0, HIDDEN_TRUST * np.isfinite(plane).all(-1))
    prior = np.diag([0.0, 0, 0, *[TURN_STD_RAD**-2] * 3, SCALE_LOG_STD**-2])
    for reach_m in REACHES_M:
        J, error, weight = _skin_rows(skin, now, wrist, depth_m, camera, depth_std, reach_m)
        Jk, ek, wk = _joint_rows(places, now, wrist, seen, focal, trust)
        J, error, weight = np.concatenate([J, Jk]), np.concatenate([error, ek]), np.concatenate([weight, wk])
        weighted = J.T * weight
        normal = weighted @ J + prior
        off = np.array([0, 0, 0, *cv2.Rodrigues(now.turn)[0].ravel(), np.log(now.scale)])
        step = -np.linalg.solve(normal, weighted @ error + prior @ off)
        now = Lying(
            cv2.Rodrigues(step[3:6])[0] @ now.turn, float(now.scale * np.exp(step[6])), now.wrist_m + step[:3], normal
        )
        if not np.isfinite(step).all() or (np.trace(now.turn)-1)/2 < np.cos(MOST_TURN_RAD) or abs(np.log(now.scale)) > MOST_LOG_SCALE:
            return None
    return now._replace(covariance=np.linalg.inv(now.covariance))


def _skin_rows(
    skin: Skin, now: Lying, wrist: FloatArray, depth_m: FloatArray, camera: Camera, depth_std: float, reach_m: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Derivative (N, 7), error (N,) and weight (N,) of each point's distance from the measured surface."""
    arm = (skin.points_m - wrist) @ (now.scale * now.turn.T)
    points, normals = arm + now.wrist_m, skin.normals @ now.turn.T
    found = at(depth_m, project(points, camera))
    share = (points[:, 2] - found) / points[:, 2]
    error = np.nan_to_num((normals * points).sum(-1) * share)
    J = np.concatenate([normals, np.cross(arm, normals), (normals * arm).sum(-1)[:, None]], -1)
    kept = np.isfinite(share) & (np.abs(share * points[:, 2]) < 3 * reach_m)
    variance = SKIN_STD_M[JOINT_CLASS[skin.joints]] ** 2 + (depth_std * points[:, 2]) ** 2
    count = np.bincount(skin.joints, minlength=len(JOINT_CLASS))[skin.joints]
    weight = kept / (1 + (error / reach_m) ** 2) ** 2 / variance / count
    return J, error, weight


def _joint_rows(
    places: Places, now: Lying, wrist: FloatArray, seen: FloatArray, focal: FloatArray, trust: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same of the joints' places in the image [px]: (42, 7), (42,), (42,)."""
    arm = (places.joints_m - wrist) @ (now.scale * now.turn.T)
    points = arm + now.wrist_m
    z = points[:, 2:]
    shown = points[:, :2] / z * focal
    P = np.zeros((len(points), 2, 3))
    P[:, 0, 0], P[:, 1, 1] = focal[0] / z[:, 0], focal[1] / z[:, 0]
    P[:, :, 2] = -shown / z
    J = np.concatenate([P, P @ -hat(arm), P @ arm[..., None]], -1)
    error = shown - seen
    bent = SKIN_STD_M[JOINT_CLASS] * focal[0] / z[:, 0]
    std = LIKE_STD_PX * np.hypot(places.std_px, bent)
    length = np.linalg.norm(error, axis=-1) / std
    weight = trust / std**2 * np.minimum(1.0, KEYPOINT_LIMIT / np.maximum(length, 1e-12))
    return J.reshape(-1, 7), error.ravel(), np.repeat(weight, 2)


def at(depth_m: FloatArray, pixels: FloatArray) -> FloatArray:
    """(V,) depth at the nearest pixel, NaN outside and where nothing was measured."""
    height, width = depth_m.shape
    places = np.nan_to_num(np.round(pixels), nan=-1, posinf=-1, neginf=-1)
    inside = np.asarray(((places >= 0) & (places < [width, height])).all(-1))
    x, y = np.where(inside[:, None], places, 0).astype(np.intp).T
    found = depth_m[y, x].astype(np.float64)
    return np.where(inside & np.isfinite(found) & (found > 0), found, np.nan)
