"""Presets: what has no effect is refused, what differs is noted, and the options of `train` reach the run."""

import json
from dataclasses import replace

import pytest

from prehend.errors import AssetError, InvalidInput, UnknownName
from prehend_training.cli import main as cli
from prehend_training.losses.pairs import TwinConfig
from prehend_training.train.presets import PRESETS, RENAMED, Changes, changed_preset, preset, preset_of_run
from prehend_training.train.runs import differences


def test_every_preset_builds_its_network_and_is_its_own():
    assert all(one.name == name and not differences(one) for name, one in PRESETS.items())
    tiny = [one for name, one in PRESETS.items() if name.startswith("debug-")]
    assert len({type(one) for one in tiny}) == 10  # a small one of each kind, which tests train
    for one in tiny:
        assert sum(value.numel() for value in one.build().parameters()) > 0
        assert one.pictures in ("crops", "frames")
    assert all(new in PRESETS and old not in PRESETS for old, new in RENAMED.items())


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("unihope-s", {"twins": TwinConfig()}),  # its heads use no pairs
        ("unihope-s", {"trains": "maps"}),
        ("unihope-xs", {"trains": "object"}),
        ("unihope-xs-lift", {"twins": TwinConfig()}),
    ],
)
def test_numbers_without_effect_are_refused(name, changes):
    with pytest.raises(InvalidInput, match=name):
        replace(preset(name), **changes)


def test_what_differs_from_the_preset_is_told():
    told = differences(changed_preset(preset("unihope-xs"), Changes(large_batches=True, lr=1e-3, seed=3)))
    assert told["optimisation.batch_size"] == [32, 512] and told["optimisation.lr"] == [1.2e-3, 1e-3]
    assert told["seed"] == [0, 3] and "optimisation.method" not in told
    assert "loss.teacher_keypoints" in differences(changed_preset(preset("unihope-xs"), Changes(taught=True)))


@pytest.mark.parametrize("name", ["debug-lite", "debug-h2onet-frame"])
def test_networks_on_a_pretrained_trunk_train_from_memory_too(name, crops, tmp_path):
    """From a mixture, with workers that draw while the device makes the pixels."""
    mixture = ["--data", f"{crops}=2", "--data", f"{crops}=1"]
    options = ["--in-memory", "12", "--threads", "1", "--workers", "1", "--steps", "2"]
    assert cli.main(["train", name, str(tmp_path), *mixture, *options]) == 0
    speed = json.loads((tmp_path / "speed.jsonl").read_text())
    assert speed["in_memory"] == 12 and speed["steps"] == 2 and 0 < speed["making_batches"] < 1


def test_training_from_memory_is_an_option_of_train(crops, tmp_path, capsys):
    run = tmp_path / "run"
    train = ["train", "debug-unihope", str(run), "--data", str(crops), "--threads", "1"]
    memory = ["--in-memory", "16", "--batch", "4"]
    assert cli.main([*train, "--steps", "2", *memory]) == 0
    note = json.loads((run / "run.json").read_text())
    assert note["in_memory"] == 16 and note["differs_from_preset"] == {"optimisation.batch_size": [2, 4]}
    speed = json.loads((run / "speed.jsonl").read_text())
    assert speed["in_memory"] == 16 and speed["samples"] == 8 and 0 < speed["making_batches"] < 1
    capsys.readouterr()
    assert cli.main([*train, "--steps", "3"]) == 1  # other batches, so another run
    assert "differs in numbers, in_memory" in capsys.readouterr().err
    assert cli.main([*train, "--steps", "3", *memory, "--call-minutes", "0"]) == 0  # no time: nothing is trained
    assert json.loads((run / "checkpoint/progress.json").read_text())["step"] == 2
    assert cli.main([*train, "--steps", "3", *memory]) == 0
    assert json.loads((run / "checkpoint/progress.json").read_text())["step"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("unihope-s-lift {0} --data {1} --in-memory 8", "cannot be trained from memory"),
        ("debug-h2onet {0} --data {1} --in-memory 8", "cannot be trained from memory"),
        ("debug-unihope {0} --data {1} --in-memory 0", "--in-memory"),
        ("debug-detector {0} --data {1} --strong", "whole crop network"),
        ("debug-unihope {0} --data {1} --teacher {0}/none", "train"),
    ],
)
def test_what_does_not_go_together_is_one_line(options, message, crops, tmp_path, capsys):
    assert cli.main(["train", *options.format(tmp_path, crops).split(), "--steps", "1"]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("note", "error", "said"),
    [
        (None, AssetError, "run.json: no such file"),
        ('{"preset": "debug-un', AssetError, "take it from a copy"),
        ("[]", AssetError, "holds no object"),
        ("{}", AssetError, "names no preset: it is none of `prehend-train train`"),
        ('{"preset": 3}', AssetError, "names no preset"),
        ('{"preset": "of-another-time"}', UnknownName, "of-another-time"),
    ],
)
def test_a_folder_that_is_no_run_is_told_by_every_verb_that_reads_one(tmp_path, note, error, said, capsys):
    if note is not None:
        (tmp_path / "run.json").write_text(note)
    with pytest.raises(error, match=said):
        preset_of_run(tmp_path)
    assert cli.main(["export", str(tmp_path), "--out", str(tmp_path / "bundle")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prehend-train export: ") and said in line and not (tmp_path / "bundle").exists()
