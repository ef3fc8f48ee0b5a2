"""Hands of a rig over time."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.hand_model.asset import load_hand_model
from prehend.pipeline.options import EstimatorOptions
from prehend.rig.tracking import RigTracker

MODELS = {side: load_hand_model(side=side).without_forearm() for side in ("left", "right")}


@pytest.fixture
def tracker():
    return RigTracker(EstimatorOptions(), MODELS)


def renumbered(views, offset: int):
    return [
        replace(view, hands=tuple(replace(hand, track_id=hand.track_id + offset) for hand in view.hands))
        for view in views
    ]


def test_numbers_stay_while_cameras_and_their_tracks_come_and_go(new_rig, new_hand, errors, tracker):
    rig, truth = new_rig(3), new_hand(seed=1)
    numbers = set()
    for k in range(12):
        views = renumbered(rig.views([truth], errors(px=1, depth=0.05)), 10 * (k // 3))  # each camera lost it thrice
        views = [replace(view, hands=() if (k + n) % 4 == 0 else view.hands) for n, view in enumerate(views)]
        numbers |= {hand.track_id for hand in tracker.step(views, k / 30).result.hands}
    assert numbers == {1}


def test_a_hand_that_was_away_for_long_gets_another_number(new_rig, new_hand, tracker):
    views = new_rig(2).views([new_hand()])
    nothing = [replace(view, hands=()) for view in views]
    assert [hand.track_id for hand in tracker.step(views, 0.0).result.hands] == [1]
    for k in range(1, 40):
        tracker.step(nothing, k / 30)
    assert [hand.track_id for hand in tracker.step(views, 40 / 30).result.hands] == [2]


def test_two_hands_that_pass_each_other_keep_their_numbers(new_rig, new_hand, errors, tracker):
    rig, seen = new_rig(3), {}
    for k in range(21):
        x = 0.1 - 0.01 * k
        truths = [new_hand("right", 1, (x, 0, 0)), new_hand("left", 2, (-x, 0.06, 0.06))]
        for hand in tracker.step(rig.views(truths, errors(px=1, depth=0.04)), k / 30).result.hands:
            seen.setdefault(hand.track_id, set()).add(hand.side)
    assert sorted(map(sorted, seen.values())) == [["left"], ["right"]]


def test_one_view_after_several_goes_on_at_the_distance_that_they_found(new_rig, new_hand, errors, tracker):
    """What the views together learnt of the hand's size tells the last one how far it is."""
    rig, truth = new_rig(2), new_hand(seed=6)
    worse = errors(px=1, depth=0.0, turn=0.05, betas=0.0, rng=np.random.default_rng(1))
    for k in range(20):
        tracker.step(rig.views([truth], worse), k / 30)
    views = rig.views([truth], worse)
    far = replace(views[0].hands[0], joints_m=1.12 * views[0].hands[0].joints_m, betas=np.full(10, 1.5))
    left = [replace(views[0], hands=(far,)), replace(views[1], hands=())]
    [one] = tracker.step(left, 20 / 30).fused
    T = views[0].T_rig_camera
    alone = far.joints_m @ T[:3, :3].T + T[:3, 3]
    off = [float(np.linalg.norm(joints - truth.joints, axis=-1).mean()) for joints in (one.hand.joints_m, alone)]
    assert one.cameras == ("cam0",) and off[0] < 0.015 < off[1]


def test_grasps_begin_and_end_once_and_events_tell_them(new_rig, new_hand, tracker):
    rig, truth, told = new_rig(2), new_hand(), []
    plain = rig.views([truth])[0].hands[0].grasp
    for k in range(40):
        grasp = replace(plain, probability=0.95 if 10 <= k < 25 else 0.05)
        views = rig.views([truth], cam0={"grasp": grasp}, cam1={"grasp": grasp})
        told += [(event.kind, event.stamp) for event in tracker.step(views, k / 30).result.events]
    assert [kind for kind, _ in told] == ["found", "grasped", "released"]
    assert [stamp for _, stamp in told][1:] == pytest.approx([10 / 30, 25 / 30])


def test_smoothing_steadies_a_hand_at_rest_and_mesh_and_joints_stay_together(new_rig, new_hand, errors):
    rig, truth = new_rig(2), new_hand(seed=4)
    spread = {}
    for cutoff in (0.0, 1.0):
        tracker, noise = RigTracker(EstimatorOptions(smooth_min_cutoff_hz=cutoff), MODELS), errors(px=3, turn=0.1)
        places = []
        for k in range(40):
            [hand] = tracker.step(rig.views([truth], noise), k / 30).result.hands
            places.append(hand.joints_m)
        spread[cutoff] = float(np.std(places[10:], axis=0).mean())
        wrist = MODELS["right"].J_regressor[0] @ hand.vertices_m
        assert np.linalg.norm(wrist - hand.joints_m[0]) < 0.02
    assert spread[1.0] < 0.7 * spread[0.0]


def test_smoothing_may_begin_while_hands_are_followed(new_rig, new_hand, errors, tracker):
    rig, truth, noise = new_rig(2), new_hand(seed=4), errors(px=3, turn=0.1)
    places = []
    for k in range(60):
        if k == 30:
            tracker.use(EstimatorOptions(smooth_min_cutoff_hz=1.0))
        [hand] = tracker.step(rig.views([truth], noise), k / 30).result.hands
        assert hand.track_id == 1
        places.append(hand.joints_m)
    assert np.std(places[40:], axis=0).mean() < 0.7 * np.std(places[5:30], axis=0).mean()


def test_a_jump_in_time_begins_anew(new_rig, new_hand, tracker):
    views = new_rig(2).views([new_hand()])
    assert [hand.track_id for t in (0.0, 0.03, 50.0, 0.0) for hand in tracker.step(views, t).result.hands] == [
        1,
        1,
        2,
        3,
    ]


def test_pixels_are_those_of_the_first_view_and_a_guessed_camera_is_told(new_rig, new_hand, tracker):
    rig, truth = new_rig(2), new_hand()
    views = rig.views([truth])
    result = tracker.step(views, None)
    assert (
        result.lead == "cam0"
        and np.abs(result.result.hands[0].keypoints_px - views[0].hands[0].keypoints_px).max() < 0.1
    )
    guessed = replace(views[1], camera=replace(views[1].camera, estimated=True))
    result = tracker.step([views[0], guessed], None)
    assert result.result.camera.estimated and np.isnan(result.result.hands[0].position_std_m)
