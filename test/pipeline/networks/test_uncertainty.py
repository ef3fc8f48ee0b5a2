from dataclasses import replace

import numpy as np
import pytest

from prehend.pipeline.estimator import Estimator
from prehend.pipeline.networks.uncertainty import JOINT_CLASS, carried_std, joint_std, metres_per_pixel
from prehend.pipeline.options import EstimatorOptions


@pytest.fixture
def hand(oracle, finder, camera, image, new_hand):
    oracle.scene = [new_hand("right", x=0.0)]
    (seen,) = Estimator(oracle, finder).estimate(image, camera, stamp=0.0).hands
    return seen


def test_it_grows_with_what_the_network_says_and_not_with_the_zoom(hand) -> None:
    std = joint_std(hand)
    assert std is not None and std.shape == (21,) and std[0] == 0 and (std[1:] > 0).all()
    less_sure = joint_std(replace(hand, keypoint_std_px=2 * hand.keypoint_std_px))
    assert (less_sure[1:] > std[1:]).all()
    zoomed = replace(hand, keypoint_std_px=3 * hand.keypoint_std_px, keypoints_px=3 * hand.keypoints_px)
    np.testing.assert_allclose(joint_std(zoomed), std)
    assert joint_std(replace(hand, keypoint_std_px=None)) is None


def test_a_pixel_is_what_it_is_at_the_hand(hand, camera) -> None:
    assert metres_per_pixel(hand.joints_m, hand.keypoints_px) == pytest.approx(
        hand.joints_m[:, 2].mean() / camera.K[0, 0], rel=0.1
    )


def test_carried_joints_are_less_sure_the_longer_and_the_farther_out() -> None:
    std = np.full(21, 0.02)
    std[0] = 0
    now, soon, late = (carried_std(std, elapsed) for elapsed in (0.0, 0.1, 0.4))
    np.testing.assert_array_equal(now, std)
    assert (soon[1:] > now[1:]).all() and (late[1:] > soon[1:]).all()
    by_class = [late[1:][JOINT_CLASS[1:] == kind] for kind in range(3)]
    assert by_class[0].max() < by_class[1].min() and by_class[1].max() < by_class[2].min()


def test_the_estimator_tells_it_and_lets_it_grow_while_a_hand_is_out_of_sight(
    oracle, finder, camera, image, new_hand
) -> None:
    estimator = Estimator(oracle, finder, config=EstimatorOptions(lost="hold"))
    seen = []
    for k in range(12):
        oracle.scene = [] if k >= 5 else [new_hand("right", x=0.0)]
        (one,) = estimator.estimate(image, camera, stamp=k / 30).hands
        seen.append(one)
    np.testing.assert_allclose(seen[4].joint_std_m, joint_std(seen[4]))
    tips = [float(one.joint_std_m[8]) for one in seen[4:]]
    assert seen[-1].state == "coasting" and tips == sorted(tips) and tips[-1] > tips[0]
