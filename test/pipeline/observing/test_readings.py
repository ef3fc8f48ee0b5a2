"""What is read off the targets of a frame, by itself: nothing is kept, no target knows of another."""

import math
from dataclasses import replace

import numpy as np
import pytest

from prehend.geometry.camera import project
from prehend.pipeline.crops.crop import region_of
from prehend.pipeline.crops.regions import turn_between
from prehend.pipeline.crops.uncut import CropSource
from prehend.pipeline.detection.detect import Detections
from prehend.pipeline.frames.targets import NoHand, cut_targets
from prehend.pipeline.networks.mesh_network import open_network
from prehend.pipeline.observing.infer import Inference, Reading, kinds_of
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracker import Tracker
from prehend.types import Box, FoundHand

OPTIONS = EstimatorOptions(max_hands=8)
EMPTY = Box(150, 120, 200, 170)
"""Where no hand is."""


@pytest.fixture
def network(oracle):
    return open_network(oracle)


@pytest.fixture
def picture(image):
    return CropSource(image)


@pytest.fixture
def found(camera):
    """found(hand, side, turn): a hand as somebody gives it who knows all of it, or something else of it."""

    def as_found(hand, side=None, turn_rad=0.0):
        region = region_of(project(hand.joints, camera))
        return FoundHand(region.box, side or hand.side, region=replace(region, turn_rad=region.turn_rad + turn_rad))

    return as_found


def targets_of(hands, picture, network, given=True):
    """Fresh targets, as a tracker makes them, with their crops."""
    tracker = Tracker(OPTIONS, network.upright)
    if given:
        targets = tracker.begin(picture.size, None, hands, None)
    else:
        targets = tracker.begin(picture.size, None, None, lambda _: Detections(list(hands), 0.0, False, ()))
    return cut_targets(picture, targets, network.crop_size)


def told(reading):
    """What of a reading can be compared."""
    if isinstance(reading, NoHand):
        return reading.reason
    return reading.target.side, reading.score, reading.grasp, reading.answer.keypoints.tolist()


@pytest.mark.parametrize("given", [True, False])
def test_looking_twice_says_the_same(oracle, network, picture, camera, new_hand, found, given):
    oracle.scene = [new_hand("left", x=-0.1, grasp=True), new_hand("right", x=0.1, seed=3)]
    inference = Inference(network, OPTIONS)
    hands = [found(hand) for hand in oracle.scene]
    first, second = (
        [told(one) for one in inference.run(picture, targets_of(hands, picture, network, given), given, camera)]
        for _ in range(2)
    )
    assert first == second and {one[0] for one in first} == {"left", "right"}


def test_the_cameras_of_a_rig_are_told_what_each_would_be_told_alone(oracle, network, picture, camera, new_hand, found):
    oracle.scene = [new_hand("left", x=-0.1), new_hand("right", x=0.1, seed=3)]
    left, right = (found(hand) for hand in oracle.scene)
    shown = ([left, right], [], [right, FoundHand(EMPTY, "left")])
    inference = Inference(network, OPTIONS)
    alone = [inference.run(picture, targets_of(one, picture, network), True, camera) for one in shown]
    oracle.batches.clear()
    frames = [(picture, targets_of(one, picture, network), camera) for one in shown]
    together = inference.run_many(frames, True)
    assert [[told(one) for one in frame] for frame in together] == [[told(one) for one in frame] for frame in alone]
    assert [count for stage, count in oracle.batches if stage == "hand"] == [4], "one batch for all of them"


def test_nothing_to_look_at_asks_the_network_nothing(oracle, network, picture, camera):
    assert Inference(network, OPTIONS).run_many([(picture, [], camera)] * 3) == [[], [], []]
    assert not oracle.batches


