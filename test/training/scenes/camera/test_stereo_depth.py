"""Measured depth against what two imagers can see, and the kinds of cameras against their data sheets."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from prehend_training.scenes.camera.cameras import camera_of, sample_camera
from prehend_training.scenes.camera.depth_sensor import DepthSensor, returned_light, sample_sensor, sense
from prehend_training.scenes.camera.lens import Lens

SHARP = DepthSensor(error_px=0.0, window_px=0.0, step_px=1e-3)
FOCAL_PX = 300.0
SHAPE = (40, 120)
BRIGHT = np.full(SHAPE, 0.5, np.float32)


def steps(near_m=0.6, far_m=1.4):
    """Near in the middle, far around."""
    depth = np.full(SHAPE, far_m, np.float32)
    depth[:, 50:80] = near_m
    return depth


def test_a_perfect_sensor_measures_what_both_imagers_see():
    """Each pixel's point, seen from the second imager along its own ray: is something else nearer there?"""
    depth = steps()
    seen = sense(depth, BRIGHT, FOCAL_PX, SHARP)
    row, base = depth[20], SHARP.baseline_m
    x = (np.arange(SHAPE[1]) - SHAPE[1] / 2) * row / FOCAL_PX
    across = FOCAL_PX * (x - base) / row  # where the second imager has each point [px]
    hidden = np.array([((np.abs(across - a) < 0.5) & (row < z - 0.01)).any() for a, z in zip(across, row, strict=True)])
    measured = seen[20] > 0
    inner = np.ones(SHAPE[1], bool)
    for edge in (*np.flatnonzero(np.diff(hidden.astype(int))), *np.flatnonzero(np.diff(row))):
        inner[max(edge - 2, 0) : edge + 3] = False
    assert hidden.any() and (measured[inner] == ~hidden[inner]).all()
    assert np.abs(seen[seen > 0] / 1000 - depth[seen > 0]).max() < 0.001 + 1.4**2 * 1e-3 / (447 * 0.05)


@pytest.mark.parametrize("shape", [(1, 1), (600, 40), (30, 700)])
def test_images_of_any_size_are_measured(shape):
    seen = sense(
        np.full(shape, 0.7, np.float32), np.ones(shape, np.float32), 300.0, sample_sensor(np.random.default_rng(1))
    )
    assert seen.shape == shape and seen.dtype == np.uint16 and (np.abs(seen[seen > 0].astype(int) - 700) < 60).all()


def test_no_measurement_is_outside_of_the_range():
    rng = np.random.default_rng(0)
    for seed in range(10):
        sensor = replace(sample_sensor(np.random.default_rng(seed)), error_px=0.5)
        depth = np.exp(rng.uniform(np.log(0.05), np.log(20), SHAPE)).astype(np.float32)
        seen = sense(depth, rng.uniform(0, 0.1, SHAPE).astype(np.float32), FOCAL_PX, sensor)
        found = seen[seen > 0] / 1000
        assert (found >= sensor.nearest_m - 0.001).all() and (found <= sensor.farthest_m + 0.001).all()


def test_less_light_is_fewer_measurements_and_never_other_ones():
    sensor = sample_sensor(np.random.default_rng(2))
    seen = [sense(steps(), light * np.ones(SHAPE, np.float32), FOCAL_PX, sensor) for light in (0.002, 0.01, 0.02, 0.5)]
    counts = [(one > 0).sum() for one in seen]
    assert counts == sorted(counts) and counts[0] == 0 < counts[1] < counts[3]
    for less, more in pairwise(seen):
        assert np.array_equal(less[less > 0], more[less > 0])


def test_a_wall_is_where_it_was_put():
    background = np.zeros(SHAPE, np.float32)
    for wall in (1.0, 2.5, 5.0):
        seen = sense(background, BRIGHT, FOCAL_PX, replace(SHARP, wall_m=wall))
        assert np.median(seen) == pytest.approx(1000 * wall, rel=0.02)


