import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from group_work import average_two, fail_second, leave_what_aborts
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.multiprocessing import ProcessRaisedException

from prehend.errors import AssetError, InvalidInput, UnknownName
from prehend_training.evaluate.reports import classification, evaluate_run
from prehend_training.train.loop.checkpoint import Averaged, Progress
from prehend_training.train.loop.distributed import run_group
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.preset import Optimisation
from prehend_training.train.loop.trainer import LOST_OF, Trainer, learning_rate
from prehend_training.train.presets import PRESETS, preset
from prehend_training.train.runs import Training, claim_run, log_lines, train_run

MACHINE = Machine(threads=1)


def start_run(name, data, run, machine):
    claim_run(Training(preset(name), data, run, Budget(steps=1)))
    return Trainer(preset(name).task(data), run, machine)


def weights(run):
    return load_file(run / "checkpoint" / "averaged.safetensors")


@pytest.mark.parametrize("name", ["debug-unihope", "debug-paper", "debug-detector"])
def test_a_resumed_run_ends_as_one_that_never_stopped(name, crops, frames, tmp_path):
    data = [frames if name == "debug-detector" else crops]
    start_run(name, data, tmp_path / "whole", MACHINE).train(Budget(steps=4))
    # the schedule belongs to the budget of four steps, so the first half is cut off by hand
    half = start_run(name, data, tmp_path / "half", MACHINE)
    budget = Budget(steps=4)
    for step in range(2):
        lr = learning_rate(budget.used(half.progress), half.optimisation)
        half.step(half.task.source.batch(step), lr, budget.used(half.progress))
        half.progress.step += 1
        half.progress.samples += 2
    half.save()
    resumed = start_run(name, data, tmp_path / "half", MACHINE)
    assert resumed.progress.step == 2
    progress = resumed.train(budget)
    assert (progress.step, progress.samples, progress.skipped) == (4, 8, 0)
    whole, again = weights(tmp_path / "whole"), weights(tmp_path / "half")
    assert whole.keys() == again.keys()
    for key, value in whole.items():
        assert np.allclose(value, again[key], atol=1e-5), key


def test_two_processes_share_the_work(crops, tmp_path):
    train_run(Training(preset("debug-unihope"), [crops], tmp_path, Budget(steps=2)), Machine(processes=2, threads=1))
    assert json.loads((tmp_path / "checkpoint/progress.json").read_text())["samples"] == 4
    assert all(np.isfinite(value).all() for value in weights(tmp_path).values())


def test_torchrun_starts_the_same_team(crops, tmp_path):
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "prehend_training.cli", "train", "debug-unihope", str(tmp_path / "run")),
        *("--data", str(crops), "--steps", "2", "--threads", "1"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # the same parts of the same batches, so the same weights as a group that was started here
    train_run(
        Training(preset("debug-unihope"), [crops], tmp_path / "own", Budget(steps=2)), Machine(processes=2, threads=1)
    )
    run, own = weights(tmp_path / "run"), weights(tmp_path / "own")
    assert all(np.allclose(value, own[key], atol=1e-6) for key, value in run.items())


def test_half_precision_trains(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, replace(MACHINE, precision="bf16"))
    trainer.train(Budget(steps=2))
    assert trainer.progress.skipped == 0
    stored = {key: value for key, value in weights(tmp_path).items() if not key.endswith("num_batches_tracked")}
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in stored.values())


def test_a_run_that_has_to_leave_goes_on_later(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, MACHINE)
    assert trainer.train(Budget(steps=3), until_s=time.monotonic()).step == 0
    assert start_run("debug-unihope", [crops], tmp_path, MACHINE).train(Budget(steps=3)).step == 3


def test_a_group_has_the_mean_gradient_and_the_first_ones_word(tmp_path):
    run_group(average_two, (tmp_path,), 2, "cpu")
    for rank in range(2):
        said = json.loads((tmp_path / f"{rank}.json").read_text())
        assert said == {"gradient": [0.5, 0.5, 1.0], "told": 5.0, "mean": 1.5, "finite": False}


