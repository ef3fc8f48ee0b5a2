"""Where a hand is in metres: the translation that puts its root-relative joints on their pixels."""

from typing import NamedTuple

import numpy as np

from prehend.check import check_shape
from prehend.geometry.camera import focal_projection, plane_from_pixels
from prehend.types import Camera, FloatArray

HAND_SIZE_STD = 0.06
"""Relative standard deviation of the size of adult hands around the predicted one. One image fixes only size
over distance, so this is the floor of the distance's relative error."""

RESIDUAL_FLOOR_PX = 1.0
"""Keypoints are never taken to be better than this [px], however well they happen to fit."""

HUBER_PX = 3.0
"""Residual from which the pull of a keypoint of unknown certainty no longer grows [px]."""

HUBER_STDS = 2.0
"""The same in units of a known standard deviation."""

CORRELATED_JOINTS = 4
"""Joints that err together (those of one finger): so many keypoints count as one measurement."""

MIN_JOINTS = 6
"""Fewer usable keypoints than this give no position."""

MIN_SPREAD_PX = 4.0
"""Root mean square distance of the keypoints from their centre below which they tell no distance [px]."""

MIN_DEPTH_M = 0.02
"""No joint may be nearer to the camera plane than this [m]."""

_STEPS = 12


class RootFit(NamedTuple):
    """A wrist position and how far to trust it.

    Attributes:
        translation_m: (3,) float64, what to add to the root-relative joints, in the camera frame [m].
        residual_px: root mean square distance between projected joints and keypoints, weighted, over all
            usable keypoints [px, distortion removed].
        std_m: standard deviation along the viewing ray of the joints' centre [m]: keypoint noise and unknown hand size.
    """

    translation_m: FloatArray
    residual_px: float
    std_m: float


class _Keypoints(NamedTuple):
    """What a hand is fitted to: (N, 2) undistorted pixels, (N,) weights and trust that sum to 1 (trust knows how
    certain each one is), (N,) residuals from which a pull no longer grows, (2,) focal lengths [px], and how many
    times as many keypoints there could be as count."""

    image: FloatArray
    weights: FloatArray
    trust: FloatArray
    limit: FloatArray
    std: FloatArray
    focal: FloatArray
    missing: float


def fit_root(
    joints_m: FloatArray,
    keypoints_px: FloatArray,
    camera: Camera,
    weights: FloatArray | None = None,
    std_px: FloatArray | None = None,
) -> RootFit | None:
    """Fit the translation of a hand of known pose and size to its 2D keypoints.

    The perspective equations `x + t_x = u (z + t_z)` are linear in t for undistorted rays (u, v, 1); their
    least-squares answer starts a few Gauss-Newton steps on the pixel residual with Huber weights.

    Args:
        joints_m: (N, 3) root-relative joints in the camera frame's orientation [m].
        keypoints_px: (N, 2) in the image, distorted as the image is [px].
        camera: of the image.
        weights: (N,) >= 0, how far to trust each keypoint; None trusts all the same. Keypoints which are not
            finite, or which no ray reaches, count as weight 0. The fewer count, the larger is the error that may
            lie in the hand's size.
        std_px: (N,) standard deviations of the keypoints along an axis [px]; None where they are not known.

    Returns:
        None where there is no sound answer: too few keypoints, all in one place, input that is not finite, or
        joints that would lie behind the camera.

    Raises:
        InvalidInput: shapes do not fit.
    """
    joints, keypoints = np.asarray(joints_m, np.float64), np.asarray(keypoints_px, np.float64)
    check_shape("joints_m", joints, ["N", 3])
    check_shape("keypoints_px", keypoints, [len(joints), 2])
    trust = np.ones(len(joints)) if weights is None else np.asarray(weights, np.float64)
    check_shape("weights", trust, [len(joints)])
    std = np.zeros(len(joints)) if std_px is None else np.asarray(std_px, np.float64)
    check_shape("std_px", std, [len(joints)])
    plane = plane_from_pixels(keypoints, camera)
    usable = np.isfinite(np.column_stack([plane, joints, trust, std])).all(-1) & (trust > 0) & (std >= 0)
    if usable.sum() < MIN_JOINTS:
        return None
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    image = plane[usable] * focal
    if np.sqrt(((image - image.mean(0)) ** 2).sum(-1).mean()) < MIN_SPREAD_PX:
        return None
    std = np.maximum(std[usable], RESIDUAL_FLOOR_PX)
    limit = np.full(len(std), HUBER_PX) if std_px is None else HUBER_STDS * std
    shares = trust[usable] / trust[usable].sum()
    certain = shares / std**2
    missing = len(joints) * float((shares**2).sum())
    seen = _Keypoints(image, shares, certain / certain.sum(), limit, std, focal, missing)
    start = _linear(joints[usable], image / focal, seen.trust)
    return None if start is None else _refine(joints[usable], seen, start)


