import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.geometry import camera as cam
from prehend.types import Camera

K = np.array([[600.0, 0, 310], [0, 620, 250], [0, 0, 1]])
CAMERAS = {
    "pinhole": Camera(K, 640, 480),
    "plumb_bob": Camera(K, 640, 480, np.array([0.1, -0.2, 0.001, -0.002, 0.05])),
    "barrel": Camera(K, 640, 480, np.array([-0.3, 0.1, 0, 0])),
    "rational": Camera(K, 640, 480, np.array([0.5, -0.2, 0.001, 0.002, 0.05, 0.4, -0.1, 0.02]), "rational_polynomial"),
    "equidistant": Camera(K, 640, 480, np.array([0.05, -0.01, 0.003, 0.001]), "equidistant"),
}


@pytest.fixture(params=CAMERAS)
def camera(request: pytest.FixtureRequest) -> Camera:
    return CAMERAS[request.param]


def pixels_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0, 0], [640, 480], (*shape, 2))


@pytest.mark.parametrize("lead", [(), (7,), (2, 3), (0,)])
def test_project_inverts_backproject_at_any_depth(camera: Camera, lead: tuple[int, ...]) -> None:
    pixels = pixels_of(lead)
    depth = np.random.default_rng(1).uniform(0.2, 3, lead)
    points = cam.backproject(pixels, depth, camera)
    assert points.shape == (*lead, 3)
    np.testing.assert_allclose(points[..., 2], depth)
    np.testing.assert_allclose(cam.project(points, camera), pixels, atol=1e-6)


def test_projection_is_opencvs(camera: Camera) -> None:
    points = np.random.default_rng(2).uniform([-0.4, -0.3, 0.7], [0.4, 0.3, 2], (50, 3))
    if camera.distortion_model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), K, camera.distortion)
    else:
        expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, camera.distortion)
    np.testing.assert_allclose(cam.project(points, camera), np.reshape(expected, (-1, 2)), atol=1e-9)


def test_skew_is_part_of_K() -> None:
    skewed = Camera(np.array([[600.0, 9, 310], [0, 620, 250], [0, 0, 1]]), 640, 480)
    point = np.array([0.2, 0.3, 1.5])
    homogeneous = skewed.K @ point
    np.testing.assert_allclose(cam.project(point, skewed), homogeneous[:2] / homogeneous[2])
    np.testing.assert_allclose(cam.backproject(cam.project(point, skewed), 1.5, skewed), point)


def test_points_behind_the_camera_have_no_pixel(camera: Camera) -> None:
    seen = cam.project(np.array([[0.1, 0.1, 1.0], [0.1, 0.1, 0.0], [0.1, 0.1, -1.0]]), camera)
    assert np.isfinite(seen[0]).all()
    assert np.isnan(seen[1:]).all()


def test_pixels_without_a_ray_are_nan_and_not_a_guess() -> None:
    # with k1 = -0.3 alone the distorted radius never exceeds 0.703 focal lengths
    barrel = Camera(K, 640, 480, np.array([-0.3, 0, 0, 0]))
    assert np.isnan(cam.plane_from_pixels(np.array([310 + 600.0, 250.0]), barrel)).all()
    assert np.isnan(cam.plane_from_pixels(np.array([np.nan, 3.0]), barrel)).all()
    assert np.isfinite(cam.plane_from_pixels(np.array([310 + 300.0, 250.0]), barrel)).all()


def test_viewing_rays_are_unit_and_pass_the_pixel(camera: Camera) -> None:
    pixels = pixels_of((20,))
    rays = cam.viewing_rays(pixels, camera)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    np.testing.assert_allclose(cam.project(1.7 * rays, camera), pixels, atol=1e-6)


