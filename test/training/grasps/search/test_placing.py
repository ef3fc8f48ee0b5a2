"""First placements: every kind comes to its object from where it should, its palm outside."""

from dataclasses import replace

import numpy as np
import pytest

from prehend_training.grasps.closing import Hands, close, felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import hand_model, probe
from prehend_training.grasps.kinds import KINDS
from prehend_training.grasps.search.people import sample_hands
from prehend_training.grasps.search.placing import place
from prehend_training.grasps.search.regions import anchors, trigger_of
from prehend_training.objects import catalogue

PAIRS = {
    "power": "can", "handle": "mug", "trigger": "drill", "precision": "box", "pinch": "falcon_tube", "tripod": "pen",
    "cap": "bottle", "rim": "mug", "lateral": "pen",
}  # fmt: skip


def hands_at(kind, solid, count=6, seed=0, tries=4):
    rng = np.random.default_rng(seed)
    field = ExactField(solid, filled=kind.filled)
    where = anchors(solid, kind.region, 300)
    return field, place(rng, kind, where, field, sample_hands(rng, count), np.ones((count, 3)), tries)


@pytest.fixture(scope="module")
def placed():
    """The hands of each kind at a thing that suits it."""
    return {name: hands_at(KINDS[name], catalogue()[thing]) for name, thing in PAIRS.items()}


def test_each_kind_is_tried_on_a_thing_that_names_it():
    assert set(PAIRS) == set(KINDS)
    for kind, thing in PAIRS.items():
        assert kind in catalogue()[thing].grasps


@pytest.mark.parametrize("name", PAIRS)
def test_hands_are_placed_rigidly_and_no_more_than_were_asked_for(placed, name):
    _, hands = placed[name]
    assert 0 < len(hands) <= 6
    R = hands.T_object_hand[:, :3, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (len(hands), 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-6)
    np.testing.assert_array_equal(hands.T_object_hand[:, 3], np.tile([0, 0, 0, 1], (len(hands), 1)))


@pytest.mark.parametrize("name", PAIRS)
def test_hands_are_near_their_object_and_not_through_it(placed, name):
    field, hands = placed[name]
    distance = felt(hands, field)
    assert distance.min() > -0.012
    assert (distance.min(1) < 0.012).all()


@pytest.mark.parametrize("name", PAIRS)
def test_closed_fingers_stay_within_the_limits(placed, name):
    _, hands = placed[name]
    limits = hand_model().limits_rad
    assert (hands.angles[..., 0] <= limits[:, 0, 1] + 0.25).all()  # noise of a start; the search clips it
    assert (hands.angles >= limits[..., 0] - 0.25).all()


@pytest.mark.parametrize("name", ["cap", "lateral", "power"])
def test_the_same_seed_places_the_same_hands(placed, name):
    _, again = hands_at(KINDS[name], catalogue()[PAIRS[name]])
    np.testing.assert_array_equal(again.T_object_hand, placed[name][1].T_object_hand)
    np.testing.assert_array_equal(again.angles, placed[name][1].angles)


@pytest.mark.parametrize("name", ["cap", "rim"])
def test_caps_and_rims_are_taken_from_above(placed, name):
    _, hands = placed[name]
    tips = probe().points(hands.angles, hands.betas)[:, :5].mean(1)
    down = (hands.T_object_hand[:, :3, :3] @ tips[..., None])[:, 2, 0]
    assert (down < 0).mean() > 0.6


def test_the_palm_is_behind_a_trigger(placed):
    solid = catalogue()[PAIRS["trigger"]]
    pulled = trigger_of(solid).vertices.mean(0)
    _, hands = placed["trigger"]
    palm = probe().points(hands.angles, hands.betas)[:, probe().patches["palm"]].mean(1)
    places = (hands.T_object_hand[:, :3, :3] @ palm[..., None])[..., 0] + hands.T_object_hand[:, :3, 3]
    assert (places[:, 0] < pulled[0]).all()


def test_the_trigger_region_lies_behind_and_below():
    for name in ("drill", "spray_bottle"):
        solid = catalogue()[name]
        pulled = trigger_of(solid).vertices.mean(0)
        found = anchors(solid, "trigger", 200)
        assert (found.points_m[:, 0] < pulled[0]).all()
        below = pulled[2] - found.points_m[:, 2]
        assert below.min() > -0.02 and below.max() < 0.06
        assert found.normals[:, 0].mean() < -0.2  # they look back


@pytest.mark.parametrize("region", ["all", "handle", "top", "rim"])
@pytest.mark.parametrize("thing", ["mug", "bottle", "hammer"])
def test_anchors_lie_on_the_surface_and_their_shares_add_up(thing, region):
    solid = catalogue()[thing]
    found = anchors(solid, region, 300)
    assert np.abs(solid.distance(found.points_m)).max() < 0.02  # faces inside of other parts may be drawn
    assert np.median(np.abs(solid.distance(found.points_m))) < 5e-4
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1, atol=1e-9)
    assert found.share.sum() == pytest.approx(1) and found.share.min() > 0
    assert np.linalg.norm(found.long) == pytest.approx(1)


def test_nothing_fits_around_a_thing_that_is_too_thick():
    wide = catalogue()["box"].stretched(6.0)
    for name in ("power", "pinch", "rim"):
        assert len(hands_at(KINDS[name], wide)[1]) == 0


def test_a_thing_too_thick_for_a_pinch_may_fit_a_whole_hand():
    can = catalogue()["can"]
    assert can.extents_m[:2].min() > KINDS["pinch"].widest_m
    side = anchors(can, "all", 200)
    level = np.abs(side.normals[:, 2]) < 0.3  # across the can, not from lid to lid
    share = np.where(level, side.share, 0) / side.share[level].sum()
    rng = np.random.default_rng(0)
    field = ExactField(can, filled=True)
    betas = sample_hands(rng, 6)
    found = {
        name: len(place(rng, KINDS[name], replace(side, share=share), field, betas, np.ones((6, 3))))
        for name in ("pinch", "power")
    }
    assert found["pinch"] == 0 and found["power"] > 0


def test_closing_moves_only_the_fingers_of_the_kind_and_only_onwards():
    kind = KINDS["pinch"]
    T = np.eye(4)
    T[:3, 3] = [0, 1.0, 0]  # nothing is in the way
    start = Hands(np.zeros((1, 10)), kind.opened[None], T[None], np.ones((1, 3)))
    closed = close(kind, start, ExactField(catalogue()["ball"], filled=True))
    moved = (closed.angles - start.angles)[0]
    assert (moved[:3, 0] > 0).all() and (moved[12:, 0] > 0).all()
    assert not moved[3:12].any() and not moved[:, 1:].any()
    np.testing.assert_array_equal(closed.T_object_hand, start.T_object_hand)