def test_a_target_that_left_the_image_is_no_hand_and_no_burden(oracle, network, picture, camera, new_hand, found):
    oracle.scene = [new_hand("right", x=0.0)]
    targets = targets_of([found(oracle.scene[0])], picture, network)
    gone = targets[0][0]._replace(track_id=9)
    readings = Inference(network, OPTIONS).run(picture, [*targets, (gone, None)], True, camera)
    away, seen = sorted(readings, key=lambda one: isinstance(one, Reading))
    assert away == NoHand("left_image", gone) and isinstance(seen, Reading)
    assert {count for _, count in oracle.batches} == {1}


@pytest.mark.parametrize("given", [True, False])
def test_an_empty_place_is_a_hand_only_where_somebody_says_so(oracle, network, picture, camera, given):
    targets = targets_of([FoundHand(EMPTY, "right")], picture, network, given)
    [reading] = Inference(network, OPTIONS).run(picture, targets, given, camera)
    assert isinstance(reading, Reading) if given else reading.reason == "no_hand"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_presence_that_is_no_number_is_never_a_hand(oracle, network, picture, camera, new_hand, found, value):
    oracle.scene = [new_hand("left", x=-0.1), new_hand("right", x=0.1, seed=3)]

    def spoil(stage, outputs):
        if stage == "encode":
            outputs["presence_logit"][0] = value

    targets = targets_of([found(hand) for hand in oracle.scene], picture, network, given=False)
    clean = [told(one) for one in Inference(network, OPTIONS).run(picture, targets, False, camera)]
    oracle.spoil = spoil
    targets = targets_of([found(hand) for hand in oracle.scene], picture, network, given=False)
    readings = Inference(network, OPTIONS).run(picture, targets, False, camera)
    if np.isnan(value):
        assert isinstance(readings[0], NoHand) and readings[0].reason == "not_finite"
    elif value < 0:
        assert isinstance(readings[0], NoHand)
    assert told(readings[1]) == clean[1], "the other hand is none of its business"


def test_a_crop_that_lies_wrong_is_cut_once_more_along_the_hand(oracle, network, picture, camera, new_hand, found):
    hand = new_hand("right", x=0.0)
    oracle.scene = [hand]
    true = region_of(project(hand.joints, camera))
    for turn, calls in ((0.0, 1), (math.radians(50), 2), (math.radians(-70), 2)):
        oracle.calls.clear()
        targets = targets_of([found(hand, turn_rad=turn)], picture, network, given=False)
        [reading] = Inference(network, OPTIONS).run(picture, targets, False, camera)
        assert turn_between(reading.target.region, true) < math.radians(3), turn
        assert reading.spec.turn_rad == pytest.approx(reading.target.region.turn_rad)
        # and its mirror image is looked at, since its side is not settled: by one logit of 5 it is beyond doubt
        assert oracle.calls["encode"] == calls, turn


def test_a_side_somebody_claims_stands_and_one_the_detector_claims_does_not(
    oracle, network, picture, camera, new_hand, found
):
    hand = new_hand("left", x=0.0)
    oracle.scene = [hand]
    for given, side in ((True, "right"), (False, "left")):
        targets = targets_of([found(hand, side="right")], picture, network, given)
        [reading] = Inference(network, OPTIONS).run(picture, targets, given, camera)
        assert reading.target.side == side
        assert reading.spec.mirrored == (side == "left"), "the crop is that of the side that is believed"


def test_each_description_of_what_may_be_held_has_an_answer(oracle, network, picture, camera, brick, new_hand, found):
    oracle.scene = [new_hand("right", x=0.0, grasp=True), new_hand("left", x=0.12, seed=3)]
    kinds = kinds_of([brick, replace(brick, object_id="other", extents_m=brick.extents_m * 2)])
    targets = targets_of([found(hand) for hand in oracle.scene], picture, network)
    held, free = Inference(network, OPTIONS, kinds).run(picture, targets, True, camera)
    assert len(held.answer.things) == 2 and not free.answer.things
    np.testing.assert_allclose(oracle.kinds, kinds)
    assert kinds_of([]) is None
