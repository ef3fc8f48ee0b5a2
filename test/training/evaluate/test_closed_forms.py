"""Measures against cases whose answer is known."""

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.types import Box
from prehend_training.data.frames import SeenHand
from prehend_training.evaluate.calibrate import fit
from prehend_training.evaluate.detector import JudgedDetection, average_precision, best_threshold, judge
from prehend_training.evaluate.frames import match_boxes
from prehend_training.evaluate.views import LEAST_VIEWS, several_at_a_time


class Found:
    """An answer of a detector."""

    def __init__(self, x, score, side="right", thing=None):
        self.box_px, self.score, self.side, self.object_box_px = Box(x, 0.0, x + 10, 10), score, side, thing


def hand(x, counts=True, side=1):
    return SeenHand(side, Box(x, 0.0, x + 10, 10), None, counts, (x + 5, 5))


def told(found, hands, iou=0.5):
    return [(one.score, one.hit) for one in judge(found, hands, iou)]


def test_each_hand_is_found_once_and_by_the_surest():
    assert told([Found(1, 0.5), Found(0, 0.9)], [hand(0)]) == [(0.9, True), (0.5, False)]


def test_a_hand_that_need_not_be_found_is_neither_right_nor_wrong():
    assert told([Found(0, 0.9), Found(4, 0.8), Found(50, 0.7)], [hand(0, counts=False)]) == [(0.7, False)]


@pytest.mark.parametrize(("x", "hit"), [(0, True), (3, True), (4, False), (30, False)])
def test_what_overlaps_too_little_is_false(x, hit):
    assert told([Found(x, 0.9)], [hand(0)]) == [(0.9, hit)]


def test_sides_are_judged_where_a_hand_is():
    right, wrong = (next(judge([Found(0, 0.9, side)], [hand(0)], 0.5)) for side in ("right", "left"))
    assert right.side_right and not wrong.side_right and right.held_right


def test_leaving_out_low_scores_changes_nothing_above_them():
    rng = np.random.default_rng(0)
    found = [Found(float(x), float(score)) for x, score in zip(rng.uniform(0, 60, 20), rng.random(20), strict=True)]
    hands = [hand(0), hand(12), hand(30, counts=False), hand(45)]
    whole = told(found, hands)
    assert told([one for one in found if one.score > 0.5], hands) == [one for one in whole if one[0] > 0.5]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], 0.0),
        ([(0.9, True), (0.8, True)], 1.0),
        ([(0.9, True)], 0.5),
        ([(0.9, False), (0.8, True), (0.7, True)], (2 / 3 + 2 / 3) / 2),
        ([(0.9, True), (0.8, False), (0.7, True)], (1 + 2 / 3) / 2),
    ],
)
def test_average_precision_of_two_hands(scores, expected):
    places = iter((0.0, 20.0))
    frames = [([Found(next(places) if hit else 50.0, score) for score, hit in scores], [hand(0), hand(20)])]
    assert average_precision(frames, 0.5) == pytest.approx(expected, abs=1e-4)


def test_without_hands_there_is_no_precision():
    assert average_precision([([Found(0, 0.9)], [])], 0.5) is None


def test_the_best_threshold_weighs_recall_more():
    judged = [
        JudgedDetection(0.9, True),
        JudgedDetection(0.8, False),
        JudgedDetection(0.7, True),
        *[JudgedDetection(0.6, False)] * 20,
    ]
    best = best_threshold(judged, 2)
    assert best["value"] == 0.7 and best["recall"] == 1 and best["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert best["f2"] == pytest.approx(5 * (2 / 3) / (4 * (2 / 3) + 1), abs=1e-4)
    assert best_threshold([JudgedDetection(0.9, False)], 2) is None and best_threshold(judged, 0) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_threshold_does_what_it_says_when_it_is_used(seed):
    """Scores come in steps, so that many are equal: all of them are taken or none."""
    rng = np.random.default_rng(seed)
    judged = [
        JudgedDetection(float(score), bool(hit))
        for score, hit in zip(rng.integers(1, 6, 40) / 5, rng.random(40) < 0.4, strict=True)
    ]
    wanted = sum(one.hit for one in judged) + 3
    best = best_threshold(judged, wanted)
    taken = [one.hit for one in judged if one.score >= best["value"]]
    assert best["recall"] == pytest.approx(sum(taken) / wanted, abs=1e-4)
    assert best["precision"] == pytest.approx(np.mean(taken), abs=1e-4)


def test_boxes_are_matched_one_to_one_and_best_first():
    wanted = [Box(0.0, 0, 10, 10), Box(20.0, 0, 30, 10)]
    said = [Box(21.0, 0, 31, 10), Box(2.0, 0, 12, 10), Box(0.0, 0, 10, 10), Box(60.0, 0, 70, 10)]
    assert match_boxes(wanted, said) == {0: 2, 1: 0}
    assert match_boxes(wanted, []) == {} and match_boxes([], said) == {}


@pytest.mark.parametrize("views", range(2, 12))
@pytest.mark.parametrize("count", [2, 4, 8])
def test_all_views_are_used_once_and_none_alone(views, count):
    groups = several_at_a_time(views, count)
    assert [row for group in groups for row in group] == list(range(views))
    assert min(map(len, groups)) >= min(LEAST_VIEWS, views)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.4, 0.5), (2.0, -1.0)])
def test_calibration_finds_what_logits_were_bent_by(scale, offset):
    """True log-odds, told too loud and off: the fit takes both back."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1.5, 20000)
    odds = np.concatenate([odds, -odds])  # both classes alike
    truth = (rng.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(float)
    found = fit((odds - offset) / scale, truth)
    assert found["scale"] == pytest.approx(scale, rel=0.06) and found["offset"] == pytest.approx(offset, abs=0.06)
    assert found["ece"] <= found["ece_before"] + 0.005 and found["ece"] < 0.02


def test_calibration_does_not_carry_the_share_of_a_class():
    rng = np.random.default_rng(1)
    logits = np.concatenate([rng.normal(1, 1, 400), rng.normal(-1, 1, 8000)])
    truth = np.repeat([1.0, 0.0], (400, 8000))
    found = fit(logits, truth)
    assert abs(found["offset"]) < 0.15 and found["count"] == 8400 and found["true"] == 400


def test_logits_that_say_the_opposite_are_named():
    logits = np.array([3.0, 2, 1, -1, -2, -3])
    with pytest.raises(InvalidInput, match="tell nothing"):
        fit(logits, np.array([0.0, 0, 0, 1, 1, 1]))
