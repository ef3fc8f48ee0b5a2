import json

import pytest

from prehend.errors import InvalidInput
from prehend_training.experiments.ablation import COLUMNS, ablation_table
from prehend_training.experiments.table import Extent, markdown, run_table, spread
from prehend_training.train.loop.machine import Machine
from prehend_training.train.presets import ABLATION_ROWS, preset, row_name


def test_rows_add_one_thing_each():
    rows = [preset(row_name("unihope-xs", letter)) for letter in ABLATION_ROWS]
    assert "".join(ABLATION_ROWS) == "abcdefg"
    assert [row.fusion for row in rows] == ["always"] + ["grasp-aware"] * 6
    assert [None if row.twins is None else len(row.twins.levels) for row in rows] == [None, None, 0, 1, 2, 3, 3]
    assert rows[5].twins.least_hidden is None and rows[6].twins.least_hidden == pytest.approx(0.1)
    assert len({(row.config, row.data, row.loss, row.optimisation) for row in rows}) == 1  # the rest is equal


def test_rows_are_trained_once_measured_and_compared(crops, tmp_path):
    table = ablation_table("debug-unihope", [crops], Extent(1, [0, 1], [crops]), "ag")
    report = run_table(table, tmp_path, Machine(threads=1))
    assert [row["row"] for row in report["rows"]] == ["a", "g"] and report["base"] == "debug-unihope"
    values = report["rows"][0]["measures"]["J-PE"]
    assert len(values) == 2
    assert [json.loads((tmp_path / f"g-{seed}/run.json").read_text())["seed"] for seed in (0, 1)] == [0, 1]
    assert {"ablation.json", "ablation.csv", "ablation.md", "ablation.png"} <= {p.name for p in tmp_path.iterdir()}
    measured = json.loads((tmp_path / "g-1/measured.json").read_text())
    for column in COLUMNS:
        name, _, group = column.place.partition("/")
        assert not group or group in measured[name], column.place
    text = markdown(report)
    assert f"{spread(values)[0]:.1f} ±" in text and all(column.title in text for column in COLUMNS)


def test_a_row_that_is_not_there_is_refused(crops):
    with pytest.raises(InvalidInput, match="abcdefg"):
        ablation_table("debug-unihope", [crops], Extent(1, [0], [crops]), "z")