def test_a_member_whose_work_is_done_is_not_ended_by_what_python_does_last(tmp_path):
    run_group(leave_what_aborts, (tmp_path,), 2, "cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}


def test_a_member_that_fails_says_why(tmp_path):
    with pytest.raises(ProcessRaisedException, match="the second one fails"):
        run_group(fail_second, (), 2, "cpu")


def test_training_changes_every_weight_and_the_log_names_every_term(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, MACHINE)
    before = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    trainer.train(Budget(steps=20))
    still = [name for name, value in trainer.network.named_parameters() if torch.equal(value, before[name])]
    assert still == []
    (line,) = log_lines(tmp_path)
    assert {"keypoints", "joints", "object_points", "presence", "lr", "samples_per_s"} <= line.keys()
    assert all(np.isfinite(value) for value in line.values())
    curves = EventAccumulator(str(tmp_path / "events")).Reload()
    (point,) = curves.Scalars("loss/keypoints")
    assert point.value == pytest.approx(line["keypoints"], rel=1e-5) and point.step == line["samples"]


def test_training_on_maps_changes_what_leads_to_them_and_nothing_else(crops, tmp_path):
    trainer = start_run("debug-maps", [crops], tmp_path, MACHINE)
    before = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    trainer.train(Budget(steps=2))
    changed = {name for name, value in trainer.network.named_parameters() if not torch.equal(value, before[name])}
    assert any(name.startswith("network.streams.trunk") for name in changed)
    assert any(name.startswith("network.switcher") for name in changed)
    assert not any("mano_head" in name or "object_" in name for name in changed)


def test_a_run_starts_from_the_trunk_of_one_and_the_head_of_another(crops, frames, tmp_path):
    parts = [tmp_path / "maps", tmp_path / "lift"]
    for name in ("maps", "lift"):
        train_run(Training(preset(f"debug-{name}"), [crops], tmp_path / name, Budget(steps=1)), MACHINE)
    train_run(Training(preset("debug-unihope"), [crops], tmp_path / "run", Budget(steps=1), parts), MACHINE)
    begun = json.loads((tmp_path / "run/run.json").read_text())
    assert [start["preset"] for start in begun["start"]] == ["debug-maps", "debug-lift"]
    state = Trainer(preset("debug-unihope").task([crops]), tmp_path / "other", MACHINE, start=parts)
    for name, value in weights(tmp_path / "maps").items():
        wanted = weights(tmp_path / "lift")[name] if name.startswith("network.mano_head.") else value
        assert np.allclose(state.network.state_dict()[name].numpy(), wanted), name
    with pytest.raises(AssetError, match="another network"):
        train_run(Training(preset("debug-detector"), [frames], tmp_path / "f", Budget(steps=1), parts[:1]), MACHINE)


def test_a_budget_of_time_ends_annealed(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, MACHINE)
    progress = trainer.train(Budget(minutes=0.02))
    assert 1.2 <= progress.elapsed_s < 60 and progress.step > 0


def test_a_run_is_not_continued_as_something_else(crops, tmp_path):
    start_run("debug-unihope", [crops], tmp_path, MACHINE)
    with pytest.raises(InvalidInput, match="seed"):
        claim_run(Training(replace(preset("debug-unihope"), seed=7), [crops], tmp_path, Budget(steps=1)))
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 0


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, MACHINE)
    batch = trainer.task.source.batch(0)
    batch["keypoints"][:] = np.nan
    batch["presence"][:] = 1
    before = [value.detach().clone() for value in trainer.network.parameters()]
    trainer.step(batch, 1e-3, 0.0)
    assert trainer.progress.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.network.parameters(), strict=True))


def test_a_run_that_learns_nothing_ends_and_says_what_is_not_finite(crops, tmp_path):
    trainer = start_run("debug-unihope", [crops], tmp_path, MACHINE)
    good, bad = trainer.task.source.batch(0), trainer.task.source.batch(0)
    bad["keypoints"][:] = np.nan
    bad["presence"][:] = 1
    for _ in range(LOST_OF // 2):
        trainer.step(good, 1e-3, 0.0)
    for _ in range(LOST_OF // 2):
        trainer.step(bad, 1e-3, 0.0)
    with pytest.raises(InvalidInput, match=r"21 of the last 40 steps taught nothing \(no finite keypoints"):
        trainer.step(bad, 1e-3, 0.0)


def test_the_rate_rises_then_falls_to_its_end():
    optimisation = Optimisation(warmup=0.1)
    rates = [learning_rate(used, optimisation) for used in np.linspace(0, 1, 101)]
    assert np.argmax(rates) == 10 and max(rates) == pytest.approx(optimisation.lr)
    assert (np.diff(rates[10:]) <= 0).all() and rates[-1] == pytest.approx(optimisation.lr * optimisation.final_lr)
    assert 0 < rates[0] < rates[1]


def test_the_papers_rate_falls_in_steps():
    optimisation = Optimisation(warmup=0, schedule="steps", lr=1.0)
    rates = [learning_rate(epoch / 70, optimisation) for epoch in range(70)]
    assert rates == pytest.approx([0.7 ** (epoch // 10) for epoch in range(70)])


def test_a_budget_is_of_one_kind():
    for wrong in ({}, {"minutes": 1.0, "steps": 1}, {"steps": -1}):
        with pytest.raises(InvalidInput):
            Budget(**wrong)
    assert Budget(minutes=2).used(Progress(elapsed_s=60)) == pytest.approx(0.5)


def test_the_average_follows_the_network():
    network = torch.nn.Linear(3, 3)
    averaged = Averaged(network, 0.9)
    torch.nn.init.ones_(network.weight)
    for step in range(300):
        averaged.update(network, step)
    assert torch.allclose(averaged.state["weight"], network.weight, atol=1e-4)


def test_presets_have_their_own_names():
    assert all(preset(name).name == name for name in PRESETS)
    with pytest.raises(UnknownName, match="unihope-s"):
        preset("unihope-x")


@pytest.mark.parametrize("name", ["debug-unihope", "debug-detector"])
def test_a_trained_network_can_be_measured(name, crops, frames, tmp_path):
    data = crops if name == "debug-unihope" else frames
    start_run(name, [data], tmp_path, MACHINE).train(Budget(steps=1))
    report = json.loads(json.dumps(evaluate_run(tmp_path, data, limit=12)))
    assert report.get("joint_error_mm", 1) > 0 and ("recall" in report or report["grasp"]["accuracy"] <= 1)


def test_classification_counts():
    truth, said = np.array([1, 1, 0, 0], bool), np.array([1, 0, 0, 1], bool)
    assert classification(truth, said) == {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert classification(truth & ~truth, truth & ~truth)["f1"] is None
