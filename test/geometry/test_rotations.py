import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry import rotations as rot

ANGLES = (0.0, 1e-12, 1e-8, 1e-6, 1e-4, 0.3, 2.0, np.pi - 1e-4, np.pi - 1e-6, np.pi - 1e-9, np.pi)
vectors = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(np.array)


def random_rotations(count: int, seed: int = 0) -> np.ndarray:
    return rot.matrix_from_quaternion(np.random.default_rng(seed).normal(size=(count, 4)))


def assert_rotations(R: np.ndarray) -> None:
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=1e-12)


@pytest.mark.parametrize("angle", ANGLES)
def test_logarithm_inverts_exponential_also_near_zero_and_pi(angle: float) -> None:
    axes = np.random.default_rng(1).normal(size=(50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    R = rot.matrix_from_axis_angle(axes * angle)
    assert_rotations(R)
    back = rot.axis_angle_from_matrix(R)
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), angle, atol=1e-7)
    np.testing.assert_allclose(rot.matrix_from_axis_angle(back), R, atol=1e-7)
    if 1e-4 < angle < np.pi - 1e-3:
        np.testing.assert_allclose(back, axes * angle, atol=1e-7)


@settings(deadline=None, max_examples=100)
@given(vectors, vectors)
def test_exponential_turns_about_its_axis_and_small_angles_add(axis: np.ndarray, point: np.ndarray) -> None:
    R = rot.matrix_from_axis_angle(axis)
    np.testing.assert_allclose(R @ axis, axis, atol=1e-9)
    half = rot.matrix_from_axis_angle(axis / 2)
    np.testing.assert_allclose(half @ half @ point, R @ point, atol=1e-9)
    np.testing.assert_allclose(rot.hat(axis) @ point, np.cross(axis, point), atol=1e-15)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    R = rot.matrix_from_axis_angle(np.array([0, 0, np.pi / 2]))
    np.testing.assert_allclose(R @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rot.quaternion_from_matrix(R), [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-15)


def test_quaternions_round_trip_for_every_largest_component() -> None:
    q = np.concatenate([np.eye(4), np.random.default_rng(2).normal(size=(100, 4))])
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    back = rot.quaternion_from_matrix(rot.matrix_from_quaternion(q))
    assert (back[:, 3] >= 0).all()
    np.testing.assert_allclose(np.abs((back * q).sum(1)), 1.0, atol=1e-12)


def six_from_matrix(R, layout):
    two = np.swapaxes(R, -1, -2) if layout == "columns" else R
    return two[..., :2, :].reshape(*R.shape[:-2], 6)


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_six_numbers_round_trip_and_need_no_unit_length(layout: rot.SixLayout) -> None:
    R = random_rotations(20).reshape(4, 5, 3, 3)
    six = six_from_matrix(R, layout)
    np.testing.assert_allclose(rot.matrix_from_6d(six, layout), R, atol=1e-12)
    skewed = np.concatenate([3 * six[..., :3], 0.5 * six[..., 3:] - 2 * six[..., :3]], -1)
    np.testing.assert_allclose(rot.matrix_from_6d(skewed, layout), R, atol=1e-12)


def test_the_two_layouts_are_transposes() -> None:
    R = random_rotations(5)
    np.testing.assert_allclose(rot.matrix_from_6d(six_from_matrix(R, "columns"), "rows"), np.swapaxes(R, -1, -2))
    np.testing.assert_allclose(rot.matrix_from_6d(np.c_[R[:, :, 0], R[:, :, 1]], "columns"), R, atol=1e-12)


def test_six_numbers_without_a_plane_give_nan() -> None:
    assert np.isnan(rot.matrix_from_6d(np.array([1.0, 0, 0, 2, 0, 0]))).any()
    assert np.isnan(rot.matrix_from_6d(np.zeros(6))).any()


@pytest.mark.parametrize("angle", ANGLES)
def test_geodesic_angle_is_the_angle_between(angle: float) -> None:
    R = random_rotations(10, 3)
    other = R @ rot.matrix_from_axis_angle(np.array([0.6, -0.8, 0]) * angle)
    np.testing.assert_allclose(rot.geodesic_angle(R, other), angle, atol=1e-7)
    np.testing.assert_allclose(rot.geodesic_angle(other, R), angle, atol=1e-7)


def test_nearest_rotation_keeps_rotations_and_never_reflects() -> None:
    R = random_rotations(30, 4)
    np.testing.assert_allclose(rot.nearest_rotation(2.5 * R), R, atol=1e-12)
    assert_rotations(rot.nearest_rotation(R @ np.diag([1.0, 1, -1])))
    assert_rotations(rot.nearest_rotation(np.random.default_rng(5).normal(size=(30, 3, 3))))


def test_rotation_between_is_the_smallest_that_maps() -> None:
    a, b = np.random.default_rng(6).normal(size=(2, 40, 3))
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    R = rot.rotation_between(a, b)
    assert_rotations(R)
    np.testing.assert_allclose((R @ a[..., None])[..., 0], b, atol=1e-12)
    np.testing.assert_allclose(rot.geodesic_angle(R, np.eye(3)), np.arccos((a * b).sum(1)), atol=1e-7)
    np.testing.assert_allclose(rot.rotation_between(a, a), np.broadcast_to(np.eye(3), (40, 3, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (rot.matrix_from_axis_angle, (4,)),
        (rot.axis_angle_from_matrix, (3, 4)),
        (rot.matrix_from_quaternion, (3,)),
        (rot.matrix_from_6d, (9,)),
        (rot.nearest_rotation, (2, 2)),
    ],
)
def test_wrong_shapes_are_named(function, shape) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        function(np.zeros(shape))
