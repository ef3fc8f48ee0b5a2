"""From answers to a report: what is weighed by what, and what counts where labels are incomplete."""

import csv
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import OutputError
from prehend.eval.photographs.labels import LabelledPhoto
from prehend.eval.photographs.measures import LabelledHand, PhotoAnswer
from prehend.types import Box
from prehend_training.evaluate.photographs.measure import PhotoRun
from prehend_training.evaluate.photographs.report import (
    ALL,
    THRESHOLDS,
    calibration_report,
    column_report,
    scored_labels,
    worst_false,
    worst_labels,
    write_labels_csv,
)

GRID = np.stack(np.meshgrid(np.arange(7.0), np.arange(3.0)), -1).reshape(21, 2) * 10
"""A hand of 60 px."""


def label(x=0.0, **known):
    return LabelledHand(GRID + np.array([x, 0.0]), **known)


def answer(x=0.0, off=0.0, **told):
    return PhotoAnswer(GRID + np.array([x + off, 0.0]), **told)


def run(name, hands, answers, complete=False, group="set", path=Path("p.jpg"), column="detector"):
    photo = LabelledPhoto(f"{group}/{name}.jpg", group, tuple(hands), complete=complete)
    return PhotoRun(photo, path, {column: answers}, time_ms={column: 5.0})


def test_measures_of_a_set_are_means_over_its_labels():
    runs = [
        run(
            "a",
            [label(side="right"), label(500.0, side="left")],
            [answer(off=6.0, side="right"), answer(500.0, 3.0, side="right")],
        ),
        run("b", [label()], [answer(1000.0)]),
    ]  # fmt: skip
    told = column_report(runs, "detector")["sets"]["set"]
    assert told["n"] == 3 and told["found"] == pytest.approx(2 / 3, abs=1e-4) and told["answered"] == 1
    assert told["error_px"] == pytest.approx(4.5) and told["nme"] == pytest.approx(4.5 / 60, abs=1e-4)
    assert told["side"] == 0.5 and told["pck"] == 1 and told["pck_all"] == pytest.approx(2 / 3, abs=1e-4)
    assert column_report(runs, "detector")["time_ms"] == {"median": 5.0, "p95": 5.0}


def test_all_is_over_labels_not_over_sets():
    runs = [run(str(k), [label()], [answer(off=2.0)], group="many") for k in range(9)]
    runs.append(run("x", [label()], [answer(off=12.0)], group="one"))
    sets = column_report(runs, "detector")["sets"]
    assert list(sets) == ["many", "one", ALL]
    assert (sets["many"]["error_px"], sets["one"]["error_px"]) == (2, 12)
    assert sets[ALL]["n"] == 10 and sets[ALL]["error_px"] == pytest.approx(0.9 * 2 + 0.1 * 12)
    assert list(column_report(runs[:9], "detector")["sets"]) == ["many"]


def test_false_hands_count_where_every_hand_is_labelled():
    extra = [answer(score=0.9), answer(1000.0, score=0.8), answer(2000.0, score=0.3)]
    runs = [
        run("a", [label()], extra, complete=True),
        run("b", [label()], [answer(score=0.7)], complete=True),
        run("c", [label()], extra),
    ]
    told = column_report(runs, "detector")
    group = told["sets"]["set"]
    assert (group["pictures"], group["false_a_picture"], group["pictures_with_false"]) == (2, 1.0, 1)
    rows = {row["threshold"]: row for row in told["scores"]}
    assert list(rows) == list(THRESHOLDS)
    assert rows[0.1]["answers"] == 4 and rows[0.1]["precision"] == 0.5 and rows[0.1]["recall"] == 1
    assert rows[0.5]["false_a_picture"] == 0.5 and rows[0.9] == {
        "threshold": 0.9, "answers": 1, "precision": 1.0, "recall": 0.5, "false_a_picture": 0.0,
    }  # fmt: skip
    alone = column_report([runs[2]], "detector")
    assert alone["scores"] is None and alone["sets"]["set"]["false_a_picture"] is None


def test_boxes_that_were_given_have_no_false_hands():
    told = column_report([run("a", [label()], [answer(), answer(900.0)], complete=True, column="boxes")], "boxes")
    assert "scores" not in told and "false_a_picture" not in told["sets"]["set"]


def test_a_picture_nobody_looked_at_is_a_miss_and_judges_nothing():
    told = column_report([run("a", [label()], None, complete=True), run("b", [label()], [answer()])], "detector")
    group = told["sets"]["set"]
    assert (group["n"], group["answered"], group["found"], group["pictures"]) == (2, 0.5, 0.5, 0)


