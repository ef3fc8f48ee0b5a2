"""`prehend-train hhmr`: what is printed is what is noted of the run, and numbers that mean nothing are wrong use."""

import json

import pytest

from prehend_training.cli.main import main
from prehend_training.cli.networks.hhmr import _steps
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run

SMALL = ("--drawn", "2", "--hands", "2", "--steps", "1", "--times", "1,2")


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hhmr") / "prior"
    train_run(Training(preset("debug-hhmr"), [crops], folder, Budget(steps=1)), Machine(threads=1))
    return folder


def judged(run, crops, capsys, *more):
    assert main(["hhmr", "evaluate", str(run), "--data", str(crops), *SMALL, *more]) == 0
    told = json.loads((run / "measured.json").read_text())["prior"]
    return told, capsys.readouterr().out


def test_the_table_holds_what_is_noted_and_comes_again_with_its_seed(run, crops, capsys):
    told, printed = judged(run, crops, capsys, "--seed", "3")
    assert list(told) == ["prior"] and told["prior"]["hands"] == 2 and told["prior"]["steps"] == 1
    assert list(told["prior"]["seconds"]) == ["1", "2"]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in printed.splitlines()]
    assert rows[0] == ["", "prior"]
    values = {cells[0]: cells[1] for cells in rows[2:]}
    for part in ("drawn", "completed", "fitted"):
        for name, value in told["prior"][part].items():
            assert values[f"{part} {name.replace('_', ' ')}"] == f"{value:.3g}"
    assert {"seconds of 8 hands, 1 steps", "seconds of 8 hands, 2 steps"} < values.keys()
    again, _ = judged(run, crops, capsys, "--seed", "3")
    for part in ("drawn", "completed", "fitted"):
        assert again["prior"][part] == told["prior"][part]


@pytest.mark.parametrize("times", ["", "10,", "0", "10,0", "10,-5", "10;25", "ten", "²", "10.5"])
def test_steps_to_time_that_are_none_are_wrong_use(times, run, crops, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["hhmr", "evaluate", str(run), "--data", str(crops), f"--times={times}"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "--times" in said and said.count("\n") == 1


def test_steps_to_time_are_taken_in_their_order():
    assert _steps("50,10") == (50, 10) and _steps("7") == (7,)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("hhmr evaluate {run} --data {none}", "index.json"),
        ("hhmr evaluate {crops} --data {crops}", "manifest.json"),
        ("hhmr evaluate {run} --data {crops} --drawn 1", "two hands at least"),
        ("hhmr hypotheses unihope-s --data {crops} --first 24", "images 24 to 279 of 24"),
        ("hhmr hypotheses unihope-s --data {crops} --first 20 --count 9", "images 20 to 28 of 24"),
        ("hhmr hypotheses nothing --data {crops}", "nothing"),
    ],
)
def test_what_cannot_be_judged_is_one_line(command, words, run, crops, tmp_path, capsys):
    assert main(command.format(run=run, crops=crops, none=tmp_path).split()) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and error.startswith("prehend-train hhmr: ")


def test_a_run_of_another_network_is_no_prior(crops, tmp_path, capsys):
    assert (
        main(["train", "debug-lift", str(tmp_path / "r"), "--data", str(crops), "--steps", "1", "--threads", "1"]) == 0
    )
    assert main(["hhmr", "evaluate", str(tmp_path / "r"), "--data", str(crops), *SMALL]) == 1
    assert "is no run of an HHMR" in capsys.readouterr().err and not (tmp_path / "r" / "measured.json").exists()
