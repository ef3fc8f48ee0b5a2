"""Measures of photographs on small cases whose numbers are known from their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.conventions import MIRROR
from prehend.errors import InvalidInput
from prehend.eval.photographs.measures import (
    LabelledHand,
    PhotoAnswer,
    judge_answers,
    matched_answers,
    precision_over_scores,
    score_label,
    set_measures,
)
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.types import Box

SIZE = 100.0


def keypoints(at=(200.0, 150.0), seed=0):
    """(21, 2) in a box whose longer side is `SIZE`."""
    points = np.random.default_rng(seed).uniform(0, 1, (21, 2)) * [SIZE, 0.7 * SIZE]
    points[0], points[1] = (0, 0), (SIZE, 0.7 * SIZE)
    return points + at


def joints(seed=0):
    return np.random.default_rng(seed).normal(0, 0.04, (21, 3)) + np.array([0, 0, 0.6])


def moved(points, pixels):
    """Every keypoint away by so many pixels, each in another direction."""
    turn = np.linspace(0, 2 * np.pi, 21)
    return points + pixels * np.stack([np.cos(turn), np.sin(turn)], -1)


def test_a_known_case_gives_the_numbers_of_the_definitions():
    points = keypoints()
    said = moved(points, 10.0)
    said[20] = points[20] + [30.0, 0]  # beyond 0.2 of the box
    found = score_label(LabelledHand(points, side="left"), [PhotoAnswer(said, "right")])
    missed = score_label(LabelledHand(keypoints(seed=1)), [])
    unseen = score_label(LabelledHand(keypoints(seed=2)), None)
    assert found.error_px == pytest.approx((20 * 10 + 30) / 21) and found.nme == pytest.approx(found.error_px / SIZE)
    assert (found.keypoints, found.right, found.side_right) == (21, 20, 0)
    told = set_measures([found, missed, unseen])
    assert (told["n"], told["n3d"], told["side"]) == (3, 0, 0)
    assert told["answered"] == pytest.approx(2 / 3, abs=1e-4) and told["found"] == pytest.approx(1 / 3, abs=1e-4)
    assert told["pck"] == pytest.approx(20 / 21, abs=1e-4) and told["pck_all"] == pytest.approx(20 / 63, abs=1e-4)
    assert told["error_px"] == pytest.approx(found.error_px, abs=1e-4) and told["pa_mm"] is None


@pytest.mark.parametrize(
    ("pixels", "found", "right"), [(19.9, True, 21), (20.1, True, 0), (49.9, True, 0), (50.1, False, 0)]
)
def test_thresholds_are_shares_of_the_labels_box(pixels, found, right):
    scores = score_label(LabelledHand(keypoints()), [PhotoAnswer(moved(keypoints(), pixels))])
    assert (scores.found, scores.right) == (found, right)


def test_only_known_keypoints_count_and_make_the_box():
    points = keypoints()
    known = np.arange(21) < 6
    points[~known] = 9999
    said = moved(keypoints(), 5.0)
    scores = score_label(LabelledHand(points, known), [PhotoAnswer(said)])
    box = np.ptp(points[known], axis=0).max()
    assert scores.keypoints == 6 and scores.nme == pytest.approx(5.0 / box)
    gap = np.where(known[:, None], points, np.nan)
    assert score_label(LabelledHand(gap), [PhotoAnswer(said)]) == scores
    assert not LabelledHand(points, np.arange(21) < 4).is_scored


def test_the_nearest_of_several_answers_counts_and_may_serve_two_labels():
    points = keypoints()
    answers = [PhotoAnswer(moved(points, 12.0)), PhotoAnswer(moved(points, 3.0)), PhotoAnswer(points * np.nan)]
    labels = [LabelledHand(points), LabelledHand(points + 2.0)]
    assert [score_label(label, answers).answer for label in labels] == [1, 1]
    assert sorted(matched_answers(labels, answers).values()) == [0, 1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_metric_errors_forgive_what_they_say_they_forgive(seed):
    rng = np.random.default_rng(seed)
    truth, points = joints(seed), keypoints()
    R, shift, scale = matrix_from_axis_angle(rng.normal(size=3)), rng.normal(0, 0.2, 3), rng.uniform(0.7, 1.4)

    def score(said, true=truth):
        return score_label(LabelledHand(points, joints_m=true), [PhotoAnswer(points, joints_m=said)])

    moved_away = score(truth + shift)
    assert moved_away.absolute_m == pytest.approx(np.linalg.norm(shift)) and moved_away.root_m < 1e-9
    turned = score(scale * truth @ R.T + shift)
    assert turned.pa_m < 1e-9 and turned.root_m > 1e-4
    assert score(truth @ MIRROR).pa_m > 1e-3, "a mirrored hand is another hand"
    partial = truth.copy()
    partial[3] = np.nan
    said = truth.copy()
    said[3] += 1.0
    assert score(said, partial).absolute_m < 1e-9, "unknown joints are left out"
    partial[:7] = np.nan
    assert np.isnan(score(said, partial).pa_m), "too few joints are known"


def test_without_a_known_wrist_there_is_no_wrist_aligned_error():
    truth = joints()
    truth[0] = np.nan
    scores = score_label(LabelledHand(keypoints(), joints_m=truth), [PhotoAnswer(keypoints(), joints_m=joints())])
    assert np.isnan(scores.root_m) and scores.pa_m < 1e-9


def test_a_box_alone_is_found_by_a_box():
    label = LabelledHand(box_px=Box(190, 140, 310, 230), side="left", held=True)
    near, far = PhotoAnswer(keypoints(), "left"), PhotoAnswer(keypoints((600, 150)), "left")
    assert label.is_scored and score_label(label, [far]).found is False
    scores = score_label(label, [far, near])
    assert (scores.found, scores.answer, scores.keypoints, scores.side_right) == (True, 1, 0, 1)
    told = set_measures([scores])
    assert told["found"] == 1 and told["pck_all"] is None and told["error_px"] is None


def test_what_is_no_hand_is_false_and_so_is_a_second_answer_on_one():
    points = keypoints()
    few = np.arange(21) < 3
    labels = [LabelledHand(points), LabelledHand(keypoints((500, 400), 3), few)]
    answers = [
        PhotoAnswer(moved(points, 30.0)),
        PhotoAnswer(moved(points, 2.0)),
        PhotoAnswer(keypoints((50, 400))),
        PhotoAnswer(keypoints((500, 400), 3)),
    ]
    assert judge_answers(labels, answers) == [False, True, False, None], "a hand that is not scored excuses its answer"
    assert judge_answers([], answers[:2]) == [False, False]


def test_an_answer_on_a_hand_is_no_false_hand_even_if_its_pose_is_wrong():
    points = keypoints()
    upside_down = points.mean(0) * 2 - points
    label = LabelledHand(points)
    assert not score_label(label, [PhotoAnswer(upside_down)]).found
    assert judge_answers([label], [PhotoAnswer(upside_down)]) == [True]


def test_higher_thresholds_lose_hands_and_false_hands():
    judged = [(0.9, True), (0.8, False), (0.6, True), (0.3, False)]
    rows = precision_over_scores(judged, wanted=4, pictures=2, thresholds=(0.1, 0.6, 0.85, 0.95))
    assert [row["recall"] for row in rows] == [0.5, 0.5, 0.25, 0]
    assert [row["false_a_picture"] for row in rows] == [1, 0.5, 0, 0]
    assert [row["precision"] for row in rows] == [0.5, 0.6667, 1, None]


def test_wrong_shapes_are_refused():
    for wrong in ({"keypoints_px": np.zeros((20, 2))}, {"joints_m": np.zeros((21, 2))}):
        with pytest.raises(InvalidInput, match="has shape"):
            LabelledHand(**wrong)
