"""The mean of a run's weights and those from which it went on."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from prehend.errors import AssetError, InvalidInput, WeightsMismatch
from prehend_training.cli import main as cli
from prehend_training.train.blend import blend_run

LEARNT = "checkpoint/averaged.safetensors"


def exported(run, out, crops):
    """A run as weights, measured on a few crops."""
    assert cli.main(["evaluate", str(run), "--data", str(crops), "--limit", "4"]) == 0
    assert cli.main(["export", str(run), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def went_on(tmp_path_factory, crops):
    """Weights, and a run that went on from them."""
    folder = tmp_path_factory.mktemp("blend")
    steps = ["--data", str(crops), "--steps", "2", "--threads", "1"]
    assert cli.main(["train", "debug-lite", str(folder / "a"), *steps]) == 0
    weights = exported(folder / "a", folder / "weights", crops)
    assert cli.main(["train", "debug-lite", str(folder / "b"), "--start", str(weights), *steps, "--seed", "5"]) == 0
    return weights, folder / "b"


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_blend_lies_on_the_line_between(went_on, tmp_path, share):
    weights, run = went_on
    blend_run(run, weights, share, tmp_path / "out")
    before, learnt, mixed = (
        load_file(path) for path in (weights / "weights.safetensors", run / LEARNT, tmp_path / "out" / LEARNT)
    )
    assert mixed.keys() == learnt.keys()
    moved = 0
    for name, value in learnt.items():
        own = before.get(name.removeprefix("network."))
        if own is None or not value.is_floating_point():  # what only training has, and counters
            assert torch.equal(mixed[name], value)
        else:
            torch.testing.assert_close(mixed[name], share * value + (1 - share) * own.float())
            moved += not torch.equal(value, own.float())
    assert moved > 20


def test_a_blend_is_a_run_that_is_measured_and_exported_and_says_what_it_is(went_on, tmp_path, crops, capsys):
    weights, run = went_on
    assert cli.main(["blend", str(run), "--start", str(weights), "--out", str(tmp_path / "out")]) == 0
    assert "calibrate and export" in capsys.readouterr().out
    bundle = exported(tmp_path / "out", tmp_path / "mean", crops)
    told = json.loads((bundle / "manifest.json").read_text())["blended"]
    sha256 = json.loads((weights / "manifest.json").read_text())["weights"]["sha256"]
    assert told == {"share_learnt": 0.5, "weights": "weights", "sha256": sha256}


def test_a_run_may_be_what_it_went_on_from(went_on, tmp_path):
    weights, run = went_on
    blend_run(run, weights.parent / "a", 0.5, tmp_path / "out")
    before, learnt, mixed = (load_file(path / LEARNT) for path in (weights.parent / "a", run, tmp_path / "out"))
    for name, value in learnt.items():
        if name.startswith("network.") and value.is_floating_point():
            torch.testing.assert_close(mixed[name], (value + before[name]) / 2)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["blended"]["preset"] == "debug-lite"


def test_what_cannot_be_blended_is_refused_and_leaves_nothing(went_on, tmp_path):
    weights, run = went_on
    out = tmp_path / "out"
    for share in (0.0, -0.5, 1.5, float("nan")):
        with pytest.raises(InvalidInput, match="not between 0 and 1"):
            blend_run(run, weights, share, out)
    with pytest.raises(InvalidInput, match="neither weights by name or folder nor a run"):
        blend_run(run, tmp_path, 0.5, out)
    with pytest.raises(AssetError, match="train it first"):
        blend_run(tmp_path, weights, 0.5, out)
    with pytest.raises(WeightsMismatch, match="another network"):
        blend_run(run, Path("unihope-s"), 0.5, out)
    assert not out.exists()
    with pytest.raises(InvalidInput, match="choose another folder"):
        blend_run(run, weights, 0.5, tmp_path)
