"""Steadiness, spans, numbers and grasps over time: laws that hold for any clip."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.answers import Answered
from prehend.eval.judge.compare import interval
from prehend.eval.judge.grasps import MATCH_S, Series, grasp_measures
from prehend.eval.judge.happenings import happenings
from prehend.eval.judge.motion import (
    channels,
    frame_jitter,
    id_changes,
    lost_spans,
    motion_measures,
    spread,
    steadiness,
    times_of,
)
from prehend.eval.judge.rows import Row
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Camera, FrameResult

few = settings(max_examples=30, deadline=None, derandomize=True)
states = st.lists(st.booleans(), min_size=2, max_size=25)


def pose(turn=(0, 0, 0), place=(0, 0, 0.5)):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_axis_angle(np.array(turn, float)), place
    return T


@few
@given(st.lists(st.floats(-1e3, 1e3), max_size=20))
def test_a_spread_is_of_what_is_finite_and_in_order(values):
    told = spread([*values, float("nan"), float("inf")], 3)
    if not values:
        assert told is None
        return
    assert min(values) - 1e-3 <= told["median"] <= told["p95"] + 1e-3 <= max(values) + 2e-3
    assert spread(values[::-1], 3) == told


@pytest.mark.parametrize("fps", [10.0, 25.0])
def test_times_begin_at_nothing_and_come_from_stamps_or_the_usual_rate(show, fps):
    frames = show([[]] * 4, fps)
    late = [replace(one, result=replace(one.result, stamp=one.stamp + 1e6)) for one in frames]
    for one in (frames, late):
        assert times_of(one) == pytest.approx([n / fps for n in range(4)], abs=1e-6)
    assert times_of(show([[]] * 3, None)) == pytest.approx([0, 1 / 30, 2 / 30])
    partly = [*frames[:2], *show([[]], None)]
    assert times_of(partly) == pytest.approx([0, 1 / 30, 2 / 30]), "one without a stamp: none counts"
    assert times_of([]) == []


@pytest.mark.parametrize("seed", range(3))
def test_jitter_does_not_see_where_a_hand_is_nor_even_motion(say, show, seed):
    noise = np.random.default_rng(seed).normal(0, 0.003, (9, 3))
    still = frame_jitter(show([[say(move=one)] for one in noise]))
    moving = frame_jitter(
        show([[say((0.1, -0.05, 0.6), move=one + np.array([0.004 * n, 0, 0]))] for n, one in enumerate(noise)])
    )
    assert list(still) == list(moving) == list(range(1, 8))
    np.testing.assert_allclose(list(still.values()), list(moving.values()), atol=1e-9)
    back = frame_jitter(show([[say(move=one)] for one in noise[::-1]]))
    np.testing.assert_allclose(list(back.values())[::-1], list(still.values()), atol=1e-9)


def test_twice_the_frame_rate_is_four_times_the_acceleration(say, show):
    hands = [[say((0.01 * n * n, 0, 0.6))] for n in range(6)]
    slow, fast = (motion_measures(show(hands, fps))["acceleration_m_s2"]["median"] for fps in (10.0, 20.0))
    assert fast == pytest.approx(4 * slow, rel=1e-3) and slow == pytest.approx(0.02 * 100, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_rigid_scene_is_as_steady_seen_from_elsewhere(say, show, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.002, (6, 3))
    told = steadiness(show([[say(move=one, grasp="grasping", held=("mug", pose(10 * one)))] for one in noise]), True)
    away = steadiness(
        show(
            [
                [say((0.1, 0.1, 0.7), move=one, grasp="grasping", held=("mug", pose(10 * one, (1, 2, 3))))]
                for one in noise
            ]
        ),
        True,
    )
    assert told["objects"] == away["objects"] and told["hands"] == away["hands"]
    assert told["objects"]["rms_mm"] == 0 and told["objects"]["rms_deg"] > 0.5
    away_mm = 1e3 * np.linalg.norm(noise - noise.mean(0), axis=1)
    assert told["hands"]["wrist_rms_mm"] == pytest.approx(np.sqrt((away_mm**2).mean()), abs=0.01)


def test_what_is_not_held_for_three_frames_says_nothing_of_steadiness(say, show):
    two = show([[say(grasp="grasping", held=("mug", pose()))]] * 2 + [[say(held=("mug", pose()))]] * 5)
    assert steadiness(two, False) == {"held_object": None}
    assert steadiness([], True) == {"held_object": None, "hands": None, "objects": None}


@pytest.mark.parametrize("there", ["110011", "101011", "111", "1001", "011110"])
def test_lost_spans_are_the_gaps_between_answers(say, show, there):
    frames = show([[say()] if letter == "1" else [] for letter in there])
    spans = [(span.first, span.last) for span in lost_spans(frames, [])]
    gaps = [n for n in range(len(there)) if there[n] == "0" and "1" in there[:n] and "1" in there[n:]]
    assert sorted(n for first, last in spans for n in range(first, last + 1)) == gaps


def row(frame, kind="found", hand=0, side="right", track=1, **more):
    return Row(frame, kind, hand, side, track_id=track if kind == "found" else 0, **more)


@few
@given(st.lists(st.one_of(st.none(), st.integers(1, 3)), max_size=15))
def test_numbers_change_as_often_as_neighbouring_answers_differ(tracks):
    rows = [row(n, "missed" if track is None else "found", track=track or 0) for n, track in enumerate(tracks)]
    seen = [track for track in tracks if track is not None]
    assert id_changes(rows) == sum(a != b for a, b in pairwise(seen))


def test_hands_without_a_side_are_told_apart_by_their_number():
    rows = [row(n, hand=k, side=None) for n in range(3) for k in range(2)]
    found = channels(rows)
    assert list(found) == ["hand 1", "hand 2"] and all(len(one) == 3 for one in found.values())
    assert channels([Row(0, "false"), Row(1, "unjudged")]) == {}


def series(true, said):
    return Series("right", tuple(range(len(true))), tuple(true), tuple(said))


@few
@given(states, st.data())
def test_every_true_change_is_told_or_missed_and_every_other_is_false(true, data):
    said = data.draw(st.lists(st.booleans(), min_size=len(true), max_size=len(true)))
    camera = Camera(np.diag([500.0, 500, 1]), 64, 48)
    frames = [Answered("a", n, FrameResult(camera, (), n / 10, {}, True)) for n in range(len(true))]
    told = grasp_measures(frames, [series(true, said)])
    for name, rising in (("begins", True), ("ends", False)):
        changes = [sum(b == rising != a for a, b in pairwise(one)) for one in (true, said)]
        part = told[name]
        assert part["true"] == changes[0] == part["told"] + part["missed"]
        assert part["told"] + part["false"] == changes[1]
        assert part["delay_s"] is None or abs(part["delay_s"]["median"]) <= MATCH_S + 1e-9
    turned = grasp_measures(frames, [series(said, true)])
    assert (told["precision"], told["begins"]["told"]) == (turned["recall"], turned["begins"]["told"])
    exact = grasp_measures(frames, [series(true, true)])
    assert exact["accuracy"] == 1 and exact["begins"]["missed"] == exact["ends"]["false"] == 0


@pytest.mark.parametrize("states_said", [["grasping"] * 6, ["unknown"] * 6, ["not_grasping", "grasping"] * 3])
def test_happenings_lie_within_the_clip_in_their_order(say, show, states_said):
    frames = show([[say(grasp=state)] for state in states_said])
    found = happenings(frames, [series([False] * 3 + [True] * 3, [False] * 6)])
    assert [one.frame for one in found] == sorted(one.frame for one in found)
    assert all(0 <= one.frame < 6 for one in found)
    assert [one.what for one in found if one.track_id == 0] == ["true_grasped"]


@few
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=30), st.floats(-10, 10), st.floats(0.1, 5))
def test_an_interval_moves_and_grows_with_its_values_and_holds_their_mean_of_equals(values, shift, scale):
    clusters = list(range(len(values)))
    low, high = interval(values, clusters)
    assert min(values) - 1e-4 <= low <= high <= max(values) + 1e-4
    moved = interval([scale * value + shift for value in values], clusters)
    np.testing.assert_allclose(moved, [scale * low + shift, scale * high + shift], atol=1e-3 * (1 + scale))
    assert interval([shift] * len(values), clusters) == pytest.approx((shift, shift), abs=1e-4)
