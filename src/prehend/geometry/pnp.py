"""Pose of an object from pixels of points that are known on it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.geometry.camera import plane_from_pixels
from prehend.types import Camera, FloatArray

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
