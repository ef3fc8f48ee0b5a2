"""Labels go through the lens that the runtime knows, and nothing far outside is folded back into the image."""

import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.types import Camera
from prehend_training.scenes.camera.cameras import CAMERA_KINDS, camera_of, sample_camera
from prehend_training.scenes.camera.lens import FAR_M, NEAR_M, Lens, pixels, projection, sun_projection

K = np.array([[300.0, 0, 159.5], [0, 310, 119.5], [0, 0, 1]])
LENSES = {
    "none": Camera(K, 320, 240),
    "barrel": Camera(K, 320, 240, np.array([-0.25, 0.06, 1e-3, -5e-4, 0.0])),
    "pincushion": Camera(K, 320, 240, np.array([0.2, 0.05, 0, 0, 0])),
    "turns round": Camera(K, 320, 240, np.array([-0.4, 0.0, 0, 0, 0])),
    "rational": Camera(
        K, 320, 240, np.array([0.3, -0.1, 1e-4, 2e-4, 0.02, 0.5, -0.05, 0.01]), distortion_model="rational_polynomial"
    ),
    "prism": Camera(
        K, 320, 240, np.array([0.1, 0, 0, 0, 0, 0.05, 0, 0, 1e-3, 0, 2e-3, 0]), distortion_model="rational_polynomial"
    ),
    "fisheye": Camera(K, 320, 240, np.array([-0.05, 0.01, -0.004, 0.001]), distortion_model="equidistant"),
}


def along(direction, radii):
    """Points on the plane z = 1 along a direction."""
    return np.stack([radii * np.cos(direction), radii * np.sin(direction), np.ones_like(radii)], -1)


@pytest.mark.parametrize("name", LENSES)
def test_inside_of_its_reach_it_is_the_lens_of_the_runtime(name):
    camera = LENSES[name]
    reach = Lens.of(camera).reach
    most = min(np.tan(min(reach, 1.3)) if name == "fisheye" else reach, 2.0)
    for direction in np.linspace(0, 6, 7):
        points = 0.4 * along(direction, np.linspace(0, 0.97 * most, 40))
        np.testing.assert_allclose(pixels(points, camera), project(points, camera), atol=1e-6)


@pytest.mark.parametrize("name", LENSES)
def test_what_is_farther_from_the_axis_is_farther_from_the_middle(name):
    for direction in np.linspace(0, 6, 7):
        plane = Lens.of(LENSES[name]).plane(along(direction, np.linspace(0, 8, 400)))
        outwards = plane @ [np.cos(direction), np.sin(direction)]
        assert (np.diff(outwards) > 0).all()


@pytest.mark.parametrize("name", LENSES)
def test_what_is_behind_the_camera_is_not_seen(name):
    rng = np.random.default_rng(0)
    behind = rng.normal(size=(100, 3)) * [0.3, 0.3, 1]
    behind[:, 2] = -np.abs(behind[:, 2])
    behind[:, :2] += np.sign(behind[:, :2]) * 0.05
    u, v = pixels(behind, LENSES[name]).T
    assert np.isfinite(u).all() and ((u < 0) | (u > 319) | (v < 0) | (v > 239)).all()


@pytest.mark.parametrize("at", [(0, 0), (319, 239), (100, 50)])
def test_clip_space_has_the_centre_of_the_first_pixel_half_a_pixel_inside(at):
    clip = projection(K, 320, 240)
    for depth in (NEAR_M, 0.5, FAR_M):
        x, y, z, w = clip @ np.append(np.linalg.solve(K, [*at, 1.0]) * depth, 1)
        assert ((x / w + 1) / 2 * 320 - 0.5, (y / w + 1) / 2 * 240 - 0.5) == pytest.approx(at)
        assert w == pytest.approx(depth) and -1 - 1e-9 <= z / w <= 1 + 1e-9
    assert [z / w for *_, z, w in (clip @ [0, 0, d, 1] for d in (NEAR_M, FAR_M))] == pytest.approx([-1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_sun_sees_all_points_and_what_is_nearer_to_it_first(seed):
    rng = np.random.default_rng(seed)
    points, direction = rng.normal(size=(40, 3)), rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    clip = sun_projection(points, direction, 0.1)
    seen = np.c_[points, np.ones(40)] @ clip.T
    assert (np.abs(seen[:, :3]) < 1).all() and np.allclose(seen[:, 3], 1)
    nearer = np.append(points[0] + 0.1 * direction, 1) @ clip.T
    np.testing.assert_allclose(nearer[:2], seen[0, :2], atol=1e-9)
    assert nearer[2] < seen[0, 2]


@pytest.mark.parametrize("kind", CAMERA_KINDS)
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720)])
def test_cameras_see_the_angle_of_their_kind_and_do_not_fold(kind, size):
    for seed in range(20):
        camera = camera_of(np.random.default_rng(seed), kind, *size)
        across = np.rad2deg(2 * np.arctan(max(size) / 2 / camera.K[0, 0]))
        assert 50 < across < 100 and (camera.width, camera.height) == size
        corner = np.hypot(*size) / 2 / camera.K[0, 0]
        assert Lens.of(camera).reach > corner  # the image itself is as the runtime undistorts it
        moved = np.linalg.norm(Lens.of(camera).plane(np.array([corner, 0, 1.0]))) / corner - 1
        assert abs(moved) < (0.25 if kind == "webcam" else 0.04)


def test_a_straight_camera_has_no_distortion_and_is_otherwise_the_same():
    bent, straight = (sample_camera(np.random.default_rng(4), 320, 240, straight=s) for s in (False, True))
    assert np.array_equal(bent.K, straight.K) and bent.distortion.any() and not straight.distortion.any()
