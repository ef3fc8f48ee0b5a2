"""Hands that the image's border cuts."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.pipeline.crops.border import OUTSIDE, BorderDepth, border_trust, is_inside
from prehend.pipeline.estimator import Estimator

SIZE = (256, 192)
MM = 1e-3


def leaving(hand, camera, new_hand, frames: int, direction: float):
    """The hand, moving sideways out of the image at a constant distance, and how many of its joints are outside."""
    for k in range(frames):
        moved = replace(hand, translation=hand.translation + np.array([direction * 0.018 * k, 0, 0]))
        yield moved, int((~is_inside(project(moved.joints, camera), SIZE)).sum())


class Squeezed:
    """What a network says that takes the border for the end of the hand."""

    def __init__(self, oracle):
        self._true = oracle._places
        self._oracle = oracle

    def __call__(self, hand, affine, box):
        pixels = project(hand.joints, self._oracle.camera)
        low, high = pixels[:, 0].min(), pixels[:, 0].max()
        new_low, new_high = max(low, 1.0), min(high, SIZE[0] - 2.0)
        pixels[:, 0] = new_low + (pixels[:, 0] - low) * max(new_high - new_low, 1.0) / (high - low)
        return (pixels @ affine[:, :2].T + affine[:, 2] - box[:2]) / (box[2:] - box[:2])


@pytest.mark.parametrize("direction", [-1.0, 1.0])
@pytest.mark.parametrize("seed", [0, 3, 5])
def test_a_truthful_network_is_believed_beyond_the_border(
    estimator, oracle, camera, image, new_hand, direction, seed
) -> None:
    hand, seen = new_hand("right", x=0.0, seed=seed), []
    for k, (truth, outside) in enumerate(leaving(hand, camera, new_hand, 30, direction)):
        oracle.scene = [truth]
        hands = estimator.estimate(image, camera, stamp=k / 15).hands
        if not hands:
            break
        keypoints = project(truth.joints, camera)
        np.testing.assert_allclose(hands[0].keypoints_px, keypoints, atol=0.5)
        np.testing.assert_array_equal(hands[0].visible[~is_inside(keypoints, SIZE)], False)
        assert abs(hands[0].joints_m[0, 2] / truth.joints[0, 2] - 1) < 0.02
        seen.append((outside, hands[0].position_std_m / truth.joints[0, 2]))
    assert max(outside for outside, _ in seen) >= 12, "it was followed until most of it was gone"
    whole = np.median([std for outside, std in seen if outside == 0])
    half = [std for outside, std in seen if outside >= 10]
    assert min(half) > 1.3 * whole


@pytest.mark.parametrize("direction", [-1.0, 1.0])
@pytest.mark.parametrize("seed", [0, 3, 5])
def test_the_distance_does_not_run_away_with_a_network_that_squeezes(
    estimator, oracle, camera, image, new_hand, direction, seed
) -> None:
    oracle._places = Squeezed(oracle)
    hand, frames = new_hand("right", x=0.0, seed=seed), 0
    for k, (truth, outside) in enumerate(leaving(hand, camera, new_hand, 30, direction)):
        oracle.scene = [truth]
        hands = estimator.estimate(image, camera, stamp=k / 15).hands
        if not hands:
            break
        frames += outside > 0
        assert abs(hands[0].joints_m[0, 2] / truth.joints[0, 2] - 1) < 0.15
    assert frames >= 3


def test_a_hand_that_was_never_whole_is_told_as_it_is_measured(oracle, finder, camera, image, new_hand) -> None:
    truth = new_hand("right", x=-0.30, seed=3)
    oracle.scene = [truth]
    assert 3 <= (~is_inside(project(truth.joints, camera), SIZE)).sum() <= 15
    (hand,) = Estimator(oracle, finder).estimate(image, camera).hands
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=2 * MM)


def test_what_joints_are_worth() -> None:
    keypoints = np.stack([np.linspace(-20, 80, 21), np.full(21, 90.0)], -1)
    trust = border_trust(keypoints, SIZE)
    assert (np.diff(trust) >= 0).all()
    assert trust[0] == OUTSIDE and trust[-1] == 1
    np.testing.assert_allclose(border_trust(keypoints * [-1, 1] + [SIZE[0] - 1, 0], SIZE), trust)
    np.testing.assert_array_equal(is_inside(keypoints, SIZE), keypoints[:, 0] > -0.5)


def told(filter_: BorderDepth, distance: float, x: float, error_px: float = 1.0) -> float:
    joints = np.tile([0, 0, distance], (21, 1))
    keypoints = np.stack([np.linspace(-40, 40, 21) + x, np.linspace(60, 130, 21)], -1)
    return distance * filter_.factor(joints, keypoints, error_px, SIZE, 1 / 15)


def test_a_whole_hand_comes_out_as_it_is_and_a_cut_one_near_where_it_was() -> None:
    one = BorderDepth()
    assert [told(one, d, x=128) for d in (0.5, 0.9, 0.4)] == pytest.approx([0.5, 0.9, 0.4])
    cut = [told(one, 0.9, x=0, error_px=10.0) for _ in range(5)]
    assert (np.diff([0.4, *cut]) > 0).all() and cut[-1] < 0.55
    assert told(one, 0.9, x=128) == pytest.approx(0.9)


def test_a_cut_hand_that_truly_comes_nearer_is_followed() -> None:
    one = BorderDepth()
    told(one, 0.8, x=128)
    distances = np.linspace(0.8, 0.5, 30)
    out = [told(one, d, x=20) for d in distances]
    assert np.abs(np.array(out) / distances - 1).max() < 0.15
