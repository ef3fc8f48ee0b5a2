"""Pixels and rays: projection and its inverse with distortion, cameras of crops and of resized images."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.types import Camera, FloatArray

DEFAULT_FOV_DEG = 60.0
"""Horizontal field of view assumed where nobody gives a camera: webcams and phones lie between 50 and 75 degrees."""

ASPECT_TOLERANCE = 0.01
"""Relative difference of aspect ratios up to which a camera still fits an image of another size."""

DISTORTION_LENGTHS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 4, 5, 8, 12, 14),
    "equidistant": (0, 4),
}
"""Numbers of coefficients each model may have."""
_MIRROR_CHANGES = {"plumb_bob": (3,), "rational_polynomial": (3, 8, 9, 13), "equidistant": ()}
"""Distortion coefficients that change their sign with x: p2, s1, s2 and the tilt about y (OpenCV's order)."""
_UNDISTORT_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
_UNDISTORT_TOLERANCE_PX = 0.05


def project(points_m: FloatArray, camera: Camera) -> FloatArray:
    """Pixels of points.

    Args:
        points_m: (..., 3) in the camera frame [m].
        camera: with any distortion model.

    Returns:
        (..., 2) float64 [px]; NaN for points that are not in front of the camera (z <= 0).
    """
    points = np.asarray(points_m, np.float64)
    check_shape("points_m", points, ["...", 3])
    depth = points[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = np.where(depth > 0, points[..., :2] / depth, np.nan)
    return pixels_from_plane(plane, camera)


def pixels_from_plane(plane: FloatArray, camera: Camera) -> FloatArray:
    """Pixels of points on the plane z = 1: distortion, then K.

    Args:
        plane: (..., 2) x / z and y / z, without unit.
        camera: with any distortion model.

    Returns:
        (..., 2) float64 [px].
    """
    plane = np.asarray(plane, np.float64)
    check_shape("plane", plane, ["...", 2])
    distorted = _distort(plane, camera) if _is_distorted(camera) else plane
    return distorted @ camera.K[:2, :2].T + camera.K[:2, 2]


def plane_from_pixels(pixels: FloatArray, camera: Camera) -> FloatArray:
    """Where the viewing rays of pixels meet the plane z = 1: the inverse of `pixels_from_plane`.

    Args:
        pixels: (..., 2) [px].
        camera: with any distortion model.

    Returns:
        (..., 2) float64 x / z and y / z; NaN for pixels which no ray reaches under this distortion.
    """
    pixels = np.asarray(pixels, np.float64)
    check_shape("pixels", pixels, ["...", 2])
    plane = (pixels - camera.K[:2, 2]) @ np.linalg.inv(camera.K[:2, :2]).T
    if not _is_distorted(camera) or plane.size == 0:
        return plane
    flat = np.ascontiguousarray(plane.reshape(-1, 1, 2))
    eye = np.eye(3)
    if camera.distortion_model == "equidistant":
        undistorted = cv2.fisheye.undistortPoints(flat, eye, camera.distortion, criteria=_UNDISTORT_CRITERIA)
    else:
        undistorted = _undistorted(flat, camera.distortion)
    result = np.asarray(undistorted, np.float64).reshape(plane.shape)
    # the iteration may end anywhere for pixels beyond the reach of the polynomial: such an answer is none
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.linalg.norm(pixels_from_plane(result, camera) - pixels, axis=-1, keepdims=True)
        return np.where(error < _UNDISTORT_TOLERANCE_PX, result, np.nan)


def backproject(pixels: FloatArray, depth_m: ArrayLike, camera: Camera) -> FloatArray:
    """Points at known depths: the inverse of `project`.

    Args:
        pixels: (..., 2) [px].
        depth_m: (...) z coordinate in the camera frame [m].
        camera: with any distortion model.

    Returns:
        (..., 3) float64 in the camera frame [m].
    """
    plane = plane_from_pixels(pixels, camera)
    depth = np.broadcast_to(np.asarray(depth_m, np.float64), plane.shape[:-1])[..., None]
    return np.concatenate([plane * depth, depth], axis=-1)


def focal_projection(points_m: FloatArray, focal_px: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where points meet the plane at the distance of the focal lengths, and how that moves with them.

    Args:
        points_m: (N, 3) in the camera frame, in front of it [m].
        focal_px: (2,) [px].

    Returns:
        (N, 2) places relative to the principal point, without distortion [px], and their (N, 2, 3) derivative by the
        points [px/m].
    """
    depth = points_m[:, 2:]
    places = points_m[:, :2] / depth * focal_px
    derivative = np.zeros((len(points_m), 2, 3))
    derivative[:, 0, 0], derivative[:, 1, 1] = focal_px[0] / depth[:, 0], focal_px[1] / depth[:, 0]
    derivative[:, :, 2] = -places / depth
    return places, derivative


def viewing_rays(pixels: FloatArray, camera: Camera) -> FloatArray:
    """Unit directions from the camera through pixels.

    Args:
        pixels: (..., 2) [px].
        camera: with any distortion model.

    Returns:
        (..., 3) float64 of length 1, in the camera frame.
    """
    rays = backproject(pixels, 1.0, camera)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def rotation_camera_crop(center_px: ArrayLike, camera: Camera, turn_rad: float = 0.0) -> FloatArray:
    """Orientation of the virtual camera that looks at the centre of a crop (frame `crop` of `conventions`).

    It is the smallest rotation that takes the z axis to the undistorted ray through `center_px`, after a turn about
    the z axis; without that turn the crop's x axis stays as level as it can, and mirroring the image mirrors the
    rotation.

    Args:
        center_px: (..., 2) crop centres [px].
        camera: with any distortion model.
        turn_rad: direction in the image that is up in the crop, see `types.Region.turn_rad` [rad].

    Returns:
        (..., 3, 3) float64 R_camera_crop; NaN where no ray reaches the centre.
    """
    rays = viewing_rays(np.asarray(center_px, np.float64), camera)
    # `rotations.rotation_between` of the z axis and the ray, written out: it runs for every crop
    x, y = rays[..., 0], rays[..., 1]
    share = 1 / (1 + rays[..., 2])
    level = np.empty((*rays.shape, 3))
    level[..., 0, 0], level[..., 1, 1], level[..., 2, 2] = 1 - share * x * x, 1 - share * y * y, rays[..., 2]
    level[..., 0, 1] = level[..., 1, 0] = -share * x * y
    level[..., 0, 2], level[..., 1, 2], level[..., 2, 0], level[..., 2, 1] = x, y, -x, -y
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return level @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def crop_intrinsics(K: FloatArray, affine: FloatArray) -> FloatArray:
    """Intrinsics of a warped image.

    Args:
        K: (..., 3, 3) intrinsics of the image [px].
        affine: (..., 2, 3) takes pixels of the image to pixels of the crop.

    Returns:
        (..., 3, 3) float64 intrinsics of the crop [px]; the x focal length is negative for a mirrored crop.
    """
    K, affine = np.asarray(K, np.float64), np.asarray(affine, np.float64)
    check_shape("K", K, ["...", 3, 3])
    check_shape("affine", affine, ["...", 2, 3])
    last_row = np.broadcast_to(np.array([[0.0, 0.0, 1.0]]), (*affine.shape[:-2], 1, 3))
    return np.concatenate([affine, last_row], axis=-2) @ K


def scale_camera(camera: Camera, width: int, height: int) -> Camera:
    """The same camera for the image resized to another size.

    Raises:
        InvalidInput: the aspect ratios differ by more than `ASPECT_TOLERANCE`: the image was cropped, not resized.
    """
    if (width, height) == (camera.width, camera.height):
        return camera
    if width <= 0 or height <= 0:
        raise InvalidInput(f"image size {width} x {height} is not positive")
    scale_x, scale_y = width / camera.width, height / camera.height
    if abs(scale_x / scale_y - 1) > ASPECT_TOLERANCE:
        raise InvalidInput(
            f"the camera is calibrated for {camera.width} x {camera.height}, the image is {width} x {height}: "
            "another aspect ratio; give the intrinsics of this image"
        )
    # pixel centres are whole numbers, so the image's corner, which stays where it is, lies at (-0.5, -0.5)
    affine = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])
    K = crop_intrinsics(camera.K, affine)
    return Camera(K, width, height, camera.distortion, camera.distortion_model, camera.estimated)


def mirror_camera(camera: Camera) -> Camera:
    """The camera of the mirrored image."""
    K, distortion = camera.K.copy(), camera.distortion.copy()
    K[0, 2] = camera.width - 1 - K[0, 2]
    K[0, 1] = -K[0, 1]
    for index in _MIRROR_CHANGES[camera.distortion_model]:
        if index < distortion.size:
            distortion[index] = -distortion[index]
    return replace(camera, K=K, distortion=distortion)


def estimated_camera(width: int, height: int, fov_deg: float = DEFAULT_FOV_DEG) -> Camera:
    """A guess for an image whose camera is unknown: square pixels, principal point in the middle.

    Args:
        width, height: of the image [px].
        fov_deg: field of view across the longer side, in (0, 180).

    Returns:
        A camera with `estimated` set: distances found with it are wrong by the factor by which its focal length is.

    Raises:
        InvalidInput: size or field of view out of range.
    """
    if not 0 < fov_deg < 180:
        raise InvalidInput(f"field of view {fov_deg:g} degrees is not between 0 and 180")
    focal = max(width, height) / (2 * np.tan(np.radians(fov_deg) / 2))
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, width, height, estimated=True)


def check_distortion(camera: Camera) -> None:
    """Raise `InvalidInput` unless the number of coefficients fits the distortion model."""
    lengths = DISTORTION_LENGTHS.get(camera.distortion_model)
    if lengths is None:
        raise InvalidInput(
            f"distortion model '{camera.distortion_model}' is not known: choose one of {', '.join(DISTORTION_LENGTHS)}"
        )
    if camera.distortion.size not in lengths:
        raise InvalidInput(
            f"distortion model {camera.distortion_model} has {camera.distortion.size} coefficients, "
            f"expected one of {', '.join(map(str, lengths))}"
        )


def _undistorted(points: FloatArray, distortion: FloatArray) -> FloatArray:
    """(N, 1, 2) on the plane z = 1; OpenCV 4 has a function of another name for the one that takes criteria."""
    eye = np.eye(3)
    if hasattr(cv2, "undistortPointsIter"):
        return np.asarray(cv2.undistortPointsIter(points, eye, distortion, eye, eye, _UNDISTORT_CRITERIA))
    return np.asarray(cv2.undistortPoints(points, eye, distortion, None, None, None, _UNDISTORT_CRITERIA))


def _is_distorted(camera: Camera) -> bool:
    check_distortion(camera)
    return bool(np.any(camera.distortion))


def _distort(plane: FloatArray, camera: Camera) -> FloatArray:
    """(..., 2) on the plane z = 1 -> (..., 2) distorted, still in units of the focal length."""
    if plane.size == 0:
        return plane
    flat = plane.reshape(-1, 1, 2)
    if camera.distortion_model == "equidistant":
        result = cv2.fisheye.distortPoints(np.ascontiguousarray(flat), np.eye(3), camera.distortion)
    else:
        points = np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)
        result, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), camera.distortion)
    return np.asarray(result, np.float64).reshape(plane.shape)
