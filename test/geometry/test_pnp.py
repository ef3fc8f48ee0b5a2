import numpy as np
import pytest

from prehend.conventions import NUM_CONTROL_POINTS
from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.geometry.pnp import MIN_MATCHES, MIRRORED_ORDER, control_points, solve_pnp
from prehend.geometry.rotations import geodesic_angle, matrix_from_quaternion
from prehend.types import Camera

CAMERA = Camera(np.array([[600.0, 0, 310], [0, 620, 250], [0, 0, 1]]), 640, 480, np.array([0.1, -0.2, 0, 0.002, 0.05]))
EXTENTS, CENTER = np.array([0.06, 0.09, 0.2]), np.array([0.01, 0.0, -0.02])


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = matrix_from_quaternion(rng.normal(size=4))
    T[:3, 3] = rng.uniform([-0.1, -0.1, 0.4], [0.1, 0.1, 0.9])
    return T


def matches(T: np.ndarray, copies: int = 1) -> tuple[np.ndarray, np.ndarray]:
    points = np.repeat(control_points(EXTENTS, CENTER), copies, axis=0)
    return points, project(points @ T[:3, :3].T + T[:3, 3], CAMERA)


def test_control_points_come_in_the_papers_order() -> None:
    points = control_points([2.0, 4.0, 6.0])
    assert points.shape == (NUM_CONTROL_POINTS, 3)
    np.testing.assert_array_equal(points[:3], [[-1, -2, -3], [1, -2, -3], [-1, 2, -3]])
    np.testing.assert_array_equal(points[7], [1, 2, 3])
    np.testing.assert_array_equal(points[8:12], [[-1, 0, -3], [1, 0, -3], [0, 2, -3], [0, -2, -3]])
    np.testing.assert_array_equal(points[12:16], points[8:12] * [1, 1, -1])
    np.testing.assert_array_equal(points[16:20], [[-1, 2, 0], [-1, -2, 0], [1, 2, 0], [1, -2, 0]])
    np.testing.assert_array_equal(points[20], 0)


def test_control_points_are_distinct_and_move_with_the_centre() -> None:
    points = control_points(EXTENTS, CENTER)
    assert len({tuple(point.round(6)) for point in points}) == NUM_CONTROL_POINTS
    np.testing.assert_allclose(points - CENTER, control_points(EXTENTS))
    np.testing.assert_allclose(np.ptp(points, axis=0), EXTENTS)
    assert control_points(np.ones((4, 2, 3)), np.zeros((4, 2, 3))).shape == (4, 2, 21, 3)


def test_mirrored_order_is_the_reflection_at_y_and_its_own_inverse() -> None:
    order = list(MIRRORED_ORDER)
    points = control_points(EXTENTS)
    np.testing.assert_allclose(points[order], points * [1, -1, 1])
    np.testing.assert_array_equal(points[order][order], points)


@pytest.mark.parametrize("seed", range(5))
def test_recovers_a_known_pose(seed: int) -> None:
    T = pose(seed)
    result = solve_pnp(*matches(T), CAMERA)
    assert result is not None
    np.testing.assert_allclose(result.T_camera_object, T, atol=1e-5)
    assert result.inliers.all()
    assert result.rms_px < 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_outliers_do_little(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    T = pose(seed)
    points, pixels = matches(T, copies=10)
    pixels += rng.normal(0, 1, pixels.shape)
    wrong = rng.permutation(len(points))[:80]
    pixels[wrong] = rng.uniform([0, 0], [640, 480], (80, 2))
    result = solve_pnp(points, pixels, CAMERA)
    assert result is not None
    assert np.degrees(geodesic_angle(result.T_camera_object[:3, :3], T[:3, :3])) < 2
    assert np.linalg.norm(result.T_camera_object[:3, 3] - T[:3, 3]) < 0.02 * T[2, 3]
    true_inlier = np.ones(len(points), bool)
    true_inlier[wrong] = False
    assert (result.inliers & ~true_inlier).sum() <= 4
    assert 0.5 < result.rms_px < 3


def test_same_matches_same_pose() -> None:
    points, pixels = matches(pose(1), copies=5)
    pixels = pixels + np.random.default_rng(0).normal(0, 2, pixels.shape)
    first, second = (solve_pnp(points, pixels, CAMERA) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.T_camera_object, second.T_camera_object)


def test_refinement_is_a_minimum_of_the_reprojection_error() -> None:
    rng = np.random.default_rng(7)
    T = pose(2)
    points, pixels = matches(T)
    pixels = pixels + rng.normal(0, 0.7, pixels.shape)
    result = solve_pnp(points, pixels, CAMERA, threshold_px=20)
    assert result is not None

    def cost(T: np.ndarray) -> float:
        return float(((project(points @ T[:3, :3].T + T[:3, 3], CAMERA) - pixels) ** 2).sum())

    for _ in range(50):
        near = result.T_camera_object.copy()
        near[:3, :3] = matrix_from_quaternion(np.append(rng.normal(size=3) * 2e-3, 1)) @ near[:3, :3]
        near[:3, 3] += rng.normal(size=3) * 1e-3
        assert cost(near) > 0.98 * cost(result.T_camera_object)


def test_matches_that_are_not_finite_are_left_out() -> None:
    T = pose(3)
    points, pixels = matches(T, copies=2)
    pixels[::5] = np.nan
    result = solve_pnp(points, pixels, CAMERA)
    assert result is not None
    assert not result.inliers[::5].any()
    np.testing.assert_allclose(result.T_camera_object, T, atol=1e-5)


def test_too_little_gives_no_pose() -> None:
    points, pixels = matches(pose(4))
    assert solve_pnp(points[: MIN_MATCHES - 1], pixels[: MIN_MATCHES - 1], CAMERA) is None
    assert solve_pnp(points, np.full_like(pixels, np.nan), CAMERA) is None
    assert solve_pnp(np.zeros((10, 3)), pixels[:10], CAMERA) is None, "one point"
    line = np.linspace(0, 1, 10)[:, None] * [0.0, 0, 0.1]
    assert solve_pnp(line, pixels[:10], CAMERA) is None, "a line"
    assert solve_pnp(np.zeros((0, 3)), np.zeros((0, 2)), CAMERA) is None


def test_pure_noise_gives_no_pose_or_few_inliers() -> None:
    points, pixels = matches(pose(5))
    noise = np.random.default_rng(1).uniform([0, 0], [640, 480], pixels.shape)
    result = solve_pnp(points, noise, CAMERA, threshold_px=3)
    assert result is None or result.inliers.sum() < len(points) / 2


def test_wrong_arguments_are_named() -> None:
    points, pixels = matches(pose(6))
    with pytest.raises(InvalidInput, match="pixels"):
        solve_pnp(points, pixels[:-1], CAMERA)
    with pytest.raises(InvalidInput, match="threshold_px"):
        solve_pnp(points, pixels, CAMERA, threshold_px=0)
