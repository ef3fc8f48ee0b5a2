"""Laws of triangulation: exact views give exact points, in any frame; what is off drops out; more views know more."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.rig.views.sights import residuals, sights_of
from prehend.rig.views.triangulation import triangulate


def off(found, truth):
    return np.linalg.norm(found.points_m - truth.joints, axis=-1)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_exact_views_give_exact_joints(new_rig, new_hand, count):
    truth = new_hand(seed=count)
    found = triangulate(sights_of(new_rig(count).views([truth])))
    assert off(found, truth).max() < 1e-6 and found.distance_px.shape == (count, 21)
    assert found.distance_px.max() < 1e-3 and (found.weight > 0.99).all()


def test_the_frame_of_the_rig_is_a_matter_of_taste(new_rig, new_hand, errors):
    truth, rig = new_hand(seed=1), new_rig(3)
    views = rig.views([truth], errors(px=2, depth=0.05))
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = matrix_from_axis_angle(np.array([0.4, -1.0, 0.3])), [3.0, -1.0, 2.0]
    here = triangulate(sights_of(views))
    there = triangulate(sights_of([replace(view, T_rig_camera=move @ view.T_rig_camera) for view in views]))
    np.testing.assert_allclose(there.points_m, here.points_m @ move[:3, :3].T + move[:3, 3], atol=1e-6)
    turned = np.einsum("ij,njk,lk->nil", move[:3, :3], here.covariance_m2, move[:3, :3])
    np.testing.assert_allclose(there.covariance_m2, turned, rtol=1e-4, atol=1e-12)


def test_one_keypoint_that_is_off_counts_for_nothing_there(new_rig, new_hand):
    truth = new_hand(seed=2)
    views = new_rig(4).views([truth])
    wrong = views[1].hands[0].keypoints_px.copy()
    wrong[8] += [60, -40]
    views[1] = replace(views[1], hands=(replace(views[1].hands[0], keypoints_px=wrong),))
    found = triangulate(sights_of(views))
    assert off(found, truth).max() < 1e-3 and found.weight[1, 8] < 0.02
    assert np.delete(found.weight, 8, axis=1).min() > 0.9


def test_more_views_and_nearer_ones_know_more(new_rig, new_hand):
    truth = new_hand(seed=3)
    spread = [np.trace(triangulate(sights_of(new_rig(n).views([truth]))).covariance_m2.mean(0)) for n in (2, 3, 6)]
    assert spread[0] > spread[1] > spread[2]


def test_a_joint_that_one_view_alone_sees_stays_where_that_view_has_it(new_rig, new_hand):
    truth = new_hand(seed=4)
    views = new_rig(2).views([truth])
    lost = views[1].hands[0].keypoint_std_px.copy()
    lost[12] = np.inf
    views[1] = replace(views[1], hands=(replace(views[1].hands[0], keypoint_std_px=lost),))
    found = triangulate(sights_of(views))
    assert off(found, truth)[12] < 2e-3
    along = np.linalg.eigvalsh(found.covariance_m2[12])
    assert along[-1] > 20 * np.linalg.eigvalsh(found.covariance_m2[11])[-1], "its distance is a guess, and it says so"


@pytest.mark.parametrize("seed", range(3))
def test_the_derivative_is_that_of_the_projection(new_rig, new_hand, seed):
    truth = new_hand(seed=seed)
    (sight,) = sights_of(new_rig(3).views([truth])[seed : seed + 1])
    points = truth.joints + np.random.default_rng(seed).normal(0, 0.01, (21, 3))
    _, slope = residuals(sight, points)
    for axis in range(3):
        step = 1e-6 * np.eye(3)[axis]
        numeric = (residuals(sight, points + step)[0] - residuals(sight, points - step)[0]) / 2e-6
        np.testing.assert_allclose(slope[..., axis], numeric, rtol=1e-4, atol=1e-2)
