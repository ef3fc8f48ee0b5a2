"""A teacher of several views, then a student that learns from it and leaves it as it was."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.errors import AssetError, InvalidInput
from prehend.models.sima.views import SimaViews
from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.loop.preset import Teacher
from prehend_training.train.presets import Changes, changed_preset, preset
from prehend_training.train.runs import Training, load_teacher, train_run
from prehend_training.train.tasks.sima import SimaInTraining
from prehend_training.train.tasks.sima_presets import SIMA_PRESETS, SIMA_ROWS, sima_row

MACHINE = Machine(threads=1)


@pytest.fixture(scope="module")
def teacher(moments, tmp_path_factory):
    run = tmp_path_factory.mktemp("sima") / "views"
    train_run(Training(preset("debug-sima-views"), [moments], run, Budget(steps=3)), MACHINE)
    return run


def result(run):
    return load_file(run / "checkpoint" / "averaged.safetensors")


@pytest.mark.parametrize("name", [f"debug-sima{'' if row == 'full' else '-' + row}" for row in SIMA_ROWS])
def test_what_has_a_gradient_is_what_is_trained_and_the_teacher_has_none(name, moments, teacher):
    chosen = preset(name)
    taught = Teacher(load_teacher(teacher, "cpu", SimaViews)) if chosen.needs_teacher else None
    before = None if taught is None else [value.clone() for value in taught.network.state_dict().values()]
    task = chosen.task([moments], None, taught)
    network = task.network().train()
    terms = task.terms(network, to_tensors(task.source.batch(0), "cpu"), 0.5)
    assert terms.keys() <= vars(chosen.loss).keys() and all(value.isfinite() for value in terms.values())
    assert {f"{part}_enhancement" for part in chosen.adapts} == {key for key in terms if key.endswith("_enhancement")}
    torch.stack(list(terms.values())).sum().backward()
    for label, parameter in network.named_parameters():
        assert (parameter.grad is None) == label.startswith("network.eyes.trunk."), label
    if taught is not None and before is not None:
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in taught.network.parameters())
        assert all(map(torch.equal, before, taught.network.state_dict().values()))  # statistics too


def test_a_student_trains_goes_on_and_leaves_its_teacher(moments, teacher, tmp_path):
    before = result(teacher)
    for steps in (2, 4):
        run = Training(preset("debug-sima"), [moments], tmp_path / "run", Budget(steps=steps), (), teacher)
        train_run(run, MACHINE)
    assert run.done and not any(name.startswith("teacher") for name in result(tmp_path / "run"))
    assert all(torch.equal(value, result(teacher)[name]) for name, value in before.items())


def test_a_student_without_a_teacher_is_named(moments, tmp_path):
    with pytest.raises(InvalidInput, match="'debug-sima' learns from a teacher: give --teacher RUN"):
        train_run(Training(preset("debug-sima"), [moments], tmp_path / "run", Budget(steps=1)), MACHINE)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_kind_or_size_is_named(moments, teacher, tmp_path):
    plain = Training(preset("debug-sima-plain"), [moments], tmp_path / "plain", Budget(steps=1))
    train_run(plain, MACHINE)
    with pytest.raises(InvalidInput, match="several views"):
        load_teacher(plain.run, "cpu", SimaViews)
    with pytest.raises(AssetError, match="train"):
        run = Training(preset("debug-sima"), [moments], tmp_path / "run", Budget(steps=1), (), tmp_path / "nothing")
        train_run(run, MACHINE)
    other = replace(preset("debug-sima"), config=replace(preset("debug-sima").config, width=32))
    with pytest.raises(InvalidInput, match="differ in width"):
        other.task([moments], None, Teacher(load_teacher(teacher, "cpu", SimaViews)))
    with pytest.raises(InvalidInput, match="no preset"):
        changed_preset(preset("debug-sima-plain"), Changes(taught=True))


def test_views_that_are_not_there_teach_nothing(moments):
    task = preset("debug-sima-views").task([moments])
    network = task.network().eval()
    batch = to_tensors(task.source.batch(0), "cpu")
    count = len(batch["leads"]) // int(batch["leads"].sum())
    batch["known"] = (torch.arange(len(batch["leads"])) % count < 2).float()
    noise = {name: value.clone() for name, value in batch.items()}
    for name in ("keypoints", "rotations", "joints", "turn", "image"):
        noise[name][batch["known"] == 0] = torch.rand_like(noise[name][batch["known"] == 0])
    one, other = (task.terms(network, given, 0.0) for given in (batch, noise))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], msg=name, atol=1e-4, rtol=1e-3)


def test_the_pretrained_trunk_is_a_start_and_learns_slowly(tmp_path):
    origin = dict.fromkeys(("source", "version", "file", "sha256", "licence"), "x") | {"network": "hand_landmark_full"}
    torch.manual_seed(3)
    published = HandLandmarks().eval()
    state = {name: value.contiguous() for name, value in published.state_dict().items()}
    save_file(state, tmp_path / "hand.safetensors", metadata=origin)
    image = torch.rand(1, 3, 64, 64)
    for name in ("debug-sima-plain", "debug-sima-views"):
        network = preset(name).build().eval()
        load_start([tmp_path / "hand.safetensors"], network)
        with torch.no_grad():
            want, seen = published(image), network.eyes(image)
        places = want.landmarks.reshape(1, 21, 3)[..., :2] / 224
        torch.testing.assert_close(seen.places, places, atol=1e-5, rtol=1e-4)
        slow = {id(parameter) for parameter in SimaInTraining(network, "start").pretrained()}
        named = {label for label, parameter in network.named_parameters() if id(parameter) in slow}
        assert {label.split(".")[1] for label in named} == {"trunk", "places"}


def test_presets_have_the_sizes_of_their_network_and_rows_differ_in_one_thing():
    for chosen in SIMA_PRESETS:
        assert chosen.data.size_px == chosen.config.size and preset(chosen.name) is chosen
    rows = {row: preset(sima_row("sima-s", row)) for row in SIMA_ROWS}
    assert rows["plain"].config == rows["full"].config and rows["plain"].adapts == ()
    assert set(rows["no-shape"].adapts) | set(rows["no-orientation"].adapts) == set(rows["full"].adapts)
    students = [row for name, row in rows.items() if name != "views"]
    assert len({(row.data, row.loss, row.optimisation, row.config.size) for row in students}) == 1
