"""What counts as found, as false and as neither in photographs; and the thresholds that follow from it."""

from itertools import permutations

import numpy as np
import pytest

from prehend.types import Box, FoundHand
from prehend_training.palms.measure import MAX_HANDS, THRESHOLDS, Looked, choose_threshold, photo_report

SQUARE = (0.0, 0.0, 100.0, 100.0)


def looked(found, boxes=None, hands=None, folder="a"):
    boxes = None if boxes is None else tuple(Box(*box) for box in boxes)
    hands_found = sorted((FoundHand(Box(*box), None, score) for box, score in found), key=lambda one: -one.score)
    return Looked(folder, boxes, hands, tuple(hands_found))


def numbers(one, threshold=0.5):
    return photo_report([one], threshold)[one.folder]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], (0.0, 0, 0)),
        ([(SQUARE, 0.9)], (1.0, 0, 0)),
        ([(SQUARE, 0.4)], (0.0, 0, 0)),
        ([(SQUARE, 0.9), ((10, 10, 90, 90), 0.8)], (1.0, 0, 1)),  # twice the same hand
        ([((200, 0, 300, 100), 0.9)], (0.0, 1, 0)),
        ([((60, 0, 160, 100), 0.9)], (1.0, 0, 0)),
        ([((40, 40, 60, 60), 0.9)], (0.0, 0, 1)),  # a piece of it
    ],
)
def test_one_labelled_hand(found, expected):
    said = numbers(looked(found, [SQUARE]))
    assert (said["found"], said["false"], said["further"]) == expected


def test_the_order_of_labelled_boxes_does_not_matter():
    """Two hands beside each other, and answers that overlap both."""
    boxes = [(0, 0, 100, 100), (50, 0, 150, 100), (400, 0, 500, 100)]
    found = [((30, 0, 130, 100), 0.9), ((-40, 0, 60, 100), 0.8)]
    reports = [numbers(looked(found, list(order))) for order in permutations(boxes)]
    assert all(report == reports[0] for report in reports) and reports[0]["found"] == pytest.approx(2 / 3, abs=1e-4)


def test_no_more_hands_count_than_the_pipeline_follows():
    found = [((300.0 * k, 0, 300 * k + 50, 50), 0.9 - 0.01 * k) for k in range(2, 7)]
    assert numbers(looked(found, [SQUARE]))["false"] == MAX_HANDS


def test_an_image_without_hands_has_false_ones_alone():
    assert numbers(looked([(SQUARE, 0.9)], hands=0)) == {"pictures": 1, "false": 1.0, "further": 0.0}


@pytest.mark.parametrize(("hands", "further"), [(1, 1.0), (2, 0.0), (None, 0.0)])
def test_where_hands_are_counted_alone_more_are_further_ones(hands, further):
    said = numbers(looked([(SQUARE, 0.9), ((200, 0, 300, 100), 0.8)], hands=hands))
    assert said["found"] == 1 and said["false"] == 0 and said["further"] == further


def test_folders_are_told_apart_and_pictures_counted():
    report = photo_report([looked([], [SQUARE], folder="b"), *[looked([(SQUARE, 0.9)], [SQUARE])] * 3], 0.5)
    assert list(report) == ["a", "b"] and [report[name]["pictures"] for name in "ab"] == [3, 1]
    assert [report[name]["found"] for name in "ab"] == [1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_a_higher_threshold_finds_no_more_and_nothing_false_is_added(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(20):
        found = [((x, 0, x + 100, 100), float(score)) for x, score in rng.random((2, 2)) * [400, 1]]
        cases.append(looked(found, [(0, 0, 100, 100), (300, 0, 400, 100)]))
    reports = [photo_report(cases, threshold)["a"] for threshold in THRESHOLDS]
    for name in ("found", "false"):
        assert (np.diff([report[name] for report in reports]) <= 0).all()


@pytest.mark.parametrize("false", [0.0, 0.05, 0.2, 1.0])
def test_the_chosen_threshold_keeps_its_promise_and_the_one_below_does_not(false):
    rng = np.random.default_rng(1)
    cases = [looked([(SQUARE, float(rng.random() ** 2))], hands=0) for _ in range(200)]
    chosen = choose_threshold(cases, false)
    shares = {threshold: photo_report(cases, threshold)["a"]["false"] for threshold in THRESHOLDS}
    assert shares[chosen] <= false or chosen == THRESHOLDS[-1]
    below = [share for threshold, share in shares.items() if threshold < chosen]
    assert all(share > false for share in below)


def test_pictures_whose_hands_are_not_known_choose_nothing():
    cases = [looked([(SQUARE, 0.95)], hands=None), looked([(SQUARE, 0.95)], hands=2)]
    assert choose_threshold(cases) == THRESHOLDS[-1]
