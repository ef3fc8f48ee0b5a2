"""Pose of a held object from cues of different kinds: where its control points seem to be, how its box lies, how far it
is."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from prehend.check import check_shape
from prehend.geometry.camera import plane_from_pixels
from prehend.geometry.rotations import rotation_between
from prehend.types import Camera, FloatArray

MIN_POINTS = 6
"""Fewer points than this give no pose."""

MOMENTS_WEIGHT = 1.0
"""What an error of the moments counts for beside one of the points over their extent."""

_STEPS, _STEP_RAD, _LEAST_SHRINK = 12, 1e-5, 0.02
_HALF_TURNS = (np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1]))


class DepthCue(NamedTuple):
    """What something says of the distance of an object's centre along the optical axis.

    Attributes:
        depth_m: the distance [m].
        log_std: standard deviation of its logarithm.
    """

    depth_m: float
    log_std: float


class Placed(NamedTuple):
    """A pose, and how well the cues agree with it.

    Attributes:
        T_camera_object: (4, 4) float64.
        log_depth_std: standard deviation of the logarithm of the distance.
        shrink: size of the seen points over that of the object at this distance.
        residual: root mean square distance of the seen points from the pose's, shrunk as they are, over the extent of
            these unshrunk.
        moments_error: mean |difference| of the moments; 0 where there are none.
    """

    T_camera_object: FloatArray
    log_depth_std: float
    shrink: float
    residual: float
    moments_error: float


class _Cues(NamedTuple):
    """What a turn is fitted to: points about the middle [m], where they are seen on the plane z = 1, square roots of
    their weights (N, 1), the depth of the middle [m], and the moments (3, 3) or None."""

    X: FloatArray
    seen: FloatArray
    weight: FloatArray
    depth: float
    moments: FloatArray | None


class _Fit(NamedTuple):
    """A turn, the middle on the plane z = 1, the points' shrink, and the errors of points and moments."""

    R: FloatArray
    centre: FloatArray
    shrink: float
    residual: FloatArray
    misses: FloatArray

    @property
    def cost(self) -> float:
        return float((self.residual**2).sum() + (self.misses**2).sum())


def place(
    points_m: FloatArray,
    pixels: FloatArray,
    weights: FloatArray,
    camera: Camera,
    depths: Sequence[DepthCue],
    moments: FloatArray | None = None,
) -> Placed | None:
    """Pose of an object that best agrees with all cues.

    A network that is not sure of a turn answers with the middle of what is possible: its points shrink towards each
    other, and a pose from them alone (PnP) is far too far away. So their size is free here, and the distance comes from
    cues of its own.

    Args:
        points_m: (N, 3) control points in the object frame [m]; their mean is the middle of the box.
        pixels: (N, 2) where they seem to be in the image, distorted as the image is [px].
        weights: (N,) of the points, positive.
        camera: of the image.
        depths: cues of the distance, at least one.
        moments: (3, 3) R diag(extents^2) R^T in the camera frame over its trace; None where nobody knows.

    Returns:
        None where fewer than `MIN_POINTS` points are usable or they lie on a line.
    """
    check_shape("points_m", points_m, ["N", 3])
    check_shape("pixels", pixels, [len(points_m), 2])
    plane = plane_from_pixels(pixels, camera)
    rows = np.flatnonzero(np.isfinite(plane).all(-1) & np.isfinite(points_m).all(-1))
    if len(rows) < MIN_POINTS:
        return None
    middle = points_m[rows].mean(0)
    X = points_m[rows] - middle
    if np.linalg.svd(X, compute_uv=False)[1] <= 1e-6:
        return None
    precision = np.array([cue.log_std**-2.0 for cue in depths])
    depth = float(np.exp(np.average([np.log(cue.depth_m) for cue in depths], weights=precision)))
    cues = _Cues(X, plane[rows], np.sqrt(weights[rows] / weights[rows].sum())[:, None], depth, moments)
    best = min((_fitted(cues, R) for R in _starts(cues)), key=lambda fit: fit.cost)
    T = np.eye(4)
    T[:3, :3] = best.R
    T[:3, 3] = np.array([*best.centre, 1.0]) * depth - best.R @ middle
    if not np.isfinite(T).all():
        return None
    missed = 0.0 if moments is None else float(np.abs(best.misses).mean() / MOMENTS_WEIGHT)
    residual = float(np.sqrt((best.residual**2).sum()))
    return Placed(T, float(precision.sum() ** -0.5), best.shrink, residual, missed)


