"""Pose of an object from pixels of points that are known on it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.geometry.camera import plane_from_pixels
from prehend.geometry.rotations import rotation_between
from prehend.types import Camera, FloatArray

_TURN_STEPS, _STEP_RAD, _LEAST_SHRINK = 12, 1e-5, 0.02

MIN_MATCHES = 6
"""Fewer matches than this give no pose."""

_SIGNS = np.array(
    # 8 corners, x fastest, then y, then z
    [[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
    # middles of the 4 edges at the low z, then at the high z: on the sides -x, +x, +y, -y
    + [[x, y, z] for z in (-1, 1) for x, y in ((-1, 0), (1, 0), (0, 1), (0, -1))]
    # middles of the 4 edges along z
    + [[-1, 1, 0], [-1, -1, 0], [1, 1, 0], [1, -1, 0]]
    + [[0, 0, 0]],
    np.float64,
)

MIRRORED_ORDER: tuple[int, ...] = tuple(
    int(np.flatnonzero((sign * [1, -1, 1] == _SIGNS).all(-1))[0]) for sign in _SIGNS
)
"""Order of the control points after a reflection: what the network sees of an object beside a mirrored (left) hand is
again a right-handed box, that of the object reflected in its own xz plane (every solid of the catalogue is its own
reflection there). So `mirrored_px = mirror(points_px)[MIRRORED_ORDER]`, and the same again takes them back."""


class PnpResult(NamedTuple):
    """A pose and how well it fits.

    Attributes:
        T_camera_object: (4, 4) float64.
        inliers: (N,) bool, the matches the pose rests on.
        rms_px: root mean square reprojection error of the inliers [px, distortion removed].
    """

    T_camera_object: FloatArray
    inliers: NDArray[np.bool_]
    rms_px: float


def control_points(extents_m: ArrayLike, center_m: ArrayLike = (0.0, 0.0, 0.0)) -> FloatArray:
    """The 21 points of an object's axis-aligned box whose pixels the network gives.

    Args:
        extents_m: (..., 3) side lengths of the box [m].
        center_m: (..., 3) its centre in the object frame [m].

    Returns:
        (..., 21, 3) float64 in the object frame [m]: 8 corners (x changes fastest, then y, then z, low before
        high); the middles of the 4 edges at low z (on the sides -x, +x, +y, -y), of the 4 at high z (same
        order), of the 4 along z (-x+y, -x-y, +x+y, +x-y); the centre.
    """
    extents, center = np.asarray(extents_m, np.float64), np.asarray(center_m, np.float64)
    check_shape("extents_m", extents, ["...", 3])
    check_shape("center_m", center, ["...", 3])
    return center[..., None, :] + extents[..., None, :] / 2 * _SIGNS


def solve_pnp(
    points_m: FloatArray, pixels: FloatArray, camera: Camera, threshold_px: float = 5.0, iterations: int = 200
) -> PnpResult | None:
    """Pose from 3D-2D matches, many of which may be wrong (EPnP in RANSAC, then least squares on the inliers).

    Args:
        points_m: (N, 3) in the object frame [m]; the same point may occur with several pixels.
        pixels: (N, 2) in the image, distorted as the image is [px]; matches with NaN are left out.
        camera: of the image.
        threshold_px: reprojection error up to which a match is an inlier [px].
        iterations: samples RANSAC draws; the draw is the same on every call.

    Returns:
        None where fewer than `MIN_MATCHES` matches agree, they do not fix a pose, or the object would lie
        behind the camera.

    Raises:
        InvalidInput: shapes do not fit or the threshold is not positive.
    """
    points, pixels = np.asarray(points_m, np.float64), np.asarray(pixels, np.float64)
    check_shape("points_m", points, ["N", 3])
    check_shape("pixels", pixels, [len(points), 2])
    if threshold_px <= 0:
        raise InvalidInput(f"threshold_px is {threshold_px:g}, expected a positive number")
    plane = plane_from_pixels(pixels, camera)
    usable = np.flatnonzero(np.isfinite(plane).all(-1) & np.isfinite(points).all(-1))
    if len(usable) < MIN_MATCHES or not _spans_plane(points[usable]):
        return None
    # undistorted pixels of a camera with one focal length, so that the threshold is in pixels
    focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
    K = np.diag([focal, focal, 1.0])
    image = plane * focal
    found, rotation, translation, inlier_rows = cv2.solvePnPRansac(
        points[usable], image[usable], K, None, iterationsCount=iterations, reprojectionError=threshold_px,
        confidence=0.999, flags=cv2.SOLVEPNP_EPNP,
    )  # fmt: skip
    if not found or inlier_rows is None or len(inlier_rows) < MIN_MATCHES:
        return None
    # OpenCV leaves vectors of shape (3,) unrefined without a word; columns it refines
    start = np.array([np.ravel(rotation), np.ravel(translation)], np.float64)[..., None]
    return _refine(points, image, K, usable[np.ravel(inlier_rows)], start)


class DepthCue(NamedTuple):
    """What something says of the distance of an object's centre along the optical axis.

    Attributes:
        depth_m: the distance [m].
        log_std: standard deviation of its logarithm.
    """

    depth_m: float
    log_std: float


class PlacedPose(NamedTuple):
    """A pose at a distance that other cues gave.

    Attributes:
        T_camera_object: (4, 4) float64.
        log_depth_std: standard deviation of the logarithm of the distance.
        shrink: size of the seen points over that of the object at this distance.
        residual: root mean square distance of the seen points from the pose's, with `shrink`, over the diagonal of
            these.
    """

    T_camera_object: FloatArray
    log_depth_std: float
    shrink: float
    residual: float


def place_pose(
    points_m: FloatArray, pixels: FloatArray, weights: FloatArray, camera: Camera, cues: Sequence[DepthCue]
) -> PlacedPose | None:
    """Pose of an object whose control points tell how it is turned and where its middle is seen, but not how far it is.

    A network that is not sure of a turn answers with the middle of what is possible: its points shrink towards each
    other, and a pose from them alone (PnP) is far too far away. So their size is free here, and the distance comes from
    cues.

    Args:
        points_m: (N, 3) in the object frame [m].
        pixels: (N, 2) in the image, distorted as the image is [px].
        weights: (N,) of the points, positive.
        camera: of the image.
        cues: of the distance, at least one.

    Returns:
        None where fewer than `MIN_MATCHES` points are usable or they lie on a line.
    """
    plane = plane_from_pixels(pixels, camera)
    rows = np.flatnonzero(np.isfinite(plane).all(-1) & np.isfinite(points_m).all(-1))
    if len(rows) < MIN_MATCHES or not _spans_plane(points_m[rows]):
        return None
    precision = np.array([cue.log_std**-2.0 for cue in cues])
    depth = float(np.exp(np.average([np.log(cue.depth_m) for cue in cues], weights=precision)))
    X, seen, weight = points_m[rows], plane[rows], np.sqrt(weights[rows] / weights[rows].sum())[:, None]
    middle = X.mean(0)
    fits = [_turn_at(X - middle, seen, weight, start, depth) for start in _starts(X - middle, seen, weight)]
    R, centre, shrink, error = min(fits, key=lambda fit: fit[3])
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = np.array([*centre, 1.0]) * depth - R @ middle
    spread = float(np.linalg.norm(np.ptp(_shown(X - middle, R, centre, depth), axis=0)))
    if not np.isfinite(T).all() or spread <= 0 or shrink <= 0:
        return None
    return PlacedPose(T, float(precision.sum() ** -0.5), shrink, error / (spread * shrink))


def _starts(X: FloatArray, seen: FloatArray, weight: FloatArray) -> list[FloatArray]:
    """Rotations to start from: of the best affine camera, and what looks alike with the thinnest side turned round."""
    A = np.linalg.lstsq(np.c_[X, np.ones(len(X))] * weight, seen * weight, rcond=None)[0][:3].T
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    top = U @ Vt
    R = np.stack([*top, np.cross(*top)])
    thin = np.ones(3)
    thin[int(np.argmin(np.ptp(X, axis=0)))] = -1
    # the affine camera looks along the ray of the middle
    ray = np.array([*np.average(seen, axis=0, weights=weight[:, 0] ** 2), 1.0])
    towards = rotation_between(np.array([0.0, 0, 1]), ray / np.linalg.norm(ray))
    return [towards @ R, towards @ (np.diag([1.0, 1, -1]) @ R @ np.diag(thin))]


def _turn_at(
    X: FloatArray, seen: FloatArray, weight: FloatArray, R: FloatArray, depth: float
) -> tuple[FloatArray, FloatArray, float, float]:
    """Rotation, centre on the plane z = 1, shrink and weighted rms error of the best fit at a depth (Gauss-Newton)."""
    centre = (seen * weight**2).sum(0)
    best: tuple[FloatArray, FloatArray, float, float] | None = None
    for _ in range(_TURN_STEPS):
        shown, wanted = _shown(X, R, centre, depth) * weight, (seen - centre) * weight
        shrink = max(float((shown * wanted).sum() / max((shown**2).sum(), 1e-18)), _LEAST_SHRINK)
        residual = wanted - shrink * shown
        error = float(np.sqrt((residual**2).sum()))
        if best is None or error < best[3]:
            best = R, centre, shrink, error
        columns = [_shown(X, _small_turn(axis) @ R, centre, depth) * weight for axis in np.eye(3)]
        J = np.stack([shrink * (column - shown).ravel() / _STEP_RAD for column in columns], axis=1)
        shift = np.stack([np.outer(weight, unit).ravel() for unit in np.eye(2)], axis=1)
        J = np.concatenate([J, shift], axis=1)
        step = np.linalg.solve(J.T @ J + 1e-9 * np.trace(J.T @ J) * np.eye(5), J.T @ residual.ravel())
        R, centre = cv2.Rodrigues(np.clip(step[:3], -0.5, 0.5))[0] @ R, centre + step[3:]
    assert best is not None
    return best


def _small_turn(axis: FloatArray) -> FloatArray:
    return np.asarray(cv2.Rodrigues(axis * _STEP_RAD)[0])


def _shown(X: FloatArray, R: FloatArray, centre: FloatArray, depth: float) -> FloatArray:
    """(N, 2) where points about a centre are seen on the plane z = 1, from the centre."""
    turned = X @ R.T / depth
    return np.asarray((centre + turned[:, :2]) / np.maximum(1 + turned[:, 2:], 0.1) - centre)


def _refine(
    points: FloatArray, image: FloatArray, K: FloatArray, rows: NDArray[np.int_], start: FloatArray
) -> PnpResult | None:
    """Least squares on the inliers from (2, 3, 1) axis-angle and translation; None for a pose that is no pose."""
    rotation, t = cv2.solvePnPRefineLM(points[rows], image[rows], K, None, start[0].copy(), start[1].copy())
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(rotation)[0], np.ravel(t)
    seen = points[rows] @ T[:3, :3].T + T[:3, 3]
    if not np.isfinite(T).all() or not (seen[:, 2] > 0).all():
        return None
    residual = seen[:, :2] / seen[:, 2:] * K[0, 0] - image[rows]
    inliers = np.zeros(len(points), bool)
    inliers[rows] = True
    return PnpResult(T, inliers, float(np.sqrt((residual**2).sum(-1).mean())))


def _spans_plane(points: FloatArray) -> bool:
    """True unless the points lie on one line or in one place."""
    spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return bool(spread[1] > 1e-6 * max(spread[0], 1e-12))
