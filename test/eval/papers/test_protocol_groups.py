"""Groups of a report: every hand in its place, means that no grouping changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import OutputError
from prehend.eval.calibration import ordered_pairs, reliability
from prehend.eval.cases import HandCase, score, table_of
from prehend.eval.metrics import auc, classification, hit, pck
from prehend.eval.papers.protocols import SCENES, protocol
from prehend.eval.papers.report import bin_name, column_of, grasp_group, hand_group, in_scene, write_csv, write_json

few = settings(max_examples=30, deadline=None, derandomize=True)
chances = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def table(grasps, hidden=None):
    joints = np.random.default_rng(0).normal(0, 0.05, (21, 3))
    hidden = [0.1] * len(grasps) if hidden is None else hidden
    return table_of(
        [score(HandCase(joints, np.zeros((0, 3)), "left", g, h, None)) for g, h in zip(grasps, hidden, strict=True)]
    )


@few
@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=12))
def test_scenes_share_out_the_hands_whose_grasp_is_known(grasps):
    rows = {scene: in_scene(table(grasps), scene) for scene in SCENES}
    assert rows["all"].all() and not (rows["hand-only"] & rows["hand-object"]).any()
    known = [grasp is not None for grasp in grasps]
    assert (rows["hand-only"] | rows["hand-object"]).tolist() == known


def test_hands_that_nobody_answered_count_and_have_no_errors():
    column = column_of(table([True, False, None], [0.3, float("nan"), 1.0]), protocol("scenes"))
    assert (column["hands"], column["answered"], column["side_accuracy"]) == (3, 0, None)
    assert {name: group["hands"] for name, group in column["occlusion"].items()} == {
        "0-25": 0, "25-50": 1, "50-75": 0, "75-100": 1,
    }  # fmt: skip
    assert all(value is None for name, value in column["scenes"]["all"].items() if name not in ("hands", "answered"))
    assert column["grasp"]["hands"] == 0 and column["curves"]["j_pck"] is None
    assert column["objects"]["by_object"] == {} and column["objects"]["all"]["samples"] == 0


def test_names_of_bins_are_percent():
    assert [bin_name(*pair) for pair in protocol("scenes").occlusion_bins] == ["0-25", "25-50", "50-75", "75-100"]


@few
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_rates_change_places_when_truth_and_answer_do(pairs):
    true, said = (np.array([pair[k] for pair in pairs], bool) for k in (0, 1))
    one, other = classification(true, said), classification(said, true)
    assert one["precision"] == other["recall"] and one["f1"] == other["f1"] and one["accuracy"] == other["accuracy"]


@few
@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=21), st.integers(2, 5))
def test_a_curve_is_the_mean_over_any_division_of_its_points(errors, times):
    whole = pck(np.tile(errors, times))
    np.testing.assert_allclose(whole, pck(np.array(errors)))
    np.testing.assert_allclose(whole, np.mean([pck(np.array([error])) for error in errors], 0))
    assert 0 <= auc(whole) <= 1


def test_errors_that_are_none_are_wrong_at_every_threshold():
    curve = pck(np.array([0.0, np.nan, np.inf, 0.01]))
    assert curve[0] == 0.25 and curve[-1] == 0.5
    np.testing.assert_array_equal(hit([np.nan, 0.01], [0.1, np.nan], 0.5), [False, False])


@few
@given(chances)
def test_calibration_does_not_depend_on_the_order_and_counts_every_answer(pairs):
    said, true = zip(*pairs, strict=True)
    told, turned = reliability(said, true), reliability(said[::-1], true[::-1])
    assert told["ece"] == pytest.approx(turned["ece"], abs=1e-4) and told["count"] == len(pairs)
    assert sum(row["count"] for row in told["bins"]) == len(pairs) and 0 <= told["ece"] <= 1
    assert all(row["low"] <= row["said"] + 1e-4 and row["said"] - 1e-4 <= row["high"] for row in told["bins"])


@pytest.mark.parametrize("bins", [3, 7, 10, 15, 49, 100])
def test_a_probability_at_a_border_is_of_the_upper_bin(bins):
    for border in range(bins):
        (row,) = reliability([border / bins], [1], bins)["bins"]
        assert row["low"] == round(border / bins, 4)


def test_answers_of_no_weight_change_nothing():
    told = reliability([0.05, 0.95, 0.95], [1, 1, 0], weights=[0, 1, 1])
    plain = reliability([0.95, 0.95], [1, 0])
    assert told["ece"] == plain["ece"] and [row["true"] for row in told["bins"]] == [0.5]
    assert reliability([0.5], [1], weights=[0])["ece"] is None


@few
@given(chances)
def test_the_order_of_scores_is_what_counts(pairs):
    true, false = ([score for score, right in pairs if right is kind] for kind in (True, False))
    share = ordered_pairs(true, false)
    if share is not None:
        assert share == pytest.approx(1 - ordered_pairs(false, true))
        squeezed = ordered_pairs(*([0.3 + 0.1 * value for value in scores] for scores in (true, false)))
        assert abs(share - squeezed) <= 0.51, "only ties may change"


@pytest.mark.parametrize("write", [write_json, write_csv])
def test_a_report_that_cannot_be_written_is_one_line(write, tmp_path):
    report = {"columns": {"boxes": column_of(table([True]), protocol("scenes"))}}
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "report", tmp_path, tmp_path / "no\0name"):
        with pytest.raises(OutputError, match="cannot be written") as told:
            write(report, path)
        assert "\n" not in str(told.value)


def test_grasps_are_told_of_hands_whose_answer_is_known():
    known = {"grasp": np.array([1.0, 0, 1, np.nan]), "said_grasp": np.array([1.0, 1, np.nan, 0])}
    assert grasp_group(known) == {"hands": 2, "accuracy": 50, "precision": 50, "recall": 100, "f1": 66.67}
    empty = hand_group(table([True]), np.zeros(1, bool))
    assert empty["hands"] == 0 and empty["answered"] is None