def certain(count=1500, share=lambda p: p, seed=0):
    """Complete pictures of one hand each, found with a score that tells how often it is one."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        score = float(rng.uniform(0.02, 0.98))
        is_hand = rng.random() < share(score)
        side = "right" if rng.random() < score else "left"
        held = bool(rng.random() < score)
        hand = label(side="right", held=held)
        said = answer(0.0 if is_hand else 700.0, score=score, side=side, side_score=score, grasp=score)
        yield run(str(k), [hand], [said], complete=True)


def test_scores_that_mean_what_they_say_are_calibrated():
    told = calibration_report(list(certain()))
    assert told["presence"]["count"] == 1500 and told["presence"]["ece"] < 0.05
    assert told["grasp"]["ece"] < 0.07 and told["grasp"]["count"] == pytest.approx(750, abs=100)
    for row in told["presence"]["bins"]:
        assert row["low"] <= row["said"] <= row["high"] and row["true"] == pytest.approx(row["said"], abs=0.15)
    assert told["true_above_false"] == pytest.approx(5 / 6, abs=0.04)  # of scores that are even, by their own chance


def test_scores_that_are_too_high_are_told():
    told = calibration_report(list(certain(600, lambda p: p / 2)))
    assert told["presence"]["ece"] == pytest.approx(0.25, abs=0.06)


def test_answers_that_tell_nothing_leave_calibration_without_numbers():
    told = calibration_report([run("a", [label(side="left", held=True)], [answer()], complete=True)])
    assert told["side"]["ece"] is told["grasp"]["ece"] is told["presence"]["ece"] is None
    assert told["true_above_false"] is None and told["grasp_answers"]["f1"] is None


def test_the_order_of_pictures_changes_nothing():
    runs = list(certain(60))
    mixed = runs.copy()
    random.Random(0).shuffle(mixed)
    for work in (lambda r: column_report(r, "detector"), calibration_report):
        assert work(runs) == work(mixed)


def test_grasps_are_judged_where_label_and_answer_tell():
    hands = [label(held=True), label(300.0, held=True), label(600.0, held=False), label(900.0)]
    said = [answer(grasp=0.9), answer(300.0, grasp=0.2), answer(600.0, grasp=0.8), answer(900.0, grasp=0.9)]
    told = column_report([run("a", hands, said)], "detector")["sets"]["set"]["grasp"]
    assert told == {"hands": 3, "accuracy": 0.3333, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert (
        "grasp"
        not in column_report([run("a", hands, [replace(one, grasp=np.nan) for one in said])], "detector")["sets"]["set"]
    )


def test_hands_that_are_not_scored_have_no_row():
    few = np.zeros(21, bool)
    few[:3] = True
    hands = [label(), LabelledHand(GRID, known=few), LabelledHand(box_px=Box(0, 0, 60, 20))]
    rows = scored_labels([run("a", hands, [answer()])], "detector")
    assert [one.row for one in rows] == [0, 2] and all(one.answer is not None for one in rows)


def test_the_worst_are_the_missed_then_the_farthest_off():
    runs = [
        run("near", [label()], [answer(off=1.0)]),
        run("far", [label()], [answer(off=20.0)]),
        run("missed", [label()], []),
        run("elsewhere", [label()], [answer()], path=None),
    ]
    names = [one.run.photo.name for one in worst_labels(runs, 9)]
    assert names == ["set/missed.jpg", "set/far.jpg", "set/near.jpg"] and len(worst_labels(runs, 1)) == 1


def test_the_worst_false_hands_are_the_surest_ones():
    runs = [
        run("a", [label()], [answer(score=0.99), answer(900.0, score=0.4)], complete=True),
        run("b", [], [answer(score=0.8)], complete=True),
        run("c", [], [answer(score=0.9)]),
    ]
    assert [(one.photo.name, said.score) for one, said in worst_false(runs, 5)] == [
        ("set/b.jpg", 0.8),
        ("set/a.jpg", 0.4),
    ]
    assert len(worst_false(runs, 1)) == 1


def test_a_csv_has_the_numbers_of_the_report(tmp_path):
    runs = [
        run("a", [label(side="right", held=True)], [answer(off=6.0, side="left", score=0.5, grasp=0.25)]),
        run("b", [label()], []),
    ]
    path = write_labels_csv(runs, ["detector"], tmp_path / "new" / "labels.csv")
    first, second = csv.DictReader(path.open())
    assert (first["image"], first["found"], first["error_px"], first["nme"]) == ("set/a.jpg", "1", "6.0", "0.1")
    assert (first["side"], first["said_side"], first["score"], first["held"], first["grasp"]) == (
        "right",
        "left",
        "0.5",
        "1",
        "0.25",
    )
    assert first["pa_mm"] == "" and (second["found"], second["error_px"], second["said_side"]) == ("0", "", "")
    assert write_labels_csv([], ["detector"], tmp_path / "empty.csv").read_text().strip() == "column"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_labels_csv(runs, ["detector"], tmp_path / "file" / "labels.csv")
