"""Whether numbers can be a camera: the one judgement that files, bags and the node share.

Calibrations come as real drivers and tools write them. What changes nothing (zeros behind the coefficients, another
name for the same model) is taken; what cannot be a camera is refused with the reason, never used in silence.
"""

import numpy as np
from numpy.typing import ArrayLike

from prehend.check import numbers
from prehend.errors import InvalidInput
from prehend.geometry.camera import DISTORTION_LENGTHS, plane_from_pixels
from prehend.types import Camera, DistortionModel, FloatArray

SHORTEST_FOCAL, LONGEST_FOCAL = 0.05, 100.0
"""Focal lengths as a share of the image's longer side: fields of view of 169 and 0.6 degrees."""
WIDEST_PIXEL = 4.0
"""Largest ratio of the two focal lengths: pixels binned 4 : 1."""
_FAR, _SWAPPED, _NEAR = 0.22, 0.1, 0.05
"""Shares of an image's size: principal points of whole sensors lie within a tenth of the middle."""

_MODELS: dict[str, DistortionModel] = {
    "plumb_bob": "plumb_bob",
    "radtan": "plumb_bob",
    "radial_tangential": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "modified_brown_conrady": "plumb_bob",
    "pinhole": "plumb_bob",
    "opencv": "plumb_bob",
    "none": "plumb_bob",
    "": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "rational": "rational_polynomial",
    "equidistant": "equidistant",
    "equi": "equidistant",
    "fisheye": "equidistant",
    "opencv_fisheye": "equidistant",
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
}
"""Names of the models in drivers and calibration tools, lower case, blanks and hyphens as underscores."""


def checked_camera(
    K: ArrayLike,
    width: int,
    height: int,
    distortion: ArrayLike = (),
    model: str = "plumb_bob",
    beyond: float = 0.0,
) -> Camera:
    """A calibrated camera, if these numbers can be one.

    Args:
        K: (3, 3) or (9,), row by row, for the whole sensor or image [px].
        width, height: of that image [px].
        distortion: coefficients in OpenCV's order; zeros behind the last one that counts do not matter.
        model: name of the distortion model, as drivers and tools spell it.
        beyond: how far outside of the image the principal point may lie, as a share of its longer side: of an image
            that was cut out of a larger one it lies there.

    Returns:
        The camera, with the model's name of sensor_msgs/CameraInfo.

    Raises:
        InvalidInput: the last row of K is not 0 0 1 (transposed?), the principal point lies outside the image, the
            focal lengths cannot be, the number of coefficients does not fit the model, or the distortion leaves the
            middle of the image without rays; the text says which.
    """
    matrix = check_intrinsics(K)
    name, coefficients = check_coefficients(model, distortion)
    camera = Camera(matrix, int(width), int(height), coefficients, name)
    _check_against_picture(camera, beyond)
    if camera.distortion.any():
        _check_rays(camera)
    return camera


def doubt(camera: Camera) -> str:
    """What makes a camera that can be one unlikely for its image: where its principal point lies; empty for nothing.

    A calibration without a size, or copied into a message with the size of another resolution, shows it that way.
    """
    width, height, (x, y) = camera.width, camera.height, camera.K[:2, 2]
    off = max(abs(x / width - 0.5), abs(y / height - 0.5))
    if off > _SWAPPED and abs(x / height - 0.5) < _NEAR and abs(y / width - 0.5) < _NEAR:
        return f"its K has the principal point of an image of {height} x {width}: {width} x {height} is turned"
    if off <= _FAR:
        return ""
    where = f"its K has the principal point at ({x:.0f}, {y:.0f}), far from the middle of {width} x {height} pixels"
    return f"{where}: is K for another image? Right only for one that was cut out of a larger one"