def test_crop_rotation_turns_z_onto_the_ray_and_keeps_x_level(camera: Camera) -> None:
    centers = pixels_of((20,), 3)
    R = cam.rotation_camera_crop(centers, camera)
    np.testing.assert_allclose(R[..., 2], cam.viewing_rays(centers, camera), atol=1e-9)
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.broadcast_to(np.eye(3), R.shape), atol=1e-9)
    # the axis lies in the image plane: nothing turns about the line of sight
    np.testing.assert_allclose(R[:, 0, 1], R[:, 1, 0], atol=1e-9)


def test_mirroring_the_picture_mirrors_the_crop_rotation() -> None:
    mirrored_K = K.copy()
    mirrored_K[0, 2] = 639 - K[0, 2]
    mirrored = Camera(mirrored_K, 640, 480)
    centers = pixels_of((20,), 4)
    flipped = centers * [-1, 1] + [639, 0]
    expected = MIRROR @ cam.rotation_camera_crop(centers, CAMERAS["pinhole"]) @ MIRROR
    np.testing.assert_allclose(cam.rotation_camera_crop(flipped, mirrored), expected, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.05, 8), st.floats(-500, 500), st.floats(-500, 500), st.booleans(), st.floats(-3, 3))
def test_crop_intrinsics_project_to_the_warped_pixel(scale: float, x: float, y: float, flip: bool, turn: float) -> None:
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    affine = np.column_stack([linear @ np.diag([-1.0 if flip else 1.0, 1.0]), [x, y]])
    points = np.random.default_rng(5).uniform([-0.4, -0.3, 0.7], [0.4, 0.3, 2], (10, 3))
    warped = cam.project(points, CAMERAS["pinhole"]) @ affine[:, :2].T + affine[:, 2]
    homogeneous = points @ cam.crop_intrinsics(K, affine).T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], warped, atol=1e-6)


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (640, 480), (213, 160)])
def test_a_resized_image_has_the_scaled_camera(camera: Camera, size: tuple[int, int]) -> None:
    scaled = cam.scale_camera(camera, *size)
    points = np.random.default_rng(6).uniform([-0.3, -0.2, 0.7], [0.3, 0.2, 2], (20, 3))
    # corners of the image stay corners: (-0.5, -0.5) and (W - 0.5, H - 0.5)
    expected = (cam.project(points, camera) + 0.5) * (np.array(size) / [640, 480]) - 0.5
    np.testing.assert_allclose(cam.project(points, scaled), expected, atol=1e-9)
    assert (scaled.width, scaled.height) == size
    assert scaled.distortion_model == camera.distortion_model


def test_another_aspect_ratio_is_refused_with_both_sizes() -> None:
    with pytest.raises(InvalidInput, match=r"640 x 480.*640 x 360"):
        cam.scale_camera(CAMERAS["pinhole"], 640, 360)
    with pytest.raises(InvalidInput, match="not positive"):
        cam.scale_camera(CAMERAS["pinhole"], 0, 0)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1, 1)])
def test_estimated_camera_sees_the_angle_asked_for(size: tuple[int, int]) -> None:
    guess = cam.estimated_camera(*size, fov_deg=70)
    assert guess.estimated
    longer = int(np.argmax(size))
    edges = np.full((2, 2), [(size[0] - 1) / 2, (size[1] - 1) / 2])
    edges[:, longer] = -0.5, size[longer] - 0.5
    a, b = cam.viewing_rays(edges, guess)
    np.testing.assert_allclose(np.degrees(np.arccos(a @ b)), 70)


@pytest.mark.parametrize("fov", [0, 180, -10, np.nan])
def test_field_of_view_out_of_range_is_refused(fov: float) -> None:
    with pytest.raises(InvalidInput, match="field of view"):
        cam.estimated_camera(640, 480, fov)


@pytest.mark.parametrize(
    ("model", "count"), [("plumb_bob", 8), ("rational_polynomial", 3), ("equidistant", 5), ("kannala", 4)]
)
def test_coefficients_have_to_fit_the_model(model: str, count: int) -> None:
    wrong = Camera(K, 640, 480, np.full(count, 0.01), model)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=model):
        cam.project(np.array([0, 0, 1.0]), wrong)
