"""What is remembered of one hand: it grows with what is seen, and goes when it is another hand's."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from prehend.pipeline.frames.handedness import HandednessBelief
from prehend.pipeline.frames.targets import Target
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.observing.observe import Observation
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracking.filters import HandFilters
from prehend.types import Box, ObjectEstimate, Region

STEP_S = 1 / 30
OPTIONS = EstimatorOptions(smooth_min_cutoff_hz=1.0)


@pytest.fixture(scope="module")
def models():
    return HandModels(SimpleNamespace(name="some", manifest={})).by_side


@pytest.fixture
def watch(camera, brick, models):
    """watch(filters, hand, ...): a frame in which a hand is seen, at a place [m] off its own."""

    def watched(filters, hand, grasp=0.0, off_m=(0.0, 0.0, 0.0), held_m=None, matches=()):
        filters.start_frame(STEP_S)
        hand = replace(hand, translation=hand.translation + off_m)
        decoded, belief = hand.decoded(camera), HandednessBelief(hand.side, OPTIONS.handedness, given=True)
        region = Region.of_box(Box.around(decoded.keypoints_px))
        target = Target(
            1, region, belief, None, None, STEP_S, True, hand.side, False, filters.holds, None, filters.depth,
            filters.memory,
        )  # fmt: skip
        held = None if held_m is None else held_at(held_m)
        seen = Observation(target, decoded, models[hand.side], 0.9, 0.9, grasp, held, brick, matches)
        return filters.estimate(seen, 7, None)

    return watched


def held_at(place_m):
    T = np.eye(4)
    T[:3, 3] = place_m
    return ObjectEstimate("brick", 0.9, np.zeros((21, 2)), Box(0, 0, 1, 1), T)


def test_what_was_never_seen_before_is_shown_as_it_is(watch, new_hand):
    hand = new_hand("left", x=0.0)
    shown = watch(HandFilters(OPTIONS), hand)
    np.testing.assert_allclose(shown.joints_m, hand.joints, atol=1e-6)
    assert (shown.track_id, shown.side, shown.score) == (7, "left", 0.9)


def test_a_hand_at_rest_stays_where_it_is(watch, new_hand):
    filters, hand = HandFilters(OPTIONS), new_hand("right", x=0.0)
    for _ in range(5):
        shown = watch(filters, hand)
    np.testing.assert_allclose(shown.joints_m, hand.joints, atol=1e-6)


def test_a_hand_that_trembles_is_shown_steadier(watch, new_hand):
    rng, hand = np.random.default_rng(0), new_hand("right", x=0.0)
    filters, off = HandFilters(OPTIONS), rng.normal(0, 0.002, (40, 3))
    wrists = np.array([watch(filters, hand, off_m=one).joints_m[0] for one in off])
    assert (wrists[10:].std(0) < 0.7 * off[10:].std(0)).all()
    assert np.linalg.norm((wrists[10:] - hand.joints[0]).mean(0)) < 0.002, "and where it is"


def test_another_hands_motion_is_not_smoothed_into_this_ones(watch, new_hand):
    hand, away = new_hand("right", x=0.0), (0.05, 0.0, 0.0)
    kept, forgot = HandFilters(OPTIONS), HandFilters(OPTIONS)
    for filters in (kept, forgot):
        for _ in range(5):
            watch(filters, hand)
    forgot.forget_motion()
    lags, jumps = (watch(filters, hand, off_m=away).joints_m[0] - hand.joints[0] for filters in (kept, forgot))
    np.testing.assert_allclose(jumps, away, atol=1e-6)
    assert 0 < lags[0] < 0.9 * away[0]


def test_what_is_not_grasped_is_not_held(watch, new_hand):
    filters, hand = HandFilters(OPTIONS), new_hand("right", x=0.0)
    for _ in range(4):
        held = watch(filters, hand, grasp=0.9, held_m=(0.01, 0.0, 0.6))
    assert held.grasp.state == "grasping" and held.held_object is not None
    np.testing.assert_allclose(held.held_object.T_camera_object[:3, 3], (0.01, 0.0, 0.6), atol=1e-6)
    for _ in range(4):
        free = watch(filters, hand, grasp=0.1, held_m=(0.01, 0.0, 0.6))
    assert free.grasp.state == "not_grasping" and free.held_object is None
    again = [watch(filters, hand, grasp=0.9, held_m=(0.2, 0.0, 0.6)) for _ in range(4)][-1]
    np.testing.assert_allclose(again.held_object.T_camera_object[:3, 3], (0.2, 0.0, 0.6), atol=1e-6)


def test_evidence_of_what_is_held_adds_up_until_something_else_may_be(watch, new_hand):
    filters, hand = HandFilters(OPTIONS), new_hand("right", x=0.0)
    assert filters.evidence is None
    sums = []
    for _ in range(3):
        watch(filters, hand, grasp=0.9, held_m=(0.0, 0.0, 0.6), matches=(1.0, -1.0))
        sums.append(filters.evidence.copy())
    gaps = [one[0] - one[1] for one in sums]
    assert 0 < gaps[0] < gaps[1] < gaps[2]
    filters.use(replace(OPTIONS, smooth_beta=1.0))
    np.testing.assert_array_equal(filters.evidence, sums[-1])
    filters.use(replace(OPTIONS, object_id="mug"))
    assert filters.evidence is None


def test_another_hand_has_no_grasp_yet(watch, new_hand):
    filters, hand = HandFilters(OPTIONS), new_hand("right", x=0.0)
    # a first image on its own says at once what is more probable; one that says nothing leaves it open
    assert watch(filters, hand, grasp=0.9).grasp.state == "grasping"
    assert watch(filters, hand, grasp=float("nan")).grasp.state == "grasping"
    filters.forget_all()
    assert watch(filters, hand, grasp=float("nan")).grasp.state == "unknown"


def test_images_on_their_own_have_no_hysteresis(watch, new_hand):
    filters, hand = HandFilters(replace(OPTIONS, tracking=False)), new_hand("right", x=0.0)
    states = [watch(filters, hand, grasp=value).grasp.state for value in (0.51, 0.49, 0.5, float("nan"))]
    assert states == ["grasping", "not_grasping", "grasping", "unknown"]
