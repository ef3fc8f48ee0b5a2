"""Weights that ship as the start of a training."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from prehend.backends.torch_ import load_network
from prehend.errors import AssetError, WeightsMismatch
from prehend.weights import load_bundle
from prehend_training.pretrained.shipped import bundle_at
from prehend_training.train.export import _origin
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.notes import begun, read_note
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run
from prehend_training.train.tasks.h2onet import PartlyTrained
from prehend_training.train.tasks.lite import LiteTask, _did_not_leak
from prehend_training.train.tasks.time_fusion import FusionOnly


@pytest.fixture(scope="module")
def shipped():
    return load_network(load_bundle("unihope-s")).state_dict()


def here(path):
    return bundle_at(path)


def test_weights_are_found_by_name_and_by_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = here(Path("unihope-s"))
    assert named is not None and here(named.folder) == named
    assert here(tmp_path) is None and here(Path("unihope-x")) is None
    (tmp_path / "unihope-s").mkdir()  # a run of that name goes first
    assert here(Path("unihope-s")) is None


def test_the_same_network_takes_all(crops, shipped):
    torch.manual_seed(0)
    network = LiteTask(preset("unihope-s"), [crops]).network()
    load_start([Path("unihope-s")], network)
    told = network.network.state_dict()
    floats = {name for name, value in told.items() if value.is_floating_point()}
    assert floats < shipped.keys() and all(torch.equal(told[name], shipped[name]) for name in floats)
    assert not _did_not_leak(Path("unihope-s"))


def test_another_network_on_the_trunk_takes_trunk_and_answers(shipped):
    network = PartlyTrained(preset("h2onet-s-frame").build(), "frame")
    before = network.network.orient.state_dict()["0.weight"].clone()
    load_start([Path("unihope-s")], network)
    told = network.network.state_dict()
    for mine, theirs in (("seen.places", "places"), ("presence", "switcher.presence"), ("side", "switcher.side")):
        assert torch.equal(told[f"{mine}.weight"], shipped[f"{theirs}.weight"])
    trunk = {name for name in told if name.startswith("seen.trunk.") and told[name].is_floating_point()}
    assert len(trunk) > 90
    assert all(torch.equal(told[name], shipped[name.replace("seen.", "streams.")]) for name in trunk)
    assert torch.equal(told["orient.0.weight"], before)


def test_the_fusion_takes_the_fusion_alone(shipped):
    network = FusionOnly(preset("unihope-s-time").build())
    before = network.network.places.weight.clone()
    load_start([Path("unihope-s")], network)
    assert torch.equal(network.network.time.told.weight, shipped["time.told.weight"])
    assert torch.equal(network.network.places.weight, before)
    with pytest.raises(WeightsMismatch, match="'hhmr-xs' are of 'hhmr-xs', another network"):
        load_start([Path("hhmr-xs")], network)


def test_other_networks_are_refused(crops):
    for path, network in (
        (Path("palm"), LiteTask(preset("unihope-s"), [crops]).network()),
        (Path("unihope-s"), nn.Linear(2, 2)),
        (Path("unihope-s"), LiteTask(preset("debug-lite"), [crops]).network()),
    ):
        with pytest.raises(WeightsMismatch, match=f"'{path}'"):
            load_start([path], network)


def test_a_run_notes_the_weights_that_it_starts_from(crops, tmp_path):
    start = [Path("unihope-s")]
    run = tmp_path / "run"
    train_run(Training(preset("h2onet-s-frame"), [crops], run, Budget(steps=1), start), Machine(threads=1))
    (noted,) = read_note(run)["start"]
    bundle = load_bundle("unihope-s")
    assert noted == begun(start[0]) and noted["weights"] == "unihope-s" and noted["sha256"] == bundle.weights_sha256
    assert noted["trained_on"] == bundle.manifest["trained_on"]
    (told,) = _origin(read_note(run))["started_from"]
    assert told == noted


def test_changed_weights_are_no_start(tmp_path):
    bundle = load_bundle("unihope-s")
    folder = tmp_path / "mine"
    folder.mkdir()
    for file in bundle.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["weights"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AssetError):
        load_start([folder], nn.Linear(2, 2))
