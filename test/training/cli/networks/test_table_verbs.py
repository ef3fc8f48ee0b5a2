"""`prehend-train ablate` and `views-table`: what is printed is what is written, and what is done stays done."""

import csv
import json

import numpy as np
import pytest

from prehend_training.cli.main import main
from prehend_training.experiments.ablation import COLUMNS


def ablate(out, crops, *more):
    given = [
        "ablate",
        "debug-unihope",
        "--out",
        out,
        "--data",
        crops,
        "--held-out",
        crops,
        "--steps",
        "1",
        "--threads",
        "1",
    ]
    return main([str(word) for word in (*given, *more)])


@pytest.fixture(scope="module")
def table(crops, tmp_path_factory):
    """Rows a and g of one seed."""
    out = tmp_path_factory.mktemp("ablation")
    assert ablate(out, crops, "--rows", "ag", "--seeds", "1") == 0
    return out


def times(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("*/checkpoint/averaged.safetensors")}


def test_the_numbers_of_every_file_are_those_that_were_measured(table):
    told = json.loads((table / "ablation.json").read_text())
    rows = list(csv.DictReader((table / "ablation.csv").open()))
    text = (table / "ablation.md").read_text()
    assert [row["row"] for row in rows] == ["a", "g"] == [row["row"] for row in told["rows"]]
    for row, kept in zip(rows, told["rows"], strict=True):
        measured = json.loads((table / f"{row['row']}-0" / "measured.json").read_text())
        for column in COLUMNS:
            value = measured
            for key in column.place.split("/"):
                value = value.get(key) if isinstance(value, dict) else None
            assert kept["measures"][column.title] == [value]
            assert row[column.title] == ("" if value is None else str(value))
            if value is not None:
                assert f"{column.factor * value:.{column.digits}f}" in text
    assert told["missing"] == [] and "Not run" not in text and np.isfinite(told["rows"][0]["measures"]["J-PE"]).all()


def test_the_same_command_again_prints_the_same_and_trains_nothing(table, crops, capsys):
    before, text = times(table), (table / "ablation.md").read_text()
    assert len(before) == 2 and ablate(table, crops, "--rows", "ag", "--seeds", "1") == 0
    assert capsys.readouterr().out == text and times(table) == before


def test_a_call_without_time_names_what_is_missing_and_keeps_what_there_is(table, crops, capsys):
    before = times(table)
    assert ablate(table, crops, "--rows", "ag", "--seeds", "2", "--call-minutes", "0") == 0
    said = capsys.readouterr().out
    assert "Not run: a-1, g-1." in said and times(table) == before
    assert json.loads((table / "plan.json").read_text())["seeds"] == [0, 1]
    assert ablate(table, crops, "--rows", "ag", "--seeds", "1") == 0  # as it was


@pytest.mark.parametrize(
    ("more", "differs"),
    [(("--steps", "2"), "steps"), (("--held-out", "{0}/x"), "held_out"), (("--start", "{0}"), "start")],
)
def test_another_table_in_its_folder_is_refused_with_what_differs(more, differs, table, crops, tmp_path, capsys):
    before = (table / "ablation.json").read_bytes()
    more = [word.format(tmp_path) for word in more]
    assert ablate(table, crops, "--rows", "ag", "--seeds", "1", *more) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and differs in error and "another folder" in error
    assert (table / "ablation.json").read_bytes() == before


def test_rows_of_views_may_be_written_with_spaces_and_are_planned_before_they_run(moments, tmp_path, capsys):
    given = ["views-table", "debug-sima", "--out", str(tmp_path), "--data", str(moments), "--held-out", str(moments)]
    assert main([*given, "--steps", "1", "--seeds", "1", "--rows", "views, full", "--call-minutes", "0"]) == 0
    said = capsys.readouterr().out
    assert "Not run: views-0, full-0." in said and said == (tmp_path / "views.md").read_text()
    assert set(json.loads((tmp_path / "plan.json").read_text())["samples_a_run"]) == {"views", "full"}
    assert not list(tmp_path.glob("*/checkpoint"))


def test_a_student_without_its_teacher_is_refused_before_a_folder_is_made(moments, tmp_path, capsys):
    out = tmp_path / "x"
    given = ["views-table", "debug-sima", "--out", str(out), "--data", str(moments), "--held-out", str(moments)]
    assert main([*given, "--steps", "1", "--rows", "full"]) == 1
    assert "put 'views' among the rows" in capsys.readouterr().err and not out.exists()
