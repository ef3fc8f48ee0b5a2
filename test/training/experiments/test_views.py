import json
import time

import pytest

from prehend.errors import InvalidInput
from prehend_training.cli.main import main
from prehend_training.experiments.table import Extent, run_table
from prehend_training.experiments.views import COLUMNS, views_table
from prehend_training.train.loop.machine import Machine

MACHINE = Machine(threads=1)
ROWS = ("full", "views", "plain")


def table_of(moments, steps=1, seeds=(0, 1), rows=ROWS):
    return views_table("debug-sima", [moments], Extent(steps, seeds, [moments]), rows)


def test_students_have_the_teacher_of_their_seed_which_has_rows_of_fewer_views(moments, tmp_path):
    report = run_table(table_of(moments), tmp_path, MACHINE)
    assert [row["row"] for row in report["rows"]] == ["full", "views", "views-2", "views-4", "plain"]
    assert report["missing"] == [] and all(len(row["measures"]["J-PE"]) == 2 for row in report["rows"])
    assert json.loads((tmp_path / "full-1" / "run.json").read_text())["teacher"]["run"] == "views-1"
    measured = json.loads((tmp_path / "views-1" / "measured.json").read_text())
    assert report["rows"][2]["measures"]["J-PE"][1] == measured["views"]["2"]["joint_error_mm"]
    assert all(column.place.split("/")[0] in measured for column in COLUMNS)


def test_the_plan_is_written_before_anything_runs_teachers_first(moments, tmp_path):
    report = run_table(table_of(moments), tmp_path, MACHINE, until_s=time.monotonic())
    assert report["missing"] == ["views-0", "full-0", "plain-0", "views-1", "full-1", "plain-1"]
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["samples_a_run"] == dict.fromkeys(ROWS, 8) and plan["seeds"] == [0, 1]


def test_rows_and_presets_that_are_not_there_are_named(moments, tmp_path, capsys):
    for rows, words in ((("everything",), "no row 'everything'"), (("full",), "among the rows")):
        with pytest.raises(InvalidInput, match=words):
            table_of(moments, rows=rows)
    with pytest.raises(InvalidInput, match="sima-xs"):
        views_table("debug-unihope", [moments], Extent(1, [0], [moments]), ("full",))
    verb = ["views-table", "debug-sima", "--out", str(tmp_path / "t"), "--steps", "0"]
    assert main([*verb, "--data", str(moments), "--held-out", str(moments)]) == 1
    assert "one step at least" in capsys.readouterr().err
