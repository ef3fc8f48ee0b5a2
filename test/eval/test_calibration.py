import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.eval.calibration import ordered_pairs, reliability

scores = st.lists(st.integers(0, 20).map(lambda k: k / 20), max_size=12)


def test_a_known_case_gives_the_calibration_error_of_the_definition():
    told = reliability([0.95, 0.95, 0.95, 0.95, 0.15, 0.15], [1, 1, 1, 0, 0, 1])
    # bins of four and two answers: |0.95 - 0.75| and |0.15 - 0.5|
    assert told["ece"] == pytest.approx((4 * 0.2 + 2 * 0.35) / 6, abs=1e-4) and told["count"] == 6
    assert [(one["low"], one["count"], one["true"]) for one in told["bins"]] == [(0.1, 2, 0.5), (0.9, 4, 0.75)]


def test_scores_that_come_true_as_often_as_they_say_have_no_error():
    rng = np.random.default_rng(0)
    said = rng.random(200_000)
    assert reliability(said, rng.random(200_000) < said)["ece"] < 0.01
    assert reliability(said, rng.random(200_000) < said**3)["ece"] > 0.1


def test_borders_belong_to_a_bin_and_what_is_unknown_to_none():
    told = reliability([0.0, 0.1, 1.0, np.nan], [0, 0, 1, 1])
    assert [one["low"] for one in told["bins"]] == [0, 0.1, 0.9] and told["count"] == 3
    assert reliability([], [])["ece"] is None


@pytest.mark.parametrize(
    ("said", "true", "message"), [([1.2], [1], "between 0 and 1"), ([0.5], [1, 0], "do not belong")]
)
def test_what_is_no_probability_is_refused(said, true, message):
    with pytest.raises(InvalidInput, match=message):
        reliability(said, true)


@settings(max_examples=60, deadline=None)
@given(true=scores, false=scores)
def test_ordered_pairs_are_counted(true, false):
    pairs = [(a > b) + 0.5 * (a == b) for a in true for b in false]
    assert ordered_pairs(true, false) == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_an_answer_that_weighs_twice_counts_as_two():
    rng = np.random.default_rng(5)
    said, true = rng.random(60), rng.integers(0, 2, 60)
    twice = rng.integers(1, 3, 60)
    repeated = reliability(np.repeat(said, twice), np.repeat(true, twice))
    weighed = reliability(said, true, weights=twice)
    assert weighed["ece"] == repeated["ece"]
    assert [b["true"] for b in weighed["bins"]] == [b["true"] for b in repeated["bins"]]
    assert weighed["ece"] != reliability(said, true)["ece"]
