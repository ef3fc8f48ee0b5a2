"""The object stream alone: what it learns from, what stays, and what it is taught."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.errors import AssetError
from prehend.models.hand_object.unihope_lite import build_unihope_lite
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import exact
from prehend_training.data.stores.datasets import Cached, HeldDataset, MixedDataset, ShardDataset
from prehend_training.data.stores.memory import Filling
from prehend_training.losses.heads import LiteModelWithHeads
from prehend_training.storage.codec import unpack_labels
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.trainer import to_tensors
from prehend_training.train.presets import preset
from prehend_training.train.tasks.lite import LitePreset, LiteTask

CHOSEN = preset("debug-lite")
assert isinstance(CHOSEN, LitePreset)
OBJECT = replace(CHOSEN, trains="object")
TWELVE = replace(CHOSEN.optimisation, batch_size=12)
FLAWLESS = replace(CHOSEN, data=replace(CHOSEN.data, absent_p=0.0, grasp_flip_p=0.0), optimisation=TWELVE)
HELD, ANY = (replace(FLAWLESS, trains=part) for part in ("object", "grasp"))


def test_held_crops_are_those_whose_hand_grasps(crops: Path) -> None:
    every = ShardDataset([crops], "crops")
    held = HeldDataset(every)
    grasps = [bool(every[row]["grasp"][0]) for row in range(len(every))]
    assert 0 < len(held) == sum(grasps) < len(every)
    assert all(held[row]["grasp"][0] for row in range(len(held)))
    assert sorted({row for step in range(9) for row in held.indices(0, step, 2)}) == held.first(len(held))


def test_every_kind_of_corpus_is_narrowed_and_keeps_its_shares(crops: Path) -> None:
    every = ShardDataset([crops], "crops")
    parts = [(Cached(every, 1e6), 2.0), (ShardDataset([crops], "crops"), 1.0), (Filling("cpu").add(every), 1.0)]
    mixed = MixedDataset(parts).held()
    assert mixed.counts == (500, 250, 250)
    assert all(mixed[row]["grasp"][0] for step in range(5) for row in mixed.indices(0, step, 4))


def test_the_object_stream_learns_from_held_objects_alone(crops: Path) -> None:
    grasps = [LiteTask(chosen, [crops]).source.batch(0)["grasp_gate"] for chosen in (HELD, ANY)]
    assert grasps[0].all() and not grasps[1].all()


def test_labels_that_cannot_be_read_are_named() -> None:
    for files in ({}, {"labels.json": b"{"}, {"labels.json": b"3"}):
        with pytest.raises(AssetError, match="labels of a sample"):
            unpack_labels(files)


def test_frozen_layers_keep_their_statistics(crops: Path) -> None:
    task = LiteTask(OBJECT, [crops])
    network = task.network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = to_tensors(task.source.batch(0), "cpu")
    sum(task.terms(network, batch, 0.0).values()).backward()  # type: ignore[union-attr]
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all("running" in name or "num_batches" in name for name in changed)
    parts = ("streams.object_middle.", "streams.object_fpn.", "interaction.", "object_head.")
    assert all(name.removeprefix("network.").startswith(parts) for name in changed)


def test_targets_of_distance_and_lie_are_those_of_the_label(crops: Path) -> None:
    dataset = HeldDataset(ShardDataset([crops], "crops"))
    source = CropBatches(dataset, exact(OBJECT.data), 0, 1)
    for row in range(len(dataset)):
        record = dataset[row]
        sample = source.sample(row, np.random.default_rng(0))
        assert np.ptp(record["object_points_m"][0, 0], axis=0).all() and sample["has_points"] == 1
        xx, yy, zz, xy, xz, yz = sample["object_moments"]
        eigen = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        size = np.sort(np.exp(2 * record["object_kind"][0][1:4]))
        np.testing.assert_allclose(eigen, size / size.sum(), atol=2e-3)
        # 0.1 m at the centre, seen by the crop's camera
        shift = sample["projection"] @ np.array([0.1, 0, 0])
        depth = record["object_points_m"][0, 0, 20, 2]
        share = np.linalg.norm(shift[:2]) / depth / OBJECT.data.size_px
        assert np.exp(sample["object_scale"]) == pytest.approx(share, rel=0.1)


def test_runs_from_before_a_layer_existed_still_start_one(tmp_path: Path, crops: Path) -> None:
    torch.manual_seed(0)
    model = LiteModelWithHeads(build_unihope_lite(CHOSEN.config))
    run = tmp_path / "old"
    (run / "checkpoint").mkdir(parents=True)
    (run / "run.json").write_text('{"numbers": {}}')
    weights = {name: value for name, value in model.state_dict().items() if "object_head.moments" not in name}
    save_file(weights, run / "checkpoint" / "averaged.safetensors")
    other = LiteModelWithHeads(build_unihope_lite(CHOSEN.config))
    load_start([run], other)
    kept = load_file(run / "checkpoint" / "averaged.safetensors")
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in kept.items())


def test_the_grasp_answer_alone_is_trained_without_touching_the_rest(crops: Path) -> None:
    task = LiteTask(replace(CHOSEN, trains="grasp"), [crops])
    network = task.network().train()
    batch = to_tensors(task.source.batch(0), "cpu")
    terms = task.terms(network, batch, 0.0)
    assert terms.keys() == {"grasp"}
    terms["grasp"].backward()
    trained = {
        name.split(".")[1] + "." + name.split(".")[2] for name, p in network.named_parameters() if p.grad is not None
    }
    assert trained == {"switcher.fine", "switcher.deep", "switcher.grasp"}
