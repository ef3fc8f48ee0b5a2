from dataclasses import replace

import numpy as np
import pytest

from prehend.eval.clips import (
    ClipHand,
    TrueHands,
    clip_measures,
    false_hands,
    hand_length_px,
    same_hands,
    stereo_distances,
    stereo_unit_m,
)
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box

POINTS = np.random.default_rng(0).uniform(0, 100, (21, 2))
JOINTS = np.random.default_rng(1).normal(0, 0.04, (21, 3)) + np.array([0, 0, 0.6])
FPS = 10.0


def hand(track=1, side="right", at=(0.0, 0.0), moved_m=(0.0, 0.0, 0.0), score=0.9):
    return ClipHand(track, side, score, POINTS + at, JOINTS + moved_m, 50.0)


def test_a_hand_that_rests_or_moves_evenly_has_no_jitter():
    still = [[hand()] for _ in range(6)]
    even = [[hand(at=(3.0 * k, k), moved_m=(0.01 * k, 0, 0))] for k in range(6)]
    for frames in (still, even):
        told = clip_measures(frames, FPS)
        assert told["jitter_hand"]["p95"] == pytest.approx(0, abs=1e-6)
        assert told["wrist_jitter_mm"]["p95"] == pytest.approx(0, abs=1e-6)
    told = clip_measures(still, FPS)
    assert (told["frames"], told["frames_with_hands"], told["tracks"], told["hands"]) == (6, {"1": 6}, 1, 1)
    assert (told["side_changes"], told["lost_share"]) == (0, 0)


def test_jitter_is_the_second_difference_in_lengths_of_the_hand():
    shaken = [[hand(at=(4.0 * (k % 2), 0), moved_m=(0, 0, 0.002 * (k % 2)))] for k in range(8)]
    told = clip_measures(shaken, FPS)
    # up and down by 4 px: the second difference is 8 px, of a hand of 50 px
    assert told["jitter_hand"] == {"median": pytest.approx(8 / 50), "p95": pytest.approx(8 / 50)}
    assert told["wrist_jitter_mm"]["median"] == pytest.approx(4.0)


def test_sides_tracks_and_gaps_are_told():
    frames = [[hand(side=side)] for side in ("right", "left", "left", "right")]
    assert clip_measures(frames, FPS)["side_changes"] == 2
    gap = [[hand()], [], [], [hand()], [hand(), hand(2, at=(500, 0))]]
    told = clip_measures(gap, FPS)
    assert told["frames_with_hands"] == {"0": 2, "1": 2, "2": 1}
    # five frames of the one that was lost for two, one of the other
    assert told["lost_share"] == pytest.approx(2 / 6, abs=1e-4) and told["tracks"] == told["hands"] == 2
    assert clip_measures([[], []], FPS)["lost_share"] is None


def test_a_track_that_takes_over_soon_at_the_same_place_is_the_same_hand():
    soon = [[hand(1)], [], [hand(2, "left", at=(5, 0))]]
    told = clip_measures(soon, FPS)
    assert (told["tracks"], told["hands"], told["side_changes"], told["side_changes_of_hands"]) == (2, 1, 0, 1)
    assert len(same_hands([[hand(1)], [], [hand(2, at=(90, 0))]], FPS)) == 2, "elsewhere"
    assert len(same_hands([[hand(1)], *[[]] * 20, [hand(2)]], FPS)) == 2, "much later"
    assert len(same_hands([[hand(1)], [hand(1), hand(2)]], FPS)) == 2, "both at once"


def test_each_region_takes_one_answer_and_the_rest_are_false():
    region = Box(-20, -20, 120, 120)
    frames = [[hand(1), hand(2, score=0.4), hand(3, at=(400, 0))], [], [hand(1)], [hand(1)]]
    told = false_hands(frames, [TrueHands(0, 1, (region,)), TrueHands(2, 2, ())])
    assert told == {"frames": 3, "frames_with_false_hands": 2, "false_hands": 3, "frames_with_missed_hands": 1}


def test_the_length_of_a_hand_is_the_same_however_it_bends():
    straight = np.zeros((21, 3))
    straight[:, 2] = 0.5
    for k, joint in enumerate((9, 10, 11, 12)):
        straight[joint, 0] = 0.05 * (k + 1)
    bent = straight.copy()
    bent[12] = bent[11] + [0, 0.05, 0]
    assert hand_length_px(straight, 500.0) == pytest.approx(hand_length_px(bent, 500.0)) == pytest.approx(200.0)


def rig(seed):
    """Two cameras that look at the same place from different sides, and the joints of a hand in each."""
    rng = np.random.default_rng(seed)
    world = rng.normal(0, 0.05, (21, 3))
    placed = []
    for _ in range(2):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(size=3)), rng.normal(0, 0.1, 3) + np.array([0, 0, 0.7])
        placed.append(T)
    return placed, [world @ T[:3, :3].T + T[:3, 3] for T in placed]


def test_cameras_that_see_the_same_hand_agree():
    (one, other), (a, b) = rig(3)
    first, second = [[replace(hand(), joints_m=a)]] * 4, [[replace(hand(), joints_m=b)]] * 3 + [[]]
    ghost = replace(hand(9), joints_m=b + 1.0, score=0.1)
    told = stereo_distances(first, [[*hands, ghost] for hands in second[:3]] + [[]], one, other)
    assert (told["frames"], told["both"]) == (4, 3)
    assert told["joints_mm"]["p95"] < 1e-6, "the pair that agrees counts"
    pushed = [[replace(hand(), joints_m=b + np.array([0, 0, 0.03]))]] * 3
    told = stereo_distances(first[:3], pushed, one, other)
    assert told["joints_mm"]["median"] == pytest.approx(30) == told["wrist_mm"]["median"]
    assert told["aligned_wrist_mm"]["median"] < 1e-6
    assert stereo_distances([[]], [[]], one, other)["joints_mm"] is None


def test_an_unknown_unit_of_the_calibration_is_told_from_the_hands():
    (one, other), (a, b) = rig(4)
    in_squares = []
    for T in (one, other):
        scaled = T.copy()
        scaled[:3, 3] /= 0.035
        in_squares.append(scaled)
    frames = [[[replace(hand(), joints_m=joints)]] for joints in (a, b)]
    assert stereo_unit_m(*frames, *in_squares) == pytest.approx(0.035)
    assert stereo_unit_m([[]], [[]], *in_squares) is None
