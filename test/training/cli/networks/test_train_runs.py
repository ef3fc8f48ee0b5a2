"""`prehend-train train` for real, at the smallest size: seeds, numbers in place of the preset's, calls that go on."""

import json

import pytest
import torch
from safetensors.torch import load_file

from prehend_training.cli.main import main
from prehend_training.train.loop.checkpoint import _HEAD
from prehend_training.train.presets import preset


def train(run, *options, name="debug-lift"):
    return main(["train", name, str(run), "--threads", "1", *map(str, options)])


def weights(run):
    return load_file(run / "checkpoint" / "averaged.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def note(run):
    return json.loads((run / "run.json").read_text())


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    """Two steps with seed 5."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(out, "--data", crops, "--steps", 2, "--seed", 5) == 0
    return out


def test_a_run_is_its_seed(run, crops, tmp_path):
    for name, seed in (("again", 5), ("other", 6)):
        assert train(tmp_path / name, "--data", crops, "--steps", 2, "--seed", seed) == 0
    assert same(weights(run), weights(tmp_path / "again"))
    assert not same(weights(run), weights(tmp_path / "other"))
    assert note(run)["seed"] == 5 and note(tmp_path / "other")["seed"] == 6


def test_a_run_that_was_left_goes_on_as_if_it_had_not_been(run, crops, tmp_path):
    """A call without time does nothing; the next one does all of it, with the same numbers."""
    out = tmp_path / "run"
    assert train(out, "--data", crops, "--steps", 2, "--seed", 5, "--call-minutes", 0) == 0
    assert (
        not (out / "checkpoint" / "progress.json").exists()
        or json.loads((out / "checkpoint" / "progress.json").read_text())["step"] == 0
    )
    assert train(out, "--data", crops, "--steps", 2, "--seed", 5) == 0
    assert same(weights(run), weights(out))


def test_a_run_that_is_done_is_left_alone(run, crops):
    names = ("checkpoint/averaged.safetensors", "checkpoint/progress.json", "run.json")
    before = [(run / name).read_bytes() for name in names]
    assert train(run, "--data", crops, "--steps", 2, "--seed", 5) == 0
    assert [(run / name).read_bytes() for name in names] == before


@pytest.mark.parametrize("options", [("--seed", 6), ("--batch", 3), ("--lr", 0.5)])
def test_another_training_in_its_folder_is_refused_with_what_differs(options, run, crops, capsys):
    given = {"--seed": 5, **dict([options])}
    before = weights(run)
    assert train(run, "--data", crops, "--steps", 4, *[word for pair in given.items() for word in pair]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(run) in error and "differ" in error
    assert same(before, weights(run))


def test_numbers_in_place_of_the_presets_are_told_beside_what_they_were(crops, tmp_path):
    usual = preset("debug-lift").optimisation
    out = tmp_path / "run"
    assert train(out, "--data", crops, "--steps", 1, "--batch", 3, "--lr", 0.01, "--seed", 9) == 0
    told = note(out)
    assert told["differs_from_preset"] == {
        "optimisation.batch_size": [usual.batch_size, 3],
        "optimisation.lr": [usual.lr, 0.01],
        "seed": [0, 9],
    }
    assert json.loads((out / "checkpoint" / "progress.json").read_text())["samples"] == 3


def test_a_start_is_where_it_begins_and_is_told(run, crops, tmp_path):
    """The pose head alone, which is what that run has learnt."""
    begun, fresh = tmp_path / "begun", tmp_path / "fresh"
    assert train(begun, "--data", crops, "--steps", 1, "--start", run, "--lr", 1e-12) == 0
    assert train(fresh, "--data", crops, "--steps", 1, "--lr", 1e-12) == 0

    def off(out):
        one, other = weights(run), weights(out)
        return max(float((one[name] - other[name]).abs().max()) for name in one if name.startswith(_HEAD))

    assert off(begun) < 1e-4 < off(fresh)
    assert [one["seed"] for one in note(begun)["start"]] == [5] and not note(fresh)["start"]


def test_a_run_as_another_run_is_one_line(crops, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file", "--data", crops, "--steps", 1) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "file").read_text() == ""


def test_what_was_trained_can_be_shown_evaluated_and_exported_under_one_name(crops, tmp_path, capsys):
    """Through one run's life, every verb says the run's own numbers."""
    run, out = tmp_path / "run", tmp_path / "bundle"
    assert train(run, "--data", crops, "--steps", 1, name="debug-unihope") == 0
    assert main(["evaluate", str(run), "--data", str(crops), "--limit", "6", "--out", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    measured = json.loads((run / "measured.json").read_text())
    assert main(["export", str(run), "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["measured"] == measured and manifest["weights"]["sha256"][:12] in capsys.readouterr().out
    report = json.loads((tmp_path / "report" / "crops" / "report.json").read_text())
    assert str(tmp_path / "report" / "crops" / "report.json") in printed
    assert f"{measured['joint_error_mm']:.1f}" in printed and report
