"""Crops are cut along the hand: whatever its direction, whoever said where it is."""

import math

import numpy as np
import pytest
from true_hands import flat_hand

from prehend.geometry.camera import project
from prehend.pipeline.crops import uncut
from prehend.pipeline.crops.crop import CROP_SCALE, cut, direction_of, region_of
from prehend.pipeline.crops.regions import LOOK_AGAIN_RAD
from prehend.pipeline.estimator import Estimator
from prehend.types import Box, FoundHand

MM = 1e-3


def direction(hand, camera) -> float:
    return direction_of(project(hand.joints, camera))


def encodes(oracle) -> int:
    return oracle.calls["encode"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("angle", [-2.6, -0.9, 0.8, 3.1])
def test_a_hand_of_any_direction_is_seen_upright_and_comes_out_where_it_is(
    estimator, oracle, camera, image, new_hand, side, angle
) -> None:
    truth = flat_hand(new_hand, side, angle)
    oracle.scene = [truth]
    (hand,) = estimator.estimate(image, camera).hands
    assert math.remainder(oracle.turns[-1] - direction(truth, camera), 2 * math.pi) == pytest.approx(0, abs=0.02)
    assert len(oracle.turns) == 2, "as the finder's box stands, then upright"
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)
    np.testing.assert_allclose(hand.keypoints_px, project(truth.joints, camera), atol=0.1)
    np.testing.assert_allclose(hand.rotations, truth.rotations, atol=2e-3)


def test_a_hand_that_points_up_is_looked_at_once(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [flat_hand(new_hand, "right", 0.1)]
    estimator.estimate(image, camera)
    assert encodes(oracle) == 1


def test_a_followed_hand_that_turns_stays_upright_without_a_second_look(
    estimator, oracle, camera, image, new_hand
) -> None:
    angles = np.linspace(0, 4 * math.pi, 80)
    for k, angle in enumerate(angles):
        oracle.scene = [flat_hand(new_hand, "right", float(angle))]
        assert len(estimator.estimate(image, camera, stamp=k / 30).hands) == 1
        assert abs(math.remainder(oracle.turns[-1] - direction(oracle.scene[0], camera), 2 * math.pi)) < LOOK_AGAIN_RAD
    assert encodes(oracle) == len(angles)


def test_a_hand_that_turns_at_once_is_looked_at_twice(estimator, oracle, camera, image, new_hand) -> None:
    for k in range(6):
        truth = flat_hand(new_hand, "right", 0.0 if k < 4 else 1.5)
        oracle.scene = [truth]
        (hand,) = estimator.estimate(image, camera, stamp=k / 30).hands
        np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)
    assert encodes(oracle) == 6 + 1


@pytest.mark.parametrize("squeeze", [0.8, 1.0, 1.25])
def test_in_a_true_box_places_tell_the_turn_and_the_box_the_size(
    oracle, camera, image, new_hand, squeeze, monkeypatch
) -> None:
    truth = flat_hand(new_hand, "left", 0.9)
    oracle.scene = [truth]
    keypoints = project(truth.joints, camera)

    def spoil(stage, outputs):
        if stage == "encode":
            outputs["places"][:] = 0.5 + squeeze * (outputs["places"] - 0.5) + 0.05

    oracle.spoil = spoil
    cuts = []
    monkeypatch.setattr(uncut, "cut", lambda picture, spec: cuts.append(spec) or cut(picture, spec))
    with Estimator(oracle) as estimator:
        estimator.estimate(image, camera, boxes=[FoundHand(Box.around(keypoints), "left")])
    assert cuts[0].turn_rad == 0
    expected = region_of(keypoints)
    assert cuts[1].turn_rad == pytest.approx(expected.turn_rad, abs=0.03)
    np.testing.assert_allclose(cuts[1].center_px, expected.center_px, atol=1.0)
    longer = cuts[1].size / (CROP_SCALE * cuts[1].scale)
    assert longer == pytest.approx(expected.longer, rel=0.03)


def test_a_region_of_the_caller_is_cut_as_it_is(oracle, camera, image, new_hand) -> None:
    truth = flat_hand(new_hand, "right", 2.0)
    oracle.scene = [truth]
    region = region_of(project(truth.joints, camera))
    with Estimator(oracle) as estimator:
        (hand,) = estimator.estimate(image, camera, boxes=[FoundHand(region.box, "right", region=region)]).hands
    assert len(oracle.turns) == 1
    assert oracle.turns[0] == pytest.approx(region.turn_rad, abs=0.02)
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_a_second_look_that_loses_the_hand_does_not_stand(estimator, oracle, camera, image, new_hand) -> None:
    truth = flat_hand(new_hand, "right", 1.5)
    oracle.scene = [truth]

    def spoil(stage, outputs):
        if stage == "encode" and oracle.turns[-1] > 1:
            outputs["presence_logit"] -= 9

    oracle.spoil = spoil
    (hand,) = estimator.estimate(image, camera).hands
    assert encodes(oracle) == 2
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_there_is_no_third_look(estimator, oracle, camera, image, new_hand) -> None:
    oracle.scene = [flat_hand(new_hand, "right", 1.5)]
    rng = np.random.default_rng(0)

    def spoil(stage, outputs):
        if stage == "encode":
            outputs["places"][:] = rng.uniform(0, 1, outputs["places"].shape)

    oracle.spoil = spoil
    for k in range(10):
        oracle.calls.clear()
        estimator.estimate(image, camera, stamp=k / 30)
        assert encodes(oracle) <= 2


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, 40.0])
def test_places_that_are_none_cost_at_most_a_look(estimator, oracle, camera, image, new_hand, value) -> None:
    truth = flat_hand(new_hand, "right", 0.0)
    oracle.scene = [truth]
    oracle.spoil = lambda stage, out: out["places"].fill(value) if stage == "encode" else None
    (hand,) = estimator.estimate(image, camera).hands
    np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)


def test_weights_that_tell_no_places_get_their_crops_as_they_stand(
    old_oracle, old_finder, camera, image, new_hand
) -> None:
    estimator = Estimator(old_oracle, old_finder)
    for k in range(5):
        truth = flat_hand(new_hand, "left", 1.4)
        old_oracle.scene = [truth]
        (hand,) = estimator.estimate(image, camera, stamp=k / 30).hands
        np.testing.assert_allclose(hand.joints_m, truth.joints, atol=1 * MM)
    np.testing.assert_allclose(old_oracle.turns, 0, atol=0.02)
    assert encodes(old_oracle) == 5
