import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake import open_fake
from safetensors.torch import load_file

from prehend.errors import InvalidInput
from prehend.models.hand_object.unihope import build_unihope
from prehend_training.data.augment_presets import STRONG_CROPS
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.engine.scenes import SceneConfig
from prehend_training.engine.timed import Rendering, render
from prehend_training.experiments.one_machine import Call, MachinePlan, describe_machine
from prehend_training.losses.crop import total
from prehend_training.losses.distillation import TaughtLossWeights, teacher_terms
from prehend_training.train.export import export_run, halved
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.loop.preset import Teacher
from prehend_training.train.presets import Changes, changed_preset, preset
from prehend_training.train.runs import load_teacher
from prehend_training.train.tasks.crops import mean_pose

SCRIPT = Path(__file__).parents[3] / "training" / "train_on_gpu.py"
CPU = Machine(device="cpu", threads=1)


def a_plan(work, **changes):
    """Four steps with fake crops."""
    numbers = {
        "render_minutes": 60.0, "count": 24, "test_count": 4, "size_px": 160, "shard_units": 8, "make": open_fake,
        "preset": "debug-unihope", "changes": Changes(True, batch_size=4), "budget": Budget(steps=4), "machine": CPU,
        "workers": 0,
    }  # fmt: skip
    return MachinePlan(work, **{**numbers, **changes})


@pytest.fixture(scope="module")
def finished(renderer, tmp_path_factory):
    """A plan of real scenes, stopped after two steps and gone on with."""
    work = tmp_path_factory.mktemp("work")
    plan = replace(a_plan(work), make=MachinePlan.__dataclass_fields__["make"].default, budget=Budget(steps=2))
    assert Call(plan).run()
    assert Call(replace(plan, budget=Budget(steps=4))).run()
    return work


def test_from_scenes_to_a_bundle_with_a_stop_on_the_way(finished, tmp_path):
    run = finished / "student"
    assert json.loads((run / "checkpoint/progress.json").read_text())["step"] == 4
    speeds = [json.loads(line) for line in (run / "speed.jsonl").read_text().splitlines()]
    assert [speed["steps"] for speed in speeds] == [2, 4]
    assert all(0 < speed["making_batches"] < 1 and speed["samples_per_s"] > 0 for speed in speeds)
    bundle = export_run(run, tmp_path / "tiny")
    assert bundle.network == "unihope-xs" and (tmp_path / "tiny" / "weights.safetensors").exists()


def test_what_goes_home_is_a_run_of_half_the_size(finished, tmp_path):
    home = finished / "home" / "student"
    whole = load_file(finished / "student/checkpoint/averaged.safetensors")
    taken = load_file(home / "checkpoint/averaged.safetensors")
    assert whole.keys() == taken.keys()
    assert all(
        torch.allclose(taken[name].float(), value.float(), rtol=1e-3, atol=1e-6) for name, value in whole.items()
    )
    sizes = [sum(value.nbytes for value in tensors.values()) for tensors in (whole, taken)]
    assert sizes[1] < 0.6 * sizes[0]
    assert not (home / "checkpoint/optimiser.safetensors").exists()
    load_result(home / "checkpoint/averaged.safetensors", preset("debug-unihope").build())
    assert export_run(home, tmp_path / "home").network == "unihope-xs"
    big = torch.full((2, 2), 1e6)
    assert halved(big) is big and halved(big[0]).dtype == torch.float32


def test_a_call_without_time_says_that_it_is_not_done(tmp_path, monkeypatch):
    plan = a_plan(tmp_path)
    assert not Call(plan, until_s=0.0).run()  # no time to render
    assert not (tmp_path / "crops").exists()
    for name, count in (("crops", 24), ("crops-test", 4)):
        seed = plan.seed + 1_000_000 * (name == "crops-test")
        assert render(Rendering(tmp_path / name, plan.scenes(seed), count, 1.0, 0, 8, open_fake), np.inf)
    assert not Call(plan, until_s=0.0).run()  # none to train
    assert not (tmp_path / "student").exists()


def test_a_student_learns_from_a_teacher(crops, tmp_path):
    teacher = a_plan(tmp_path, data=(crops,), test=crops, budget=Budget(steps=1))
    assert Call(teacher)._trained(Call(teacher).student_training)
    taught = replace(teacher, work=tmp_path / "taught", teacher=tmp_path / "student")
    call = Call(taught)
    assert call._trained(call.student_training)
    run = tmp_path / "taught/student"
    assert json.loads((run / "checkpoint/progress.json").read_text())["step"] == 1
    note = json.loads((run / "run.json").read_text())
    assert note["numbers"]["loss"]["teacher_keypoints"] == TaughtLossWeights().teacher_keypoints
    assert note["differs_from_preset"]["optimisation.batch_size"] == [2, 4] and note["in_memory"] == 24
    assert note["teacher"]["run"] == "student" and len(note["teacher"]["sha256"]) == 64
    with pytest.raises(InvalidInput, match="teacher"):
        replace(taught, teacher_budget=Budget(steps=1))


