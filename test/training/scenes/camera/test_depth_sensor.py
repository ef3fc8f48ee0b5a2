"""The depth camera of rendered scenes: exact where nothing disturbs it, and blind where such cameras are."""

import numpy as np
import pytest

from prehend_training.scenes.camera.depth_sensor import DepthSensor, returned_light, sample_sensor, sense

GOOD = DepthSensor(error_px=0.0, window_px=0.0, step_px=1e-4)
BRIGHT = np.ones((40, 60), np.float32)


def plane(depth_m):
    return np.full((40, 60), depth_m, np.float32)


@pytest.mark.parametrize("depth_m", [0.25, 0.5, 1.0, 3.0])
def test_a_sensor_without_errors_tells_whole_millimetres(depth_m):
    told = sense(plane(depth_m), BRIGHT, 447.0, GOOD)
    assert told.dtype == np.uint16 and (np.abs(told - 1000 * depth_m) <= 1 + 0.02 * depth_m**2).all()


@pytest.mark.parametrize("depth_m", [0.1, 0.19, 8.5, 30.0])
def test_what_is_too_near_or_too_far_has_no_depth(depth_m):
    assert not sense(plane(depth_m), BRIGHT, 447.0, GOOD).any()


def test_the_background_is_a_wall():
    assert np.abs(sense(plane(0.0), BRIGHT, 447.0, GOOD).astype(int) - 2500).max() <= 2


def test_the_error_grows_with_the_square_of_the_distance():
    sensor = DepthSensor(error_px=0.06, window_px=0.0, step_px=1e-4)
    spread = [sense(np.full((300, 300), d), np.ones((300, 300)), 447.0, sensor).std() for d in (0.5, 1.0, 2.0)]
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.15) and spread[2] / spread[1] == pytest.approx(4, rel=0.15)
    assert spread[1] == pytest.approx(1000 * 0.06 / (447 * 0.05), rel=0.15)  # error * z^2 / (focal * baseline)


def test_steps_of_disparity_are_steps_of_depth():
    slope = np.linspace(1.0, 1.5, 60, dtype=np.float32)[None].repeat(40, 0)
    told = np.unique(sense(slope, BRIGHT, 447.0, DepthSensor(error_px=0.0, window_px=0.0, step_px=1.0)))
    disparity = 447 * 0.05 * 1000 / told[told > 0]
    np.testing.assert_allclose(disparity, disparity.round(), atol=0.02)


def test_left_of_what_is_near_is_a_band_without_depth():
    depth = plane(2.0)
    depth[:, 30:45] = 0.5
    told = sense(depth, BRIGHT, 447.0, GOOD)
    band = 447 * 0.05 * (1 / 0.5 - 1 / 2.0)  # the difference of disparities
    blind = np.flatnonzero(told[20] == 0)
    assert blind.max() == 29 and len(blind) == pytest.approx(min(band, 30), abs=2)
    assert (told[20, 45:] > 0).all()  # not to its right


def test_what_is_near_grows_by_the_window():
    depth = plane(1.0)
    depth[18:22, 28:32] = 0.99
    told = sense(depth, BRIGHT, 447.0, DepthSensor(error_px=0.0, window_px=2.0, step_px=1e-4))
    assert (told < 995).sum() > (depth < 0.995).sum() + 10


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.02), (0.5, 0.95, 1.0), (0.017, 0.3, 0.7)])
def test_little_light_gives_few_depths(share, least, most):
    found = (sense(np.full((200, 200), 1.0), np.full((200, 200), share), 447.0, GOOD) > 0).mean()
    assert least <= found <= most


def test_dark_mirroring_and_steep_surfaces_return_little():
    at = np.ones((1, 4), np.float32)
    normals = np.array([[[0, 0, -1], [0, 0, -1], [0, 0, -1], [1, 0, 0]]], np.float32)
    albedo = np.array([[[255] * 3, [10] * 3, [255] * 3, [255] * 3]], np.uint8)
    light = returned_light(at, normals, albedo, np.array([[0, 0, 1, 0]], np.float32))[0]
    assert light[0] == pytest.approx(1, abs=1e-5) and (light[1:] < 0.11).all() and (light >= 0).all()


def test_a_seed_decides_the_errors():
    sensor = sample_sensor(np.random.default_rng(0))
    first, again = (sense(plane(1.0), BRIGHT, 447.0, sensor) for _ in range(2))
    other = sense(plane(1.0), BRIGHT, 447.0, sample_sensor(np.random.default_rng(1)))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
