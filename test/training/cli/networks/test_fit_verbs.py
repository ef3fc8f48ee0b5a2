"""`prehend-train calibrate`, and what it says of a run afterwards."""

import json

import numpy as np
import pytest

from prehend_training.cli.main import main


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "debug-unihope", str(out), "--data", str(crops), "--steps", "1", "--threads", "1"]) == 0
    return out


def calibrate(run, crops, *more):
    return main(["calibrate", str(run), "--data", str(crops), *more])


def test_what_is_printed_is_what_is_noted_and_comes_again(run, crops, capsys):
    assert calibrate(run, crops, "--samples", "48") == 0
    told = json.loads((run / "calibration.json").read_text())
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines.keys() == told.keys() and told
    for name, fit in told.items():
        assert all(np.isfinite(value) for value in fit.values() if isinstance(value, float))
        for key, value in fit.items():
            assert isinstance(value, list) or f"{key} {value}" in lines[name]
    assert calibrate(run, crops, "--samples", "48") == 0
    assert json.loads((run / "calibration.json").read_text()) == told


def test_the_exported_weights_take_it_along(run, crops, tmp_path, capsys):
    assert calibrate(run, crops, "--samples", "48") == 0
    assert main(["evaluate", str(run), "--data", str(crops), "--limit", "4"]) == 0
    assert main(["export", str(run), "--out", str(tmp_path / "bundle")]) == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    told = json.loads((run / "calibration.json").read_text())
    kept = json.dumps(manifest)
    for fit in told.values():
        assert str(fit["scale"]) in kept and str(fit["offset"]) in kept


def test_a_run_that_has_no_scores_of_crops_is_refused(frames, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "debug-detector", str(run), "--data", str(frames), "--steps", "1", "--threads", "1"]) == 0
    capsys.readouterr()
    assert calibrate(run, frames) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "trains no crop network" in error and not (run / "calibration.json").exists()


@pytest.mark.parametrize("verb", ["spread", "steady"])
def test_other_pictures_than_sequences_are_refused_by_name(verb, crops, capsys):
    assert main([verb, "unihope-s", "--data", str(crops)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"prehend-train {verb}: ") and "sequences" in error and "Traceback" not in error
