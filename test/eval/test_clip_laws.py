"""Measures of clips and photographs: what does not matter, and what makes them better or worse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.clips import ClipHand, TrueHands, clip_measures, false_hands, same_hands, stereo_distances
from prehend.eval.photographs.measures import (
    LabelledHand,
    LabelScores,
    PhotoAnswer,
    judge_answers,
    matched_answers,
    precision_over_scores,
    score_label,
    set_measures,
)
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box

few = settings(max_examples=15, deadline=None, derandomize=True)
seeds = st.integers(0, 1000)


def clip(seed, count=12):
    """Two hands that move at random, each lost now and then, under tracks that change."""
    rng = np.random.default_rng(seed)
    frames = []
    for n in range(count):
        hands = []
        for number, side in ((1, "right"), (2, "left")):
            if rng.random() < 0.8:
                track = number + 10 * (n > count // 2 and number == 1)
                pixels = rng.uniform(0, 60, (21, 2)) + np.array([300.0 * number, 100])
                hands.append(ClipHand(track, side, rng.random(), pixels, rng.normal(0, 0.05, (21, 3)), 80.0))
        frames.append(hands)
    return frames


@few
@given(seeds, st.floats(0.3, 4), st.floats(-200, 200))
def test_the_size_and_place_of_the_image_do_not_change_a_clips_measures(seed, scale, shift):
    def moved(hand):
        return replace(hand, keypoints_px=scale * hand.keypoints_px + shift, length_px=scale * hand.length_px)

    frames = clip(seed)
    one, other = clip_measures(frames, 10), clip_measures([[moved(hand) for hand in hands] for hands in frames], 10)
    assert one.pop("jitter_hand") == pytest.approx(other.pop("jitter_hand"), abs=2e-5)
    assert one == other


@few
@given(seeds)
def test_the_order_of_hands_in_a_frame_and_the_numbers_of_tracks_are_no_matter(seed):
    frames = clip(seed)
    turned = [[replace(hand, track_id=1000 - hand.track_id) for hand in hands[::-1]] for hands in frames]
    assert clip_measures(frames, 10) == clip_measures(turned, 10)


@few
@given(seeds)
def test_a_clip_played_backwards_shakes_as_much(seed):
    frames = clip(seed)
    there, back = clip_measures(frames, 10), clip_measures(frames[::-1], 10)
    for name in ("frames", "frames_with_hands", "tracks", "side_changes"):
        assert there[name] == back[name]


@few
@given(seeds)
def test_followed_hands_share_out_the_answers(seed):
    frames = clip(seed)
    hands = same_hands(frames, 10)
    assert sum(len(seen) for seen in hands) == sum(map(len, frames))
    tracks = {hand.track_id for some in frames for hand in some}
    assert len(hands) <= len(tracks)
    for seen in hands:
        assert all(any(seen[index] is hand for hand in frames[index]) for index in seen)


@few
@given(seeds)
def test_hands_are_right_false_or_missed_and_counted_once(seed):
    frames = clip(seed)
    regions = (Box(280, 80, 380, 180), Box(580, 80, 680, 180))
    told = false_hands(frames, [TrueHands(0, len(frames) - 1, regions)])
    assert told["frames"] == len(frames) and told["false_hands"] == 0
    nothing = false_hands(frames, [TrueHands(0, len(frames) - 1, ())])
    assert nothing["false_hands"] == sum(map(len, frames)) and nothing["frames_with_missed_hands"] == 0
    assert false_hands(frames, [])["frames"] == 0


@few
@given(seeds)
def test_two_cameras_differ_by_as_much_whichever_comes_first_and_wherever_the_world_lies(seed):
    rng = np.random.default_rng(seed)
    one, other, move = (np.eye(4) for _ in range(3))
    for T in (one, other, move):
        T[:3, :3], T[:3, 3] = matrix_from_axis_angle(rng.normal(0, 1, 3)), rng.normal(0, 1, 3)
    first, second = clip(seed), clip(seed + 1)
    told = stereo_distances(first, second, one, other)
    assert told == stereo_distances(second, first, other, one)
    there = stereo_distances(first, second, one @ move, other @ move)
    for name in ("joints_mm", "wrist_mm", "aligned_wrist_mm"):
        assert there[name] == pytest.approx(told[name], abs=0.2)


def photo(seed=0, off=0.0):
    """A label and an answer whose keypoints are off by so many pixels."""
    rng = np.random.default_rng(seed)
    points, joints = rng.uniform(0, 100, (21, 2)) + np.array([200.0, 100]), rng.normal(0, 0.05, (21, 3))
    label = LabelledHand(points, side="left", joints_m=joints)
    return label, PhotoAnswer(points + np.array([off, 0]), "left", joints, 0.9)


@few
@given(seeds, st.floats(0, 40), st.floats(0.2, 5))
def test_the_size_of_a_photograph_is_no_matter(seed, off, scale):
    label, answer = photo(seed, off)
    larger = replace(label, keypoints_px=label.keypoints_px * scale)
    one, other = (
        score_label(label, [answer]),
        score_label(larger, [replace(answer, keypoints_px=answer.keypoints_px * scale)]),
    )
    assert one.found == other.found and one.right == other.right
    np.testing.assert_allclose(other.nme, one.nme, atol=1e-9)
    np.testing.assert_allclose(other.error_px, scale * one.error_px, atol=1e-9)


@few
@given(seeds)
def test_a_label_is_scored_alike_whatever_stands_beside_its_answer(seed):
    label, answer = photo(seed, 3.0)
    others = [photo(seed + n, 0.0)[1] for n in (1, 2)]
    others = [replace(one, keypoints_px=one.keypoints_px + 800) for one in others]
    for answers in ([answer, *others], [*others, answer]):
        told = score_label(label, answers)
        assert answers[told.answer] is answer
        assert told._replace(answer=0) == score_label(label, [answer])
        assert judge_answers([label], answers) == [one is answer for one in answers]
        assert matched_answers([label], answers) == {0: told.answer}


@pytest.mark.parametrize("joints", [np.full((21, 3), np.nan), None, np.full((21, 3), np.inf)])
def test_an_answer_without_a_place_in_space_has_no_error_there_and_is_found_all_the_same(joints):
    label, answer = photo()
    told = score_label(label, [replace(answer, joints_m=joints)])
    assert told.found and told.right == 21 and not np.isfinite([told.pa_m, told.root_m, told.absolute_m]).any()


def test_keypoints_that_are_nowhere_find_nobody():
    label, answer = photo()
    lost = replace(answer, keypoints_px=np.full((21, 2), np.nan))
    assert not score_label(label, [lost]).found and matched_answers([label], [lost]) == {}
    assert score_label(label, [lost, answer]).answer == 1


@few
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 21), st.integers(0, 21)), min_size=1, max_size=10))
def test_a_set_is_the_mean_of_its_labels_and_no_measure_leaves_its_range(rows):
    scores = [LabelScores(True, found, 21, min(right, 21) if found else 0, nme=0.1) for found, right, _ in rows]
    told = set_measures(scores)
    assert told["n"] == len(rows) and told["found"] == pytest.approx(np.mean([row[0] for row in rows]), abs=1e-4)
    assert 0 <= told["pck_all"] <= (told["pck"] if told["pck"] is not None else 0) + 1e-4 <= 1.001
    assert set_measures(scores[::-1]) == told and set_measures([])["n"] == 0


@few
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20))
def test_a_higher_threshold_keeps_fewer_answers(judged):
    rows = precision_over_scores(judged, len(judged), 3, (0.0, 0.3, 0.6, 0.9))
    for name in ("answers", "recall", "false_a_picture"):
        values = [row[name] for row in rows if row[name] is not None]
        assert values == sorted(values, reverse=True)
    assert rows[0]["answers"] == len(judged)
    assert all(row["precision"] is None or 0 <= row["precision"] <= 1 for row in rows)
