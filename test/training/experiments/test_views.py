import json
import time

import pytest

from prehend.errors import InvalidInput
from prehend_training.cli.main import main
from prehend_training.experiments.views import MEASURES, ViewsTable, markdown, run_views_table
from prehend_training.train.loop.machine import Machine

MACHINE = Machine(threads=1)
ROWS = ("full", "views", "plain")


@pytest.fixture(scope="module")
def table(moments):
    return ViewsTable("debug-sima", [moments], [moments], 1, [0, 1], ROWS)


def test_rows_are_trained_once_measured_and_compared(table, tmp_path):
    report = run_views_table(table, tmp_path, MACHINE)
    assert [row["row"] for row in report["table"]] == ["full", "views", "views-2", "views-4", "plain"]
    assert report["missing"] == [] and all(len(row["measures"]["J-PE"]) == 2 for row in report["table"])
    assert {"plan.json", "views.json", "views.csv", "views.md", "views.png"} <= {p.name for p in tmp_path.iterdir()}
    assert len((tmp_path / "views.csv").read_text().splitlines()) == 1 + 5 * 2
    assert json.loads((tmp_path / "full-1" / "run.json").read_text())["teacher"]["run"] == "views-1"
    assert all(name in markdown(report) for name in MEASURES) and "±" in markdown(report)
    trained = (tmp_path / "full-1" / "checkpoint").stat().st_mtime_ns
    assert run_views_table(table, tmp_path, MACHINE)["table"] == report["table"]
    assert trained == (tmp_path / "full-1" / "checkpoint").stat().st_mtime_ns


def test_the_plan_is_written_before_anything_runs_and_what_was_stopped_is_named(table, tmp_path):
    report = run_views_table(table, tmp_path, MACHINE, until_s=time.monotonic())
    assert report["missing"] == ["views-0", "full-0", "plain-0", "views-1", "full-1", "plain-1"]
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["samples_a_run"] == dict.fromkeys(ROWS, 8) and plan["seeds"] == [0, 1]
    assert "Not run: views-0, full-0" in markdown(report)
    assert report["table"][0]["measures"]["J-PE"] == [None, None]
    other = ViewsTable("debug-sima", table.data, table.held_out, 2, [0, 1], ROWS)
    with pytest.raises(InvalidInput, match=r"another table .samples_a_run, steps differ"):
        run_views_table(other, tmp_path, MACHINE)


def test_rows_and_presets_that_are_not_there_are_named(table, moments, tmp_path, capsys):
    for rows, words in ((("everything",), "no row 'everything'"), (("full",), "among the rows")):
        with pytest.raises(InvalidInput, match=words):
            run_views_table(
                ViewsTable("debug-sima", [moments], [moments], 1, [0], rows), tmp_path / rows[0], MACHINE
            )  # fmt: skip
    verb = ["views-table", "debug-sima", "--out", str(tmp_path / "t"), "--steps", "0"]
    assert main([*verb, "--data", str(moments), "--held-out", str(moments)]) == 1
    assert "one step at least" in capsys.readouterr().err
