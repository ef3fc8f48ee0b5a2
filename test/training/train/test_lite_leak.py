"""Fully connected layers of `unihope-s` leak; runs from before go on with their silent units drawn anew."""

import json
import logging
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.errors import InvalidInput
from prehend.models import registry
from prehend.weights import load_bundle
from prehend_training.train.export import export_run
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset, preset_of_run
from prehend_training.train.runs import Training, train_run
from prehend_training.train.tasks.lite import LiteTask, rectified

CHOSEN = preset("debug-lite")
STIFF = replace(CHOSEN, config=replace(CHOSEN.config, slope=0.0))
MACHINE = Machine(threads=1)
DEAD = [2, 3, 7]


@pytest.fixture(scope="module")
def before(crops, tmp_path_factory):
    """A run as it was before rectifiers leaked, three units of whose code never answer."""
    run = tmp_path_factory.mktemp("before") / "run"
    train_run(Training(STIFF, [crops], run, Budget(steps=1)), MACHINE)
    path = run / "checkpoint" / "averaged.safetensors"
    tensors = load_file(path)
    tensors["network.encoder.body.5.bias"][DEAD] = -1e4
    save_file(tensors, path)
    note = json.loads((run / "run.json").read_text())
    del note["numbers"]["config"]["slope"]
    (run / "run.json").write_text(json.dumps(note))
    return run


def started(chosen, crops, run):
    torch.manual_seed(0)
    task = LiteTask(chosen, [crops])
    network = task.network()
    load_start([run], network)
    task.started(network, [run], "cpu")
    return network


def test_a_run_of_before_keeps_its_rectifiers(before, tmp_path):
    assert preset_of_run(before) == STIFF and preset_of_run(before) != CHOSEN
    (before / "measured.json").write_text('{"samples": 1}')
    bundle = export_run(before, tmp_path / "bundle")
    assert bundle.manifest["config"]["slope"] == 0.0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    del manifest["config"]["slope"]
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    assert registry.config_from_manifest(load_bundle(tmp_path / "bundle").manifest) == STIFF.config


@pytest.mark.parametrize("trains", ["all", "heads"])
def test_silent_units_of_a_run_of_before_begin_anew(before, crops, caplog, trains):
    with caplog.at_level(logging.INFO):
        network = started(replace(CHOSEN, trains=trains), crops, before).network
    assert "encoder: " in caplog.text and "were silent and begin anew" in caplog.text
    assert network.encoder.body[5].bias[DEAD].abs().max() < 1
    for reader in (network.correction, network.gate, network.certainty, network.mano_head.hidden[0]):
        assert (reader.weight[:, DEAD] == 0).all()


def test_of_the_object_alone_nothing_else_begins_anew(before, crops, caplog):
    with caplog.at_level(logging.INFO):
        network = started(replace(CHOSEN, trains="object"), crops, before).network
    assert "object_head.down: " in caplog.text and "encoder" not in caplog.text
    assert (network.encoder.body[5].bias[DEAD] == -1e4).all()


def test_a_run_that_leaks_goes_on_as_it_is(crops, tmp_path, caplog):
    run = tmp_path / "run"
    train_run(Training(CHOSEN, [crops], run, Budget(steps=1)), MACHINE)
    with caplog.at_level(logging.INFO):
        network = started(CHOSEN, crops, run)
    assert "silent" not in caplog.text
    kept = load_file(run / "checkpoint" / "averaged.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items() if name in kept)


def test_every_fully_connected_layer_with_a_rectifier_is_known():
    network = CHOSEN.build()
    known = {id(one.layer) for one in rectified(network).values()}
    inside = [network.encoder.body, network.mano_head.hidden, network.object_head.down, network.object_head.told]
    assert known == {id(one) for part in inside for one in part.modules() if isinstance(one, torch.nn.Linear)}
    for one in rectified(network).values():
        assert all(reader.in_features >= one.layer.out_features for reader in one.readers)
        assert all(part.out_features == one.layer.out_features for part in one.beside)


def test_heads_alone_learn_and_the_trunk_stays(crops):
    alone = LiteTask(replace(CHOSEN, trains="heads"), [crops]).network()
    trained = {name.removeprefix("network.").split(".")[0] for name, p in alone.named_parameters() if p.requires_grad}
    answers = {"correction", "gate", "certainty"}
    assert trained == answers | {"interaction", "object_head", "fusion", "keypoint_head", "encoder", "mano_head"}


def test_a_fusion_wants_weights_with_rectifiers_like_its_own(tmp_path):
    chosen = preset("unihope-s-time")
    with pytest.raises(InvalidInput, match=r"slope .* below zero, 'unihope-s-time' of 0.3"):
        replace(chosen, config=replace(chosen.config, slope=0.3)).task([tmp_path])
