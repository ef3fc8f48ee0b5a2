"""Rotations as matrices, axis-angle vectors, quaternions and 6 numbers; every function takes leading dimensions.

The arithmetic is SciPy's where it has it; here are our orders, signs and shapes. Batches on a device are in `models`.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.types import FloatArray

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

HALF_TURNS: dict[str, FloatArray] = {
    "x": np.diag([1.0, -1, -1]),
    "y": np.diag([-1.0, 1, -1]),
    "z": np.diag([-1.0, -1, 1]),
}
"""(3, 3) half a turn about each axis."""

SixLayout = Literal["columns", "rows"]
"""Which part of the matrix the 6 numbers are: its first two columns or its first two rows, one after the other.
Both are in use (Zhou et al., CVPR 2019, write columns); swapping them transposes every rotation without an error."""


def hat(vectors: FloatArray) -> FloatArray:
    """(..., 3) -> (..., 3, 3) skew matrices with `hat(a) @ b == cross(a, b)`."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    o = np.zeros_like(x)
    return np.stack([np.stack([o, -z, y], -1), np.stack([z, o, -x], -1), np.stack([-y, x, o], -1)], -2)


def matrix_from_axis_angle(axis_angle: FloatArray) -> FloatArray:
    """The exponential map (Rodrigues' formula).

    Args:
        axis_angle: (..., 3) axis times angle [rad].

    Returns:
        (..., 3, 3) float64 rotations.
    """
    vectors = np.asarray(axis_angle, np.float64)
    check_shape("axis_angle", vectors, ["...", 3])
    return _scipy().from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def axis_angle_from_matrix(rotations: FloatArray) -> FloatArray:
    """The logarithm: inverse of `matrix_from_axis_angle`, with angles in [0, pi].

    Args:
        rotations: (..., 3, 3).

    Returns:
        (..., 3) float64 axis times angle [rad]. At an angle of pi both signs of the axis are right; one is given.

    Raises:
        InvalidInput: a matrix is no rotation but a reflection, singular or not finite.
    """
    R = np.asarray(rotations, np.float64)
    return _rotation(R).as_rotvec().reshape(R.shape[:-1])


def quaternion_from_matrix(rotations: FloatArray) -> FloatArray:
    """Unit quaternions in ROS's order (REP 103 leaves signs open: here w >= 0).

    Args:
        rotations: (..., 3, 3).

    Returns:
        (..., 4) float64 x, y, z, w.

    Raises:
        InvalidInput: as `axis_angle_from_matrix`.
    """
    R = np.asarray(rotations, np.float64)
    return _rotation(R).as_quat(canonical=True).reshape(*R.shape[:-2], 4)


def matrix_from_quaternion(quaternions: FloatArray) -> FloatArray:
    """Rotations of quaternions of any length but 0.

    Args:
        quaternions: (..., 4) x, y, z, w.

    Returns:
        (..., 3, 3) float64.
    """
    q = np.asarray(quaternions, np.float64)
    check_shape("quaternions", q, ["...", 4])
    return _scipy().from_quat(q.reshape(-1, 4)).as_matrix().reshape(*q.shape[:-1], 3, 3)


def _scipy() -> type["Rotation"]:
    """SciPy's class; loaded when it is used first, for that takes 0.3 s, which `prehend run` can spare."""
    from scipy.spatial.transform import Rotation

    return Rotation


def _rotation(R: FloatArray) -> "Rotation":
    """(..., 3, 3) matrices -> one row of SciPy's rotations."""
    check_shape("rotations", R, ["...", 3, 3])
    if not np.isfinite(R).all():
        raise InvalidInput("rotations hold NaN or infinite values")
    try:
        return _scipy().from_matrix(R.reshape(-1, 3, 3))
    except ValueError as error:
        raise InvalidInput(f"rotations hold a matrix that is none ({error})") from error


def matrix_from_6d(six: FloatArray, layout: SixLayout = "columns") -> FloatArray:
    """Gram-Schmidt of two vectors (Zhou et al., CVPR 2019).

    Args:
        six: (..., 6) two vectors, one after the other; they need neither unit length nor a right angle.
        layout: whether they are columns or rows of the matrix.

    Returns:
        (..., 3, 3) float64; NaN where the two vectors are parallel or zero.
    """
    six = np.asarray(six, np.float64)
    check_shape("six", six, ["...", 6])
    with np.errstate(divide="ignore", invalid="ignore"):
        first = six[..., :3] / np.linalg.norm(six[..., :3], axis=-1, keepdims=True)
        second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdims=True) * first
        second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1 if layout == "columns" else -2)


def geodesic_angle(a: FloatArray, b: FloatArray) -> FloatArray:
    """Angle of the rotation from b to a.

    Args:
        a, b: (..., 3, 3), broadcast against each other.

    Returns:
        (...) float64 in [0, pi] [rad], accurate near 0 too (unlike the arc cosine of the trace).
    """
    return np.linalg.norm(axis_angle_from_matrix(np.swapaxes(np.asarray(b, np.float64), -1, -2) @ a), axis=-1)


def nearest_rotation(matrices: FloatArray) -> FloatArray:
    """The rotation closest to each matrix in the Frobenius norm, never a reflection (Kabsch 1976, Umeyama 1991).

    Args:
        matrices: (..., 3, 3), finite.

    Returns:
        (..., 3, 3) float64.
    """
    matrices = np.asarray(matrices, np.float64)
    check_shape("matrices", matrices, ["...", 3, 3])
    U, _, Vt = np.linalg.svd(matrices)
    U[..., :, 2] *= np.sign(np.linalg.det(U @ Vt))[..., None]
    return U @ Vt


def rotation_between(source: FloatArray, target: FloatArray) -> FloatArray:
    """The smallest rotation that takes one unit vector to another.

    Args:
        source, target: (..., 3) unit vectors, not opposite to each other.

    Returns:
        (..., 3, 3) float64 with `R @ source == target`.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    skew = hat(np.cross(source, target))
    cosine = (source * target).sum(-1)[..., None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.eye(3) + skew + skew @ skew / (1 + cosine)
