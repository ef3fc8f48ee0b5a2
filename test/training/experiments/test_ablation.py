import json
import math

import pytest

from prehend.errors import InvalidInput
from prehend_training.experiments.ablation import MEASURES, Ablation, markdown, run_ablation, spread
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
    ablation = Ablation("debug-unihope", [crops], [crops], 1, [0, 1], "ag")
    report = run_ablation(ablation, tmp_path, Machine(threads=1))
    assert [row["row"] for row in report["rows"]] == ["a", "g"]
    values = report["rows"][0]["measures"]["J-PE"]
    assert len(values) == 2
    assert [json.loads((tmp_path / f"g-{seed}/run.json").read_text())["seed"] for seed in (0, 1)] == [0, 1]
    assert {"ablation.json", "ablation.csv", "ablation.md", "ablation.png"} <= {p.name for p in tmp_path.iterdir()}
    assert len((tmp_path / "ablation.csv").read_text().splitlines()) == 1 + 4
    measured = json.loads((tmp_path / "g-1/measured.json").read_text())
    for place in MEASURES.values():
        name, _, group = place.partition("/")
        assert not group or group in measured[name], place
    trained = (tmp_path / "g-1/checkpoint").stat().st_mtime_ns
    again = run_ablation(ablation, tmp_path, Machine(threads=1))
    assert again["rows"] == report["rows"]
    assert trained == (tmp_path / "g-1/checkpoint").stat().st_mtime_ns
    assert json.loads((tmp_path / "ablation.json").read_text())["seeds"] == [0, 1]
    assert f"{spread(values)[0]:.1f} ±" in markdown(report) and all(name in markdown(report) for name in MEASURES)


def test_a_row_that_is_not_there_is_refused(crops, tmp_path):
    with pytest.raises(InvalidInput, match="abcdefg"):
        run_ablation(Ablation("debug-unihope", [crops], [crops], 1, [0], "z"), tmp_path, Machine(threads=1))


def test_spread_is_of_what_is_known():
    assert spread([1.0, 3.0, None]) == pytest.approx((2.0, math.sqrt(2)))
    assert math.isnan(spread([1.0])[1]) and math.isnan(spread([])[0])
