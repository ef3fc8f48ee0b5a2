import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.geometry.control_points import control_points
from prehend.geometry.placing import DepthCue, moments_of, place
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.types import Camera, FloatArray

CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)
EXTENTS = np.array([0.07, 0.05, 0.2])
POINTS = control_points(EXTENTS)
EVEN = np.ones(21)
HALF_TURNS = (np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1]))


def pose(seed: int, distance: float = 0.5) -> FloatArray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = matrix_from_axis_angle(rng.normal(0, 1, 3))
    T[:3, 3] = [*rng.uniform(-0.1, 0.1, 2), distance]
    return T


def seen_at(T: FloatArray, shrink: float = 1.0) -> FloatArray:
    pixels = project(POINTS @ T[:3, :3].T + T[:3, 3], CAMERA)
    return pixels[-1] + shrink * (pixels - pixels[-1])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shrink", [1.0, 0.4])
def test_points_that_shrink_give_the_pose_that_whole_ones_give(seed: int, shrink: float) -> None:
    T = pose(seed)
    placed = place(POINTS, seen_at(T, shrink), EVEN, CAMERA, [DepthCue(0.5, 0.05)])
    assert placed is not None and placed.shrink == pytest.approx(shrink, rel=0.02)
    assert geodesic_angle(placed.T_camera_object[:3, :3], T[:3, :3]) < 0.02
    np.testing.assert_allclose(placed.T_camera_object[:3, 3], T[:3, 3], atol=2e-3)
    assert placed.residual < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_moments_tell_how_a_box_lies_where_points_tell_nothing(seed: int) -> None:
    T = pose(seed)
    rng = np.random.default_rng(seed)
    pixels = seen_at(T)[-1] + rng.normal(0, 0.2, (21, 2))
    placed = place(POINTS, pixels, EVEN, CAMERA, [DepthCue(0.5, 0.05)], moments_of(T[:3, :3], POINTS))
    assert placed is not None
    turns = [geodesic_angle(placed.T_camera_object[:3, :3], T[:3, :3] @ half) for half in HALF_TURNS]
    assert min(turns) < 0.1


def test_points_tell_which_end_is_which_where_moments_do_not() -> None:
    T = pose(3)
    pixels = seen_at(T, 0.3) + np.random.default_rng(0).normal(0, 3.0, (21, 2))
    alone = place(POINTS, pixels, EVEN, CAMERA, [DepthCue(0.5, 0.05)])
    both = place(POINTS, pixels, EVEN, CAMERA, [DepthCue(0.5, 0.05)], moments_of(T[:3, :3], POINTS))
    assert alone is not None and both is not None
    error = [geodesic_angle(one.T_camera_object[:3, :3], T[:3, :3]) for one in (alone, both)]
    assert error[1] < 0.1 and error[1] < error[0]


def test_the_surer_cue_decides_the_distance() -> None:
    T = pose(1)
    sure, unsure = DepthCue(0.5, 0.02), DepthCue(0.8, 0.2)
    placed = place(POINTS, seen_at(T), EVEN, CAMERA, [unsure, sure])
    assert placed is not None and placed.T_camera_object[2, 3] == pytest.approx(0.5, abs=0.01)
    swapped = place(POINTS, seen_at(T), EVEN, CAMERA, [sure, unsure])
    assert swapped is not None
    np.testing.assert_allclose(swapped.T_camera_object, placed.T_camera_object)


def test_too_few_points_or_points_on_a_line_are_no_pose() -> None:
    pixels = seen_at(pose(0))
    cue = [DepthCue(0.5, 0.05)]
    few = np.where(np.arange(21)[:, None] < 4, pixels, np.nan)
    assert place(POINTS, few, EVEN, CAMERA, cue) is None
    assert place(POINTS * [1, 0, 0], pixels, EVEN, CAMERA, cue) is None
    assert place(POINTS, np.zeros((21, 2)) + 100.0, EVEN, CAMERA, cue) is not None
