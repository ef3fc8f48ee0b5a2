"""How hands and heads move: from here to there, without jumps, as fast as they are said to."""

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend_training.scenes.layout.rig import head_track, look_at, table_rig
from prehend_training.scenes.motion import (
    APERTURE_PEAK,
    aperture_course,
    between,
    curve,
    least_jerk,
    mixed_angles,
    poses,
    reach_course,
    sway,
)

SHARES = np.linspace(0, 1, 201)


@pytest.mark.parametrize("course", [least_jerk, reach_course])
def test_a_movement_begins_and_ends_at_rest_and_never_goes_back(course):
    way = course(SHARES)
    assert (way[0], way[-1]) == pytest.approx((0, 1)) and (np.diff(way) >= 0).all()
    speed = np.gradient(way, SHARES)
    assert speed[[0, -1]].max() < 0.05 * speed.max() and 1.5 < speed.max() < 2.5


@pytest.mark.parametrize("course", [least_jerk, reach_course])
def test_before_and_after_it_nothing_moves(course):
    assert course(np.array([-1.0, -0.1])).tolist() == [0, 0] and course(np.array([1.1, 9.0])).tolist() == [1, 1]


def test_movements_of_least_jerk_are_even():
    np.testing.assert_allclose(least_jerk(SHARES) + least_jerk(1 - SHARES), 1)


@pytest.mark.parametrize(("start", "end"), [(0.2, 0.5), (0.9, 0.1), (1.0, 1.0)])
def test_fingers_open_to_the_widest_on_the_way(start, end):
    wide = aperture_course(SHARES, start, end)
    assert (wide[0], wide[-1]) == pytest.approx((start, end)) and wide.max() == pytest.approx(1, abs=1e-3)
    if min(start, end) < 1:
        assert SHARES[wide.argmax()] == pytest.approx(APERTURE_PEAK, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0, 3.1])
def test_a_turn_goes_evenly_about_one_axis(angle):
    rng = np.random.default_rng(0)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    first = matrix_from_axis_angle(rng.normal(size=3))
    turns = between(first, first @ matrix_from_axis_angle(angle * axis), np.array([0, 0.25, 0.5, 1]))
    expected = [first @ matrix_from_axis_angle(share * angle * axis) for share in (0, 0.25, 0.5, 1)]
    np.testing.assert_allclose(turns, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_places_along_a_curve_are_as_far_apart_as_their_shares(seed):
    start, control, end = np.random.default_rng(seed).normal(size=(3, 3))
    way = curve(start, control, end, SHARES)
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    np.testing.assert_allclose(way[[0, -1]], [start, end], atol=1e-9)
    assert steps.max() / steps.min() < 1.1


def test_a_curve_that_goes_nowhere_stays():
    place = np.array([1.0, 2, 3])
    assert (curve(place, place, place, np.array([0, 0.5, 1.0])) == place).all()


@pytest.mark.parametrize("count", [1, 30])
def test_swaying_is_about_nothing_and_smooth(count):
    moves = np.concatenate([sway(np.random.default_rng(s), 300, 30.0, 0.01, (0.15, 1.2)) for s in range(count)])
    assert moves.shape == (300 * count, 3) and np.abs(moves).max() < 0.01 * 2**0.5 * 5**0.5 + 1e-9
    if count > 1:
        np.testing.assert_allclose(moves.std(0), 0.01, rtol=0.2)
        steps = np.diff(moves.reshape(count, 300, 3), axis=1) * 30
        assert np.abs(steps).max() < 0.01 * 2**0.5 * 5**0.5 * 2 * np.pi * 1.2  # no faster than its highest frequency


def test_fingers_may_close_one_by_one():
    first, last = np.zeros((15, 3)), np.ones((15, 3))
    together = mixed_angles(first, last, np.array([0, 0.5, 1]))
    assert together[:, 0, 0].tolist() == [0, 0.5, 1] and np.ptp(together, axis=(1, 2)).tolist() == [0, 0, 0]
    single = mixed_angles(first, last, np.array([[1, 0, 0, 0, 0.5]]))[0, :, 0]
    assert single.tolist() == [1] * 3 + [0] * 9 + [0.5] * 3  # index, middle, little, ring, thumb


def test_poses_have_their_turn_and_place():
    turns, places = matrix_from_axis_angle(np.eye(3)), np.arange(9.0).reshape(3, 3)
    T = poses(turns, places)
    assert np.array_equal(T[:, :3, :3], turns) and np.array_equal(T[:, :3, 3], places)
    assert (T[:, 3] == [0, 0, 0, 1]).all()


@pytest.mark.parametrize("place", [(1.0, 0, 0.5), (0, 0, 2.0), (0, 0, -1.0), (-0.3, 0.4, 0.0)])
@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_a_camera_looks_at_its_target_the_right_way_up(place, roll):
    target = np.array([0.1, -0.05, 0.1])
    T = look_at(np.array(place), target, roll)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    seen = T[:3, :3] @ target + T[:3, 3]
    assert seen[:2] == pytest.approx((0, 0), abs=1e-9) and seen[2] == pytest.approx(np.linalg.norm(target - place))
    np.testing.assert_allclose(T[:3, :3] @ np.array(place) + T[:3, 3], 0, atol=1e-9)
    if roll == 0 and abs(place[2]) < 1:  # what is above in the world is above in the image, where y points down
        assert T[1, 2] < 0


def test_a_camera_straight_above_has_an_orientation_too():
    T = look_at(np.array([0.2, 0.1, 1.0]), np.array([0.2, 0.1, 0.0]), 0.0)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_no_camera_stands_behind_the_person_and_none_twice(count):
    for seed in range(10):
        views = table_rig(np.random.default_rng(seed), count, (64, 48), person_rad=1.0)
        places = [-view.T_camera_world[:3, :3].T @ view.T_camera_world[:3, 3] for view in views]
        assert [view.name for view in views] == [f"cam{k}" for k in range(count)]
        assert len({view.effects.seed for view in views}) == count and all(place[2] > 0 for place in places)
        assert all(view.camera.width == 64 and not view.effects.motion_px.any() for view in views)


def test_a_head_follows_slowly_and_does_not_jump():
    targets = np.tile([0.4, 0, 0.1], (90, 1))
    targets[45:, 1] = 0.3  # the hand is elsewhere from one frame to the next
    eye = np.tile([0.0, 0, 0.5], (90, 1))
    track = head_track(np.random.default_rng(0), eye, targets, 30.0)
    ahead = track[:, 2, :3]
    turned = np.rad2deg(np.arccos(np.clip((ahead[1:] * ahead[:-1]).sum(1), -1, 1)))
    assert turned.max() < 6 and (ahead[-1] @ ahead[0]) < np.cos(np.deg2rad(5))
    assert np.isfinite(track).all()
