"""`unihope-s` learns from a teacher of several views, which leaves nothing behind in it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake import open_one_camera, write_fake
from safetensors.torch import load_file

from prehend.backends import open_backend
from prehend.backends.torch_ import load_network
from prehend.errors import InvalidInput
from prehend.models.sima.views import SimaViews
from prehend.pipeline.networks.network import HandNetwork
from prehend_training.cli.main import main
from prehend_training.data.batch import TaughtBatch, faults
from prehend_training.evaluate.network import note_measured
from prehend_training.losses.lite import SKELETON
from prehend_training.storage.codec import Packing
from prehend_training.train.export import export_run
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.loop.preset import Teacher
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, load_teacher, train_run
from prehend_training.train.tasks.lite_views import TokenMapper

TAUGHT, PLAIN = preset("debug-unihope-s-views"), preset("debug-unihope-s-views-plain")
MACHINE = Machine(threads=1)


@pytest.fixture(scope="module")
def teacher(moments, tmp_path_factory):
    run = tmp_path_factory.mktemp("views") / "teacher"
    train_run(Training(preset("debug-sima-views"), [moments], run, Budget(steps=2)), MACHINE)
    return run


@pytest.fixture(scope="module")
def task(moments, teacher):
    return TAUGHT.task([moments], None, Teacher(load_teacher(teacher, "cpu", SimaViews)))


def result(run):
    return load_file(run / "checkpoint" / "averaged.safetensors")


def trained(chosen, moments, run, teacher=None, steps=1):
    train_run(Training(chosen, [moments], run, Budget(steps=steps), (), teacher), MACHINE)
    return result(run)


def test_arrays_are_as_described_and_the_crops_are_those_without_a_teacher(task, moments):
    taught, plain = task.source.batch(1), PLAIN.task([moments]).source.batch(1)
    assert {name for name in taught.keys() - plain.keys() if not name.startswith("teacher_")} == set()
    for name, value in plain.items():
        np.testing.assert_array_equal(value, taught[name], err_msg=name)
    shown = {name: value for name, value in taught.items() if not name.startswith(SKELETON)}
    assert faults(shown, TaughtBatch, {"S": 64, "T": 64, "G": 16}) == []
    assert taught["teacher_image"].shape[0] == len(taught["image"]) == TAUGHT.optimisation.batch_size


def test_what_is_taught_reaches_the_hand_and_its_places_and_teacher_stay(task):
    before = [value.clone() for value in task.teacher.network.state_dict().values()]
    network = task.network().train()
    terms = task.terms(network, to_tensors(task.source.batch(0), "cpu"), 0.5)
    assert terms.keys() <= vars(TAUGHT.loss).keys() and all(value.isfinite() for value in terms.values())
    (terms["shape_enhancement"] + terms["orientation_enhancement"]).backward()
    learns = {name for name, one in network.named_parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    for part in ("network.encoder.", "network.mano_head.hidden.", "network.streams.hand_fpn.", "adaptation."):
        assert any(name.startswith(part) for name in learns), part
    assert not any(name.startswith(("network.places", "network.correction", "network.object")) for name in learns)
    assert all(one.grad is None and not one.requires_grad for one in task.teacher.network.parameters())
    assert all(map(torch.equal, before, task.teacher.network.state_dict().values()))  # statistics too


def test_left_hands_and_crops_without_one_are_not_held_to_the_teacher(task):
    network, batch = task.network().eval(), to_tensors(task.source.batch(0), "cpu")
    for mark in ("right", "presence"):
        terms = task.terms(network, batch | {mark: torch.zeros_like(batch[mark])}, 0.5)
        assert terms["shape_enhancement"] == 0 and terms["orientation_enhancement"] == 0


def test_a_mapper_learns_what_the_teacher_says_in_any_unit():
    like = torch.randn(8, 5, 16) + 10
    torch.manual_seed(0)
    one = TokenMapper(4, like)
    torch.manual_seed(0)
    other = TokenMapper(4, 7 * like)
    feature = torch.randn(8, 4)
    for said, again in zip(one(feature, like), other(feature, 7 * like), strict=True):
        torch.testing.assert_close(said, again)
    _, taught = one(feature, like)
    assert taught.mean(0).abs().max() < 1e-4 and taught.square().mean() == pytest.approx(1, abs=1e-4)


def test_views_that_are_not_there_teach_nothing(moments, teacher):
    chosen = replace(TAUGHT, views=8)  # of five cameras
    task = chosen.task([moments], None, Teacher(load_teacher(teacher, "cpu", SimaViews)))
    network, batch = task.network().eval(), to_tensors(task.source.batch(0), "cpu")
    gone = batch["known"] == 0
    assert 0 < gone.sum() < len(gone)
    noise = {name: value.clone() for name, value in batch.items()}
    for name in ("image", "keypoints", "rotations", "joints", "presence", "teacher_turn"):
        noise[name][gone] = torch.rand_like(noise[name][gone])
    torch.manual_seed(1)
    one = task.terms(network, batch, 0.0)
    torch.manual_seed(1)
    other = task.terms(network, noise, 0.0)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], msg=name)


def test_without_weight_the_teacher_changes_nothing_and_with_weight_it_does(moments, teacher, tmp_path):
    silent = replace(TAUGHT, loss=replace(TAUGHT.loss, shape_enhancement=0.0, orientation_enhancement=0.0))
    plain = trained(PLAIN, moments, tmp_path / "plain")
    unheard = trained(silent, moments, tmp_path / "silent", teacher)
    taught, again = (trained(TAUGHT, moments, tmp_path / name, teacher) for name in ("taught", "again"))
    assert {name for name in unheard.keys() - plain.keys() if not name.startswith("adaptation.")} == set()
    for name, value in plain.items():
        torch.testing.assert_close(unheard[name], value, msg=name, rtol=0, atol=1e-6)
    assert any(not torch.equal(taught[name], value) for name, value in plain.items() if value.is_floating_point())
    assert all(torch.equal(again[name], value) for name, value in taught.items())


def test_a_run_starts_from_one_of_crops_and_is_exported_as_the_network_it_is(moments, crops, teacher, tmp_path, capsys):
    first, run = tmp_path / "first", tmp_path / "run"
    train_run(Training(preset("debug-lite"), [crops], first, Budget(steps=1)), MACHINE)
    options = ["--start", str(first), "--data", str(moments), "--threads", "1", "--teacher", str(teacher)]
    for steps in ("1", "2"):  # and goes on
        assert main(["train", TAUGHT.name, str(run), *options, "--steps", steps]) == 0
    note_measured(run, {"samples": 24})
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(moments), "--limit", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["moments"] == 2
    bundle = export_run(run, tmp_path / "bundle")
    assert bundle.network == "unihope-s" and bundle.manifest["measured"] == {"samples": 24}  # of crops, not of views
    kept = load_network(bundle).state_dict()
    assert kept.keys() == TAUGHT.build().state_dict().keys()
    learnt = result(run)
    assert any(name.startswith("adaptation.") for name in learnt)
    for name, value in kept.items():  # in half precision, without counters
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(learnt[f"network.{name}"], value, msg=name, rtol=1e-3, atol=1e-4)
    assert HandNetwork(open_backend("onnx", bundle, threads=1)).crop_size == TAUGHT.config.size


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("debug-unihope-s-views {run} --data {moments}", "learns from a teacher: give --teacher RUN"),
        ("debug-unihope-s-views {run} --data {moments} --teacher {run}/none", "train"),
        ("debug-unihope-s-views {run} --data {moments} --teacher {other}", "is no run of a network of several views"),
        ("debug-unihope-s-views {run} --data {crops} --teacher {teacher}", "--kind views"),
        ("debug-unihope-s-views {run} --data {one} --teacher {teacher}", "has one camera"),
        ("debug-unihope-s-views-plain {run} --data {moments} --teacher {teacher}", "no preset"),
        ("debug-unihope-s-views-plain {run} --data {moments} --in-memory 4", "--in-memory"),
    ],
)
def test_what_cannot_be_trained_is_one_line(given, said, moments, crops, teacher, tmp_path, capsys):
    folders = {name: tmp_path / name for name in ("run", "other", "one")}
    if "{one}" in given:
        write_fake(folders["one"], "views", 3, packing=Packing("none", "png"), make=open_one_camera)
    if "{other}" in given:
        train_run(Training(preset("debug-lite"), [crops], folders["other"], Budget(steps=1)), MACHINE)
    words = given.format(moments=moments, crops=crops, teacher=teacher, **folders).split()
    capsys.readouterr()
    assert main(["train", *words, "--steps", "1", "--threads", "1"]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_preset_of_views_trains_the_whole_network():
    with pytest.raises(InvalidInput, match="debug-unihope-s-views"):
        replace(TAUGHT, trains="object")
    rows = [replace(preset(f"unihope-s-views{end}"), name="", adapts=()) for end in ("", "-no-shape", "-plain")]
    assert rows[0] == rows[1] == rows[2] and rows[0].config == preset("unihope-s").config