def test_twins_are_in_memory_where_one_of_the_two_learns_from_pairs(crops, tmp_path):
    plain = a_plan(tmp_path, data=(crops,), preset="debug-unihope-row-a")
    pool = Call(plain).memory.pool
    assert (pool.twin == pool.image).all()
    taught = replace(plain, teacher_preset="debug-paper", teacher_budget=Budget(steps=1))
    pool = Call(taught).memory.pool
    assert (pool.twin != pool.image).any()


def test_a_detector_is_trained_the_same_way(frames, tmp_path):
    plan = a_plan(tmp_path, preset="debug-detector", data=(frames,), test=frames)
    assert plan.kind == "frames" and Call(plan)._trained(Call(plan).student_training)
    assert json.loads((tmp_path / "student/checkpoint/progress.json").read_text())["samples"] == 16
    load_result(tmp_path / "home/student/checkpoint/averaged.safetensors", preset("debug-detector").build())


def test_a_network_is_its_own_best_teacher(crops):
    torch.manual_seed(0)
    chosen = changed_preset(preset("debug-unihope"), Changes(batch_size=6, taught=True))
    teacher = Teacher(build_unihope(chosen.config).eval())
    task = chosen.task([crops], chosen.load([crops], "cpu"), teacher)
    assert np.allclose(mean_pose(task.dataset), mean_pose(ShardDataset([crops], "crops")), atol=1e-6)
    batch = to_tensors(task.memory.finished(task.source.batch(0)), "cpu")
    terms = task.terms(task.network(), batch, 0.0)
    assert {"keypoints", "teacher_keypoints", "teacher_rotations", "teacher_heatmaps"} <= terms.keys()
    assert bool(torch.isfinite(total(terms, chosen.loss))) and terms["teacher_keypoints"] > 0
    network, other = (build_unihope(chosen.config).eval() for _ in range(2))

    def answer(one):
        return one(batch["image"], batch["hand_box"], batch["object_box"], batch["grasp_gate"][:, None])

    with torch.no_grad():
        own = teacher_terms(network, answer(network), network, answer(network), batch)
        others = teacher_terms(network, answer(network), other, answer(other), batch)
    assert own["teacher_keypoints"] == 0 and own["teacher_rotations"] < 1e-6
    assert all(own[name] < others[name] for name in own)


def test_presets_for_large_batches(tmp_path):
    student = changed_preset(preset("unihope-xs"), Changes(True, taught=True))
    assert student.optimisation.batch_size == 512 and isinstance(student.loss, TaughtLossWeights)
    teacher = changed_preset(preset("unihope-b"), Changes(True, batch_size=64, lr=1e-3, twins=False))
    strong = changed_preset(preset("unihope-xs"), Changes(strong=True)).data
    assert strong.photometric == STRONG_CROPS.photometric and strong.object_grid == student.data.object_grid
    assert (teacher.optimisation.batch_size, teacher.optimisation.lr, teacher.twins) == (64, 1e-3, None)
    assert changed_preset(preset("detector"), Changes(True)).optimisation.batch_size == 128
    assert changed_preset(preset("unihope-b"), Changes()) == preset("unihope-b")
    for name, wrong in (("detector", Changes(taught=True)), ("unihope-xs-maps", Changes(strong=True))):
        with pytest.raises(InvalidInput, match="crop network"):
            changed_preset(preset(name), wrong)
    (tmp_path / "run.json").write_text('{"preset": "detector"}')
    with pytest.raises(InvalidInput):
        load_teacher(tmp_path, "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(InvalidInput, match="CUDA"):
            Machine(device="cuda")


class SlowClock:
    """Every reading is half a second later, so that a round takes at least that."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.5
        return self.now


def test_rendering_ends_with_its_minutes_and_goes_on(tmp_path):
    rendering = Rendering(tmp_path / "crops", SceneConfig("crops", 1, 32), 1000, 4 / 60, 0, 2, open_fake)
    clock = SlowClock()
    assert not render(rendering, until_s=1.2, clock=clock)  # time for a first shard, which tells the speed
    first = rendering.indexed
    assert 0 < first < 1000 and rendering.seconds > 0
    assert render(rendering, until_s=1e9, clock=clock)
    assert first < rendering.indexed < 1000 and rendering.seconds <= 4.5 and rendering.done
    there = rendering.indexed
    assert render(rendering, until_s=1e9, clock=clock) and rendering.indexed == there


def test_wheels_are_found_after_what_is_installed(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "carried-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("carried.py", "NUMBER = 7\n")
        archive.writestr("json.py", "raise RuntimeError('the machine has its own')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import train_on_gpu as t, pathlib as p;"
        f"t.add_wheels(p.Path({str(wheels)!r}), p.Path({str(tmp_path / 'site')!r})); import carried, json;"
        "print(carried.NUMBER, json.dumps({}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "{}"]


def test_the_machine_is_described():
    lines = describe_machine("cpu").splitlines()
    assert any(line.startswith("CUDA:") for line in lines) and any("OpenGL" in line for line in lines)
