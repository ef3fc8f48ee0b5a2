from dataclasses import replace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.pipeline.hypotheses.spread import ELLIPSOID, SCALE, covariances, drawn, told_by, wanted_of

SHAPE = (10, 3)


def test_errors_of_few_hypotheses_are_even():
    draws = drawn(8, SHAPE, 3)
    for values in (draws.joints, draws.turn):
        np.testing.assert_allclose(values.mean(0), 0.0, atol=1e-12)
        np.testing.assert_allclose(values.var(0), 1.0)
    again, other = drawn(8, SHAPE, 3), drawn(8, SHAPE, 4)
    assert np.array_equal(draws.joints, again.joints) and np.array_equal(draws.noise, again.noise)
    assert not np.array_equal(draws.joints, other.joints)


def test_a_left_hand_tells_what_its_mirror_image_does(make_open):
    right, left = told_by(make_open()), told_by(make_open(side="left"))
    for name in ("joints_m", "spins", "bones_m", "std_m", "roots"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-7, err_msg=name)


def test_a_joint_is_less_sure_along_its_ray_and_where_it_is_hidden(make_open):
    hand = make_open()
    told = told_by(hand)
    ray = hand.joints_m[8] / np.linalg.norm(hand.joints_m[8])
    side = np.cross(ray, [0, 1, 0]) / np.linalg.norm(np.cross(ray, [0, 1, 0]))
    along, across = np.linalg.norm(told.std_m[8] @ ray), np.linalg.norm(told.std_m[8] @ side)
    assert along > 1.2 * across
    assert np.linalg.det(told.std_m[8]) > np.linalg.det(told.std_m[4])
    np.testing.assert_allclose(told.roots @ told.std_m, np.broadcast_to(np.eye(3), (21, 3, 3)), atol=1e-9)


def test_wanted_places_scatter_around_the_estimate(make_open):
    told = told_by(make_open())
    wanted, turn = wanted_of(told, drawn(64, SHAPE, 0))
    assert np.abs(turn @ np.swapaxes(turn, 1, 2) - np.eye(3)).max() < 1e-9
    spread = wanted.places_m.std(0).mean(1)
    assert np.abs(wanted.places_m.mean(0) - told.joints_m).max() < 0.02 and spread[8] > 1.3 * spread[4]


def test_covariances_are_those_of_a_gaussian_and_the_wrist_has_none(make_open):
    hand = make_open()
    rng = np.random.default_rng(0)
    joints = hand.joints_m + rng.normal(0, 0.02, (8, 21, 3)) * (np.arange(21) > 0)[:, None]
    found = covariances(joints, hand)
    assert found.shape == (21, 3, 3) and not found[0].any()
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2))
    assert (np.linalg.eigvalsh(found)[1:] > 0).all()
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    np.testing.assert_allclose(covariances(joints @ turned.T, hand), turned @ found @ turned.T, atol=1e-9)


@pytest.mark.parametrize("told", [True, False])
def test_hypotheses_that_agree_leave_what_the_network_says(make_open, told):
    hand = make_open()
    hand = hand if told else replace(hand, keypoint_std_px=None)
    found = covariances(np.repeat(hand.joints_m[None], 4, 0), hand)
    off_axis = found[1:] - np.eye(3) * found[1:, :1, :1]
    assert np.abs(off_axis).max() < 1e-12 and (found[1:, 0, 0] > 0).all()
    assert ELLIPSOID > 1.8 and set(SCALE) == {"seen", "hidden"}
    assert np.array_equal(MIRROR @ found @ MIRROR, found)