def test_sensors_are_drawn_within_what_such_cameras_do():
    sensors = [sample_sensor(np.random.default_rng(seed)) for seed in range(100)]
    assert {sensor.step_px for sensor in sensors} == {1 / 32, 1 / 16, 1 / 8}
    assert all(0.02 < sensor.error_px < 0.2 and 0.5 < sensor.window_px < 3.5 for sensor in sensors)
    assert all(1 <= sensor.wall_m <= 6 and sensor.baseline_m == 0.05 for sensor in sensors)
    assert len({sensor.seed for sensor in sensors}) == 100


def test_light_that_comes_back_is_a_share():
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(*SHAPE, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    albedo = rng.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
    depth = steps()
    depth[:5] = 0
    light = returned_light(depth, normals, albedo, rng.uniform(0, 1.5, SHAPE).astype(np.float32))
    assert light.shape == SHAPE and (light >= 0).all() and (light <= 1).all() and (light[:5] == 0.5).all()
    assert not light[5:][normals[5:, :, 2] > 0].any()  # what faces away sends nothing back
    white = np.full((*SHAPE, 3), 255, np.uint8)
    facing = np.broadcast_to(np.float32([0, 0, -1]), (*SHAPE, 3))
    assert returned_light(steps(), facing, white, np.zeros(SHAPE, np.float32)) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(("kind", "across_deg", "down_deg"), [("d435", 69, 42), ("d455", 90, 58)])
def test_realsense_cameras_see_what_their_data_sheet_says(kind, across_deg, down_deg):
    cameras = [camera_of(np.random.default_rng(seed), kind, 1280, 720) for seed in range(30)]
    across = np.mean([np.degrees(2 * np.arctan(640 / camera.K[0, 0])) for camera in cameras])
    down = np.mean([np.degrees(2 * np.arctan(360 / camera.K[1, 1])) for camera in cameras])
    assert across == pytest.approx(across_deg, abs=1.5) and down == pytest.approx(down_deg, abs=2.5)
    narrow = [camera_of(np.random.default_rng(seed), kind, 640, 480) for seed in range(30)]
    assert np.mean([np.degrees(2 * np.arctan(320 / camera.K[0, 0])) for camera in narrow]) < across - 8


@pytest.mark.parametrize("kind", ["webcam", "d435", "d455", "phone"])
def test_a_larger_image_of_the_same_camera_sees_the_same(kind):
    small, large = (camera_of(np.random.default_rng(3), kind, 640 * s, 480 * s) for s in (1, 2))
    assert large.K[[0, 1], [0, 1]] == pytest.approx(2 * small.K[[0, 1], [0, 1]])
    assert large.K[:2, 2] + 0.5 == pytest.approx(2 * (small.K[:2, 2] + 0.5))  # pixel centres are whole numbers
    assert np.allclose(small.distortion, large.distortion)
    upright = camera_of(np.random.default_rng(3), kind, 480, 640)
    assert upright.K[0, 0] == pytest.approx(small.K[0, 0])


def test_pixels_are_nearly_square_and_the_axis_is_near_the_middle():
    for seed in range(60):
        camera = sample_camera(np.random.default_rng(seed))
        assert camera.K[1, 1] == pytest.approx(camera.K[0, 0], rel=0.012)
        off = camera.K[:2, 2] - [(camera.width - 1) / 2, (camera.height - 1) / 2]
        assert np.abs(off).max() < 0.06 * max(camera.width, camera.height)
        assert not camera.estimated and camera.K[0, 1] == 0 and camera.K[2].tolist() == [0, 0, 1]


def test_wide_webcams_have_barrels_and_narrow_ones_hardly_bend():
    shifts = []
    for seed in range(200):
        camera = camera_of(np.random.default_rng(seed), "webcam", 640, 480)
        corner = np.hypot(640, 480) / 2 / camera.K[0, 0]
        radial = camera.distortion * [1, 1, 0, 0, 1]  # without the decentring
        bent = Lens.of(replace(camera, distortion=radial)).plane(np.array([corner, 0.0, 1.0]))[0]
        shifts.append((corner, bent / corner - 1))
    corner, shift = np.array(shifts).T
    wide, narrow = corner > np.quantile(corner, 0.8), corner < np.quantile(corner, 0.2)
    assert shift[wide].mean() < -0.04 and abs(shift[narrow].mean()) < 0.015
    assert shift.min() > -0.23 and shift.max() < 0.06
