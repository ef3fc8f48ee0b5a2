"""Cameras: mirrored, resized and cut, they see the same points in pixels that follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.geometry.camera import (
    backproject,
    crop_intrinsics,
    estimated_camera,
    mirror_camera,
    plane_from_pixels,
    project,
    rotation_camera_crop,
    scale_camera,
    viewing_rays,
)
from prehend.geometry.rotations import geodesic_angle, hat, matrix_from_axis_angle, nearest_rotation
from prehend.types import Camera

K = np.array([[520.0, 3.0, 310.5], [0, 505.0, 251.25], [0, 0, 1]])
MODELS = {
    "none": ((), "plumb_bob"),
    "plumb_bob": ((0.1, -0.05, 0.002, -0.003, 0.01), "plumb_bob"),
    "rational": ((0.1, -0.05, 0.002, -0.003, 0.01, 0.02, 0.01, 0.001), "rational_polynomial"),
    "prism": ((0.1, -0.05, 0.002, -0.003, 0, 0, 0, 0, 0.004, -0.002, 0.003, 0.001), "rational_polynomial"),
    "tilted": (
        (0.1, -0.05, 0.002, -0.003, 0, 0, 0, 0, 0.004, -0.002, 0.003, 0.001, 0.02, -0.03), "rational_polynomial",
    ),
    "equidistant": ((0.05, -0.01, 0.004, -0.002), "equidistant"),
}  # fmt: skip
CAMERAS = [Camera(K, 640, 480, *given) for given in MODELS.values()]
few = settings(max_examples=20, deadline=None, derandomize=True)
points = st.integers(0, 1000).map(
    lambda seed: np.random.default_rng(seed).uniform([-0.2, -0.15, 0.5], [0.2, 0.15, 1.5], (20, 3))
)


@pytest.mark.parametrize("camera", CAMERAS, ids=MODELS)
def test_the_mirrored_camera_sees_the_mirrored_world_in_the_mirrored_image(camera):
    world = np.random.default_rng(0).uniform([-0.3, -0.2, 0.5], [0.3, 0.2, 1.5], (50, 3))
    seen, mirrored = project(world, camera), project(world @ MIRROR, mirror_camera(camera))
    np.testing.assert_allclose(mirrored, np.stack([639 - seen[:, 0], seen[:, 1]], 1), atol=1e-6)


@pytest.mark.parametrize("camera", CAMERAS, ids=MODELS)
def test_mirrored_twice_is_the_same_camera(camera):
    again = mirror_camera(mirror_camera(camera))
    np.testing.assert_allclose(again.K, camera.K, atol=1e-12)
    np.testing.assert_array_equal(again.distortion, camera.distortion)


@pytest.mark.parametrize("camera", CAMERAS, ids=MODELS)
@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 3])
def test_a_resized_image_is_seen_at_scaled_pixels(camera, factor):
    world = np.random.default_rng(1).uniform([-0.3, -0.2, 0.5], [0.3, 0.2, 1.5], (50, 3))
    scaled = scale_camera(camera, int(640 * factor), int(480 * factor))
    np.testing.assert_allclose(project(world, scaled), (project(world, camera) + 0.5) * factor - 0.5, atol=1e-6)
    back = scale_camera(scaled, 640, 480)
    np.testing.assert_allclose(back.K, camera.K, atol=1e-9)


@pytest.mark.parametrize("camera", CAMERAS, ids=MODELS)
def test_resizing_and_mirroring_go_in_either_order(camera):
    one = mirror_camera(scale_camera(camera, 320, 240))
    other = scale_camera(mirror_camera(camera), 320, 240)
    np.testing.assert_allclose(one.K, other.K, atol=1e-9)
    np.testing.assert_array_equal(one.distortion, other.distortion)


@few
@given(points, st.floats(0.1, 10))
def test_a_world_that_is_larger_and_farther_looks_the_same(world, scale):
    for camera in CAMERAS[:2]:
        np.testing.assert_allclose(project(scale * world, camera), project(world, camera), atol=1e-6)


@few
@given(points)
def test_rays_do_not_depend_on_the_depth_that_pixels_are_taken_to(world):
    camera = CAMERAS[1]
    pixels = project(world, camera)
    rays = viewing_rays(pixels, camera)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    near, far = (backproject(pixels, depth, camera) for depth in (0.3, 4.0))
    np.testing.assert_allclose(far / near, 4.0 / 0.3, rtol=1e-9)
    np.testing.assert_allclose(np.cross(rays, near), 0, atol=1e-9)
    np.testing.assert_allclose(plane_from_pixels(pixels, camera), near[:, :2] / near[:, 2:], atol=1e-12)


@few
@given(points, st.floats(-3, 3))
def test_a_crops_camera_is_a_rotation_and_its_turn_adds(world, turn):
    centers = project(world, CAMERAS[1])
    R = rotation_camera_crop(centers, CAMERAS[1], turn)
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=1e-9)
    np.testing.assert_allclose(R[..., 2], viewing_rays(centers, CAMERAS[1]), atol=1e-9)
    np.testing.assert_allclose(geodesic_angle(R, rotation_camera_crop(centers, CAMERAS[1])), abs(turn), atol=1e-6)


@few
@given(st.floats(0.2, 5), st.floats(-50, 50), st.floats(0.2, 5), st.floats(-50, 50))
def test_crops_of_crops_are_one_crop(scale, shift, more, further):
    one, two = (np.array([[s, 0, t], [0, s, -t]]) for s, t in ((scale, shift), (more, further)))
    both = np.vstack([two, [0, 0, 1]]) @ np.vstack([one, [0, 0, 1]])
    np.testing.assert_allclose(crop_intrinsics(crop_intrinsics(K, one), two), crop_intrinsics(K, both[:2]), atol=1e-6)
    np.testing.assert_array_equal(crop_intrinsics(K, np.eye(3)[:2]), K)


@few
@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(20, 120))
def test_a_guessed_camera_sees_its_angle_across_the_longer_side(width, height, angle):
    camera = estimated_camera(width, height, angle)
    longer = max(width, height)
    assert np.degrees(2 * np.arctan(longer / 2 / camera.K[0, 0])) == pytest.approx(angle)
    assert (
        camera.estimated and mirror_camera(camera).estimated and scale_camera(camera, 2 * width, 2 * height).estimated
    )
    turned = estimated_camera(height, width, angle)
    assert (turned.K[0, 0], turned.K[0, 2], turned.K[1, 2]) == (camera.K[0, 0], camera.K[1, 2], camera.K[0, 2])


@pytest.mark.parametrize("size", [(0, 480), (640, -1), (480, 640), (640, 320)])
def test_an_image_that_was_cut_or_turned_is_no_resized_one(size):
    with pytest.raises(InvalidInput):
        scale_camera(CAMERAS[0], *size)


@few
@given(st.integers(0, 1000))
def test_the_nearest_rotation_is_nearer_than_its_neighbours(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, (3, 3))
    R = nearest_rotation(matrix)
    assert np.linalg.det(R) == pytest.approx(1)
    for turn in rng.normal(0, 0.2, (5, 3)):
        other = R @ matrix_from_axis_angle(turn)
        assert np.linalg.norm(matrix - R) <= np.linalg.norm(matrix - other) + 1e-12
    np.testing.assert_allclose(nearest_rotation(R), R, atol=1e-12)


@few
@given(st.integers(0, 1000))
def test_a_hat_is_the_cross_product_and_angles_are_a_distance(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, (2, 4, 3))
    np.testing.assert_allclose((hat(a) @ b[..., None])[..., 0], np.cross(a, b))
    P, Q, R = matrix_from_axis_angle(rng.normal(0, 1, (3, 3)))
    assert geodesic_angle(P, Q) == pytest.approx(geodesic_angle(Q, P)) and geodesic_angle(P, P) < 1e-7
    assert geodesic_angle(P, R) <= geodesic_angle(P, Q) + geodesic_angle(Q, R) + 1e-9
    assert geodesic_angle(R @ P, R @ Q) == pytest.approx(geodesic_angle(P, Q))
