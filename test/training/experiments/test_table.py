"""What every table of experiments keeps, refuses and tells; on the smallest network there is."""

import json
import math
import time

import pytest

from prehend.errors import InvalidInput
from prehend_training.experiments.table import Column, Extent, Study, StudyArm, markdown, run_table, spread
from prehend_training.train.loop.machine import Machine
from prehend_training.train.presets import preset

MACHINE = Machine(threads=1)
COLUMNS = (Column("seed", "run/seed", 2), Column("share %", "share", factor=100, drawn=True), Column("absent", "no"))


def table_of(crops, steps=1, seeds=(0, 1), arms="ab"):
    """A row for each arm; what is measured of a run is its seed."""

    def measure(run):
        return {"run": {"seed": json.loads((run / "run.json").read_text())["seed"]}, "share": 0.5}

    rows = [StudyArm(name, f"words of {name}", preset("debug-lift"), [crops]) for name in arms]
    return Study("tiny", rows, COLUMNS, Extent(steps, seeds, [crops]), measure)


def test_runs_are_trained_once_and_seeds_and_arms_may_be_added(crops, tmp_path):
    report = run_table(table_of(crops), tmp_path, MACHINE)
    assert [row["measures"] for row in report["rows"]] == [
        {"seed": [0, 1], "share %": [0.5, 0.5], "absent": [None, None]},
    ] * 2
    assert {f"tiny.{ending}" for ending in ("json", "md", "csv", "png")} <= {p.name for p in tmp_path.iterdir()}
    assert (tmp_path / "tiny.csv").read_text().splitlines() == ["row,seed,seed,share %,absent", *(
        f"{arm},{seed},{seed},0.5," for arm in "ab" for seed in (0, 1)
    )]  # fmt: skip
    first = (tmp_path / "b-1" / "checkpoint").stat().st_mtime_ns
    more = run_table(table_of(crops, seeds=(0, 1, 2), arms="abc"), tmp_path, MACHINE)
    assert more["rows"][2]["measures"]["seed"] == [0, 1, 2]
    assert (tmp_path / "b-1" / "checkpoint").stat().st_mtime_ns == first
    with pytest.raises(InvalidInput, match=r"another table .samples_a_run, steps differ"):
        run_table(table_of(crops, steps=2), tmp_path, MACHINE)


def test_what_was_stopped_is_named_and_goes_on(crops, tmp_path):
    report = run_table(table_of(crops, seeds=[0]), tmp_path, MACHINE, until_s=time.monotonic())
    assert report["missing"] == ["a-0", "b-0"] and "Not run: a-0, b-0." in markdown(report)
    assert report["rows"][0]["measures"]["seed"] == [None] and "| - | - | - |" in markdown(report)
    assert run_table(table_of(crops, seeds=[0]), tmp_path, MACHINE)["missing"] == []


def test_cells_have_mean_and_deviation_in_the_unit_of_their_column(crops, tmp_path):
    text = markdown(run_table(table_of(crops, arms="a"), tmp_path, MACHINE))
    assert "| a | words of a | 0.50 ± 0.71 | 50.0 ± 0.0 | - |" in text


def test_nothing_to_run_is_refused(crops):
    for steps, seeds in ((0, [0]), (1, [])):
        with pytest.raises(InvalidInput, match="one seed and one step"):
            table_of(crops, steps, seeds)


def test_spread_is_of_what_is_known():
    assert spread([1.0, 3.0, None]) == pytest.approx((2.0, math.sqrt(2)))
    assert math.isnan(spread([1.0])[1]) and math.isnan(spread([])[0])