def moments_of(R: FloatArray, X: FloatArray) -> FloatArray:
    """(3, 3) moments of points (N, 3) about their middle after a turn, over their trace."""
    M = R @ (X.T @ X) @ R.T
    return np.asarray(M / np.trace(M))


def _starts(cues: _Cues) -> list[FloatArray]:
    """Rotations to start from: of the best affine camera, and what looks alike with the thinnest side turned round; and
    the four ways in which a box can lie so."""
    X, seen, weight = cues.X, cues.seen, cues.weight
    A = np.linalg.lstsq(np.c_[X, np.ones(len(X))] * weight, seen * weight, rcond=None)[0][:3].T
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    top = U @ Vt
    R = np.stack([*top, np.cross(*top)])
    thin = np.ones(3)
    thin[int(np.argmin(np.ptp(X, axis=0)))] = -1
    # the affine camera looks along the ray of the middle
    ray = np.array([*(seen * weight**2).sum(0), 1.0])
    towards = rotation_between(np.array([0.0, 0, 1]), ray / np.linalg.norm(ray))
    starts = [towards @ R, towards @ (np.diag([1.0, 1, -1]) @ R @ np.diag(thin))]
    if cues.moments is None:
        return starts
    own, lying = np.linalg.eigh(X.T @ X)[1], np.linalg.eigh(cues.moments)[1]
    turned = lying @ own.T
    turned *= np.sign(np.linalg.det(turned))
    return starts + [turned @ own @ half @ own.T for half in _HALF_TURNS]


def _fitted(cues: _Cues, R: FloatArray) -> _Fit:
    """The best fit near a rotation (Gauss-Newton)."""
    centre = (cues.seen * cues.weight**2).sum(0)
    best = fit = _fit(cues, R, centre)
    for _ in range(_STEPS):
        start = np.concatenate([fit.residual, fit.misses])
        moved = [_fit(cues, _small_turn(axis) @ fit.R, fit.centre, fit.shrink) for axis in np.eye(3)]
        moved += [_fit(cues, fit.R, fit.centre + _STEP_RAD * axis, fit.shrink) for axis in np.eye(2)]
        J = np.stack([np.concatenate([one.residual, one.misses]) - start for one in moved], axis=1) / _STEP_RAD
        step = -np.linalg.solve(J.T @ J + 1e-6 * np.trace(J.T @ J) * np.eye(5), J.T @ start)
        R = cv2.Rodrigues(np.clip(step[:3], -0.5, 0.5))[0] @ fit.R
        fit = _fit(cues, R, fit.centre + step[3:])
        best = min(best, fit, key=lambda one: one.cost)
    return best


def _fit(cues: _Cues, R: FloatArray, centre: FloatArray, shrink: float | None = None) -> _Fit:
    """Errors of a pose; its shrink is the best one unless it is given."""
    turned = cues.X @ R.T / cues.depth
    shown = (centre + turned[:, :2]) / np.maximum(1 + turned[:, 2:], 0.1) - centre
    wanted = cues.seen - centre
    squares = float(((shown * cues.weight) ** 2).sum())
    if shrink is None:
        shrink = max(float((shown * wanted * cues.weight**2).sum()) / max(squares, 1e-18), _LEAST_SHRINK)
    extent = max(float(np.sqrt(squares)), 1e-9)
    # points that lie close together say little of the turn
    residual = ((wanted - shrink * shown) * cues.weight / extent).ravel()
    if cues.moments is None:
        return _Fit(R, centre, shrink, residual, np.zeros(0))
    misses = MOMENTS_WEIGHT * (moments_of(R, cues.X) - cues.moments)[np.triu_indices(3)]
    return _Fit(R, centre, shrink, residual, misses)


def _small_turn(axis: FloatArray) -> FloatArray:
    return np.asarray(cv2.Rodrigues(axis * _STEP_RAD)[0])
