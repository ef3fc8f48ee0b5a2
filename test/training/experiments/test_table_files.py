"""The files of a table: the same numbers in each, rows that are told apart, plans that only grow."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import cv2
import pytest

from prehend.errors import InvalidInput
from prehend_training.cli.main import main
from prehend_training.experiments.table import Column, Extent, Study, StudyArm, markdown, write_plan, write_report
from prehend_training.train.presets import preset

PLAIN, DRAWN = Column("J-PE", "j", 2), Column("share, %", "share", 1, 100, drawn=True)


def table_of(arms, columns=(PLAIN, DRAWN), seeds=(0, 1), steps=3, held_out=()):
    return Study("some", arms, columns, Extent(steps, seeds, held_out), lambda run: {})


def an_arm(name="a", words="first, of two", data=("x",), **more):
    return StudyArm(name, words, preset("debug-lift"), [Path(path) for path in data], **more)


def a_report(columns=(PLAIN, DRAWN), rows=(("a", [1.0, 2.0], [0.25, 0.75]), ("b", [3.0, None], [None, None]))):
    told = [
        {"row": row, "what": f"what {row} is", "measures": {"J-PE": one, "share, %": two}} for row, one, two in rows
    ]
    columns = [asdict(column) for column in columns]
    return {"table": "some", "steps": 3, "seeds": [0, 1], "missing": [], "columns": columns, "rows": told}


def test_json_csv_and_markdown_hold_the_same_numbers(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    report = a_report()
    write_report(report, tmp_path)
    assert json.loads((tmp_path / "some.json").read_text()) == report
    rows = list(csv.DictReader((tmp_path / "some.csv").open()))
    assert [(row["row"], row["seed"], row["J-PE"], row["share, %"]) for row in rows] == [
        ("a", "0", "1.0", "0.25"), ("a", "1", "2.0", "0.75"), ("b", "0", "3.0", ""), ("b", "1", "", ""),
    ]  # fmt: skip
    text = (tmp_path / "some.md").read_text()
    assert text == markdown(report)
    assert "| a | what a is | 1.50 ± 0.71 | 50.0 ± 35.4 |" in text and "| b | what b is | 3.00 | - |" in text
    picture = cv2.imread(str(tmp_path / "some.png"))
    assert picture is not None and 0.001 < (picture < 128).any(-1).mean() < 0.5


def test_a_table_whose_columns_are_not_drawn_has_no_picture(tmp_path):
    write_report(a_report(columns=(PLAIN,)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"some.json", "some.md", "some.csv"}


def test_two_rows_of_one_name_are_refused(crops, tmp_path, capsys):
    with pytest.raises(InvalidInput, match="row 'a' is given twice"):
        table_of([an_arm(), an_arm("b"), an_arm()])
    given = ["ablate", "debug-unihope", "--data", str(crops), "--held-out", str(crops), "--steps", "1"]
    assert main([*given, "--out", str(tmp_path / "x"), "--rows", "aga"]) == 1
    error = capsys.readouterr().err
    assert "row 'a' is given twice" in error and error.count("\n") == 1 and not (tmp_path / "x").exists()


def test_teachers_run_first_and_whole_sets_of_rows_before_the_next_seed():
    table = table_of([an_arm("student", teacher="teacher"), an_arm("alone"), an_arm("teacher")])
    assert [name for _, _, name in table.runs()] == [
        "teacher-0", "student-0", "alone-0", "teacher-1", "student-1", "alone-1",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="put 'teacher' among the rows"):
        table_of([an_arm("student", teacher="teacher")])


def test_a_plan_takes_more_rows_and_seeds_and_nothing_else(crops, frames, tmp_path):
    arms = [an_arm("a", data=[crops]), an_arm("b", data=[crops, frames])]
    plan = write_plan(table_of(arms[:1]), tmp_path)
    batch = preset("debug-lift").optimisation.batch_size
    assert plan["samples_a_run"] == {"a": 3 * batch} and plan == json.loads((tmp_path / "plan.json").read_text())
    assert write_plan(table_of(arms, seeds=(0, 1, 2)), tmp_path)["seeds"] == [0, 1, 2]
    for other in (
        table_of(arms, steps=4),
        table_of([arms[0], an_arm("b", data=[frames])]),
        table_of(arms, held_out=[Path("elsewhere")]),
    ):
        before = (tmp_path / "plan.json").read_bytes()
        with pytest.raises(InvalidInput, match="holds another table"):
            write_plan(other, tmp_path)
        assert (tmp_path / "plan.json").read_bytes() == before