def check_intrinsics(K: ArrayLike) -> FloatArray:
    """(3, 3) float64 intrinsics of any finite numbers that can be some image's.

    Raises:
        InvalidInput: they cannot, whatever the image is.
    """
    matrix = numbers("K", K)
    if matrix.size == 9 and matrix.ndim == 1:
        matrix = matrix.reshape(3, 3)
    if matrix.shape != (3, 3):
        raise InvalidInput(f"K has shape {matrix.shape}, expected (3, 3)")
    if not np.isfinite(matrix).all():
        raise InvalidInput("K holds NaN or infinite values")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise InvalidInput(
            f"K has focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g}: the camera is not calibrated; "
            "calibrate it, or leave K out to have it estimated"
        )
    if np.abs(matrix[2] - [0, 0, 1]).max() > 1e-6:
        hint = "; is K transposed?" if np.abs(matrix[:, 2] - [0, 0, 1]).max() < 1e-6 else ""
        raise InvalidInput(f"the last row of K is {_row(matrix[2])}, expected 0 0 1{hint}")
    if abs(matrix[1, 0]) > 1e-6 * matrix[1, 1] or abs(matrix[0, 1]) > 0.2 * matrix[0, 0]:
        raise InvalidInput(f"K has {_row(matrix[:2, :2].ravel())} beside its focal lengths, expected fx 0 0 fy")
    return matrix


def check_coefficients(model: str, distortion: ArrayLike) -> tuple[DistortionModel, FloatArray]:
    """The model under its name of sensor_msgs/CameraInfo, with as many coefficients as it has.

    Raises:
        InvalidInput: an unknown model with coefficients, or a number of them that no model has.
    """
    coefficients = numbers("distortion", distortion).ravel()
    if not np.isfinite(coefficients).all():
        raise InvalidInput("distortion holds NaN or infinite values")
    used = np.flatnonzero(coefficients)
    if not len(used):
        return "plumb_bob", np.zeros(0)
    name = check_model(model)
    if name == "plumb_bob" and used[-1] >= 5:  # OpenCV's family is told apart by its number of coefficients alone
        name = "rational_polynomial"
    lengths = [length for length in DISTORTION_LENGTHS[name] if length > used[-1]]
    fitting = coefficients.size if coefficients.size in lengths else min(lengths, default=0)
    if not 0 < fitting <= coefficients.size:
        raise InvalidInput(
            f"distortion model {name} has {coefficients.size} coefficients, "
            f"expected one of {', '.join(map(str, DISTORTION_LENGTHS[name]))}"
        )
    return name, coefficients[:fitting]


def check_model(model: str) -> DistortionModel:
    """The name of sensor_msgs/CameraInfo for a distortion model as drivers and tools spell it.

    Raises:
        InvalidInput: it is not known.
    """
    name = _MODELS.get(str(model).strip().lower().replace(" ", "_").replace("-", "_").removeprefix("distortion."))
    if name is None:
        known = ", ".join(DISTORTION_LENGTHS)
        raise InvalidInput(f"distortion model '{str(model)[:40]}' is not known: choose one of {known}")
    return name


def _check_against_picture(camera: Camera, beyond: float) -> None:
    K, width, height = camera.K, camera.width, camera.height
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    low, high = (share * max(width, height) for share in (SHORTEST_FOCAL, LONGEST_FOCAL))
    for focal in (fx, fy):
        if not low <= focal <= high:
            raise InvalidInput(
                f"K has focal lengths {fx:.4g}, {fy:.4g} px, which no camera of {width} x {height} pixels has; "
                "is K for another image, or not in pixels?"
            )
    if not 1 / WIDEST_PIXEL <= fx / fy <= WIDEST_PIXEL:
        raise InvalidInput(f"K has focal lengths {fx:.4g}, {fy:.4g} px: no pixel is that oblong")
    margin = beyond * max(width, height) + 0.5
    if not (-margin <= cx <= width - 1 + margin and -margin <= cy <= height - 1 + margin):
        raise InvalidInput(
            f"K has its principal point at ({cx:.4g}, {cy:.4g}), outside the image of {width} x {height}; "
            "is K for another image?"
        )


def _check_rays(camera: Camera) -> None:
    """The middle of the image must be seen: coefficients of another order or scale fold it away."""
    x, y = np.meshgrid(np.linspace(0.3, 0.7, 4) * camera.width, np.linspace(0.3, 0.7, 4) * camera.height)
    with np.errstate(all="ignore"):
        rays = plane_from_pixels(np.stack([x, y], -1).reshape(-1, 2), camera)
    if not np.isfinite(rays).all():
        raise InvalidInput(
            f"the distortion ({camera.distortion_model}, {_row(camera.distortion)}) leaves the middle of the image "
            "without rays: are the coefficients in another order?"
        )


def _row(numbers: FloatArray) -> str:
    return " ".join(f"{number:.4g}" for number in numbers)