def fit_residual(
    joints_m: FloatArray, keypoints_px: FloatArray, camera: Camera, weights: FloatArray | None = None
) -> float:
    """Root mean square distance between projected joints and keypoints, weighted, as `RootFit.residual_px` [px].

    Args:
        joints_m: (N, 3) in the camera frame, in front of it [m].
        keypoints_px: (N, 2) in the image [px].
        camera: of the image.
        weights: (N,) >= 0; None trusts all the same.
    """
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    off = (joints_m[:, :2] / joints_m[:, 2:] - plane_from_pixels(keypoints_px, camera)) * focal
    square = (off**2).sum(-1)
    trust = np.ones(len(square)) if weights is None else np.asarray(weights, np.float64)
    counts = np.isfinite(square) & (trust > 0)
    return float(np.sqrt(trust[counts] @ square[counts] / trust[counts].sum()))


def _linear(joints: FloatArray, plane: FloatArray, trust: FloatArray) -> FloatArray | None:
    """(3,) least squares of the perspective equations, None where it lies behind the camera."""
    rows = np.zeros((len(joints), 2, 3))
    rows[:, 0, 0] = rows[:, 1, 1] = 1.0
    rows[:, :, 2] = -plane
    right = plane * joints[:, 2:] - joints[:, :2]
    root = np.sqrt(trust)[:, None]
    t, _, rank, _ = np.linalg.lstsq((rows * root[..., None]).reshape(-1, 3), (right * root).ravel(), rcond=None)
    return t if rank == 3 and (joints[:, 2] + t[2]).min() > MIN_DEPTH_M else None


def _refine(joints: FloatArray, seen: _Keypoints, t: FloatArray) -> RootFit | None:
    """Gauss-Newton on the pixel residual, reweighted by Huber's function in every step."""
    for _ in range(_STEPS):
        residual, jacobian = _residual(joints + t, seen.image, seen.focal)
        length = np.sqrt((residual**2).sum(-1))
        weight = seen.trust * np.minimum(1.0, seen.limit / np.maximum(length, 1e-12))
        flat = jacobian.reshape(-1, 3)
        weighted = (jacobian * weight[:, None, None]).reshape(-1, 3).T
        normal = weighted @ flat
        step = np.linalg.solve(normal, weighted @ residual.ravel())
        t = t - step
        if not np.isfinite(t).all() or (joints[:, 2] + t[2]).min() < MIN_DEPTH_M:
            return None
        if step @ step < (1e-7 * t[2]) ** 2:
            break
    residual, _ = _residual(joints + t, seen.image, seen.focal)
    square = (residual**2).sum(-1)
    rms = float(np.sqrt(seen.weights @ square))
    variance = max(float(seen.trust @ square) / 2, float(seen.trust @ seen.std**2) / 2)
    return RootFit(t, rms, _std_along_ray(joints + t, normal, seen, variance))


def _residual(points: FloatArray, image: FloatArray, focal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(N, 2) projection minus image [px] and its (N, 2, 3) derivative by the translation [px/m]."""
    projected, jacobian = focal_projection(points, focal)
    return projected - image, jacobian


def _std_along_ray(points: FloatArray, normal: FloatArray, seen: _Keypoints, variance_px: float) -> float:
    """Standard deviation [m] from the noise of the keypoints and from the unknown size of the hand.

    `trust` sums to 1, so it stands for 1 over the sum of its squares equally trusted keypoints. What a few joints say
    of a hand's size is less sure than what all of them say.

    Args:
        points: (N, 3) in the camera frame [m].
        normal: (3, 3) of the last step.
        seen: the keypoints.
        variance_px: of one coordinate [px^2].
    """
    center = points.mean(0)
    distance = float(np.linalg.norm(center))
    ray = center / distance
    measurements = max(1.0 / float((seen.trust**2).sum()) / CORRELATED_JOINTS, 1.0)
    along = float(ray @ np.linalg.solve(normal, ray)) * variance_px / measurements
    return float(np.hypot(np.sqrt(along), HAND_SIZE_STD * np.sqrt(seen.missing) * distance))
