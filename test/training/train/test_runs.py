"""What a run notes of itself, what it lets nobody change, and what is taken from it."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from prehend.errors import AssetError, InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model
from prehend_training.train.export import _named, _origin, export_run, export_slim_run, halved
from prehend_training.train.loop.checkpoint import load_result, load_start
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.notes import begun, read_note
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, claim_run, differences, load_teacher, train_run
from prehend_training.train.tasks.crops import mean_pose


@pytest.fixture
def training(crops, tmp_path):
    return Training(preset("debug-unihope"), [crops], tmp_path / "run", Budget(steps=2))


@pytest.fixture(scope="module")
def trained(crops, tmp_path_factory):
    """A run of one step."""
    done = Training(preset("debug-unihope"), [crops], tmp_path_factory.mktemp("trained") / "run", Budget(steps=1))
    train_run(done, Machine(threads=1))
    return done


def note_of(training):
    return json.loads((training.run / "run.json").read_text())


def rewrite(training, change):
    (training.run / "run.json").write_text(json.dumps(change(note_of(training))))


def test_a_run_notes_what_decides_about_it_once(training):
    claim_run(training)
    note = note_of(training)
    assert (note["preset"], note["seed"], note["start"], note["teacher"]) == ("debug-unihope", 0, [], None)
    assert note["numbers"] == json.loads(json.dumps(note["numbers"])) and note["differs_from_preset"] == {}
    before = (training.run / "run.json").stat().st_mtime_ns
    claim_run(training)
    assert (training.run / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t, other: replace(t, preset=replace(t.preset, seed=3)), "seed, numbers"),
        (lambda t, other: replace(t, preset=preset("debug-paper")), "preset, numbers"),
        (lambda t, other: replace(t, data=[*t.data, *t.data]), "data"),
        (lambda t, other: replace(t, start=[other]), "start"),
        (lambda t, other: replace(t, teacher=other), "teacher"),
    ],
)
def test_a_folder_holds_one_run(training, crops, tmp_path, change, named):
    other = made_run(tmp_path / "other", {"a": torch.zeros(2)}, preset="debug-unihope", seed=0)
    claim_run(training)
    with pytest.raises(InvalidInput, match=f"differs in {named}: choose another folder"):
        claim_run(change(training, other))


def test_a_run_from_before_something_was_noted_goes_on(training):
    claim_run(training)
    rewrite(training, lambda note: {k: v for k, v in note.items() if k not in ("in_memory", "teacher")})
    claim_run(training)
    with pytest.raises(InvalidInput, match="in_memory"):
        claim_run(training, in_memory=12)


def test_a_run_is_done_by_its_own_budget(training):
    assert not training.done
    (training.run / "checkpoint").mkdir(parents=True)
    progress = training.run / "checkpoint" / "progress.json"
    for step, minutes, done in ((1, None, False), (2, None, True), (1, 0.5, True)):
        progress.write_text(json.dumps({"step": step, "samples": 0, "elapsed_s": 40.0, "skipped": 0}))
        chosen = training if minutes is None else replace(training, budget=Budget(minutes=minutes))
        assert chosen.done is done


def test_a_name_of_before_is_read_as_today_s(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"preset": "debug-finder", "numbers": {"name": "debug-finder"}}))
    note = read_note(tmp_path)
    assert note["preset"] == note["numbers"]["name"] == "debug-detector"


def test_differences_are_told_by_place_and_are_none_of_the_preset_itself():
    chosen = preset("debug-unihope")
    assert differences(chosen) == {} == differences(replace(chosen, name="of my own"))
    other = replace(chosen, optimisation=replace(chosen.optimisation, lr=0.5), twins=None)
    told = differences(other)
    assert told["optimisation.lr"] == [chosen.optimisation.lr, 0.5] and any(key.startswith("twins") for key in told)
    assert all(one != another for one, another in told.values())


def made_run(folder, weights, **note):
    (folder / "checkpoint").mkdir(parents=True)
    save_file(weights, folder / "checkpoint" / "averaged.safetensors")
    (folder / "checkpoint" / "progress.json").write_text('{"step": 3, "samples": 24, "elapsed_s": 1.4, "skipped": 0}')
    told = {"data": [], "seed": 0, "commit": "abc", "start": [], "numbers": {}} | note
    (folder / "run.json").write_text(json.dumps(told))
    return folder


class Inner(nn.Module):
    """A network with heads that only training has."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)


def test_results_are_read_without_what_only_training_has(tmp_path):
    trained, plain = Inner(), nn.Linear(8, 8)
    run = made_run(tmp_path / "run", dict(trained.state_dict()))
    load_result(run / "checkpoint" / "averaged.safetensors", plain)
    assert torch.equal(plain.weight, trained.network.weight)
    bare = made_run(tmp_path / "bare", dict(plain.state_dict()))
    other = nn.Linear(8, 8)
    load_result(bare / "checkpoint" / "averaged.safetensors", other)
    assert torch.equal(other.weight, plain.weight)
    with pytest.raises(AssetError, match="belongs to another network"):
        load_result(bare / "checkpoint" / "averaged.safetensors", nn.Linear(8, 9))
    with pytest.raises(AssetError, match="train first"):
        load_result(tmp_path / "nothing.safetensors", other)


def test_a_start_gives_the_network_and_leaves_new_heads_fresh(tmp_path):
    trained, fresh = Inner(), Inner()
    weights = {name: value for name, value in trained.state_dict().items() if not name.startswith("head")}
    run = made_run(tmp_path / "run", weights)
    before = fresh.head.weight.clone()
    load_start([run], fresh)
    assert torch.equal(fresh.network.weight, trained.network.weight) and torch.equal(fresh.head.weight, before)
    with pytest.raises(AssetError, match="another network"):  # what is kept has to be there
        load_start([made_run(tmp_path / "less", {"network.weight": torch.zeros(8, 8)})], Inner())
    with pytest.raises(AssetError, match=r"train .*none first"):
        load_start([tmp_path / "none"], Inner())


def test_who_learns_a_part_alone_takes_no_more(tmp_path):
    trained, fresh = Inner(), Inner()
    run = made_run(tmp_path / "run", dict(trained.state_dict()))
    fresh.starts_with = "head."
    before = fresh.network.weight.clone()
    load_start([run], fresh)
    assert torch.equal(fresh.head.weight, trained.head.weight) and torch.equal(fresh.network.weight, before)


@pytest.mark.parametrize("note", ["[]", "{", '{"preset": "debug-unihope"}'])
def test_a_damaged_note_of_a_start_is_one_line(tmp_path, note):
    run = made_run(tmp_path / "run", dict(Inner().state_dict()))
    (run / "run.json").write_text(note)
    with pytest.raises(AssetError, match=r"run\.json") as caught:
        load_start([run], Inner())
    assert "\n" not in str(caught.value)


def test_a_teacher_is_asked_and_not_taught(trained):
    teacher = load_teacher(trained.run, "cpu")
    assert not teacher.training and not any(p.requires_grad for p in teacher.parameters())
    with pytest.raises(InvalidInput, match="several views"):
        load_teacher(trained.run, "cpu", nn.Linear)


@pytest.mark.parametrize("value", [1.0, 3.14159, 60000.0, -1e-7])
def test_matrices_are_halved_within_half_precision(value):
    matrix = torch.full((8, 8), value)
    half = halved(matrix)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), matrix, rtol=1e-3, atol=6e-8)


def test_what_half_precision_cannot_hold_or_scales_everything_stays():
    for kept in (torch.full((8, 8), 1e6), torch.ones(8), torch.ones((8, 8), dtype=torch.int64)):
        assert halved(kept) is kept


def test_a_slim_run_has_the_averages_and_no_optimiser(tmp_path):
    weights = {"network.weight": torch.randn(8, 8), "network.bias": torch.randn(8), "count": torch.tensor(3)}
    run, out = made_run(tmp_path / "run", weights, preset="debug-unihope"), tmp_path / "slim"
    (run / "checkpoint" / "optimiser.safetensors").write_bytes(b"x" * 9999)
    (run / "measured.json").write_text("{}")
    count = export_slim_run(run, out)
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert names == {"checkpoint/averaged.safetensors", "checkpoint/progress.json", "run.json", "measured.json"}
    assert count == sum((out / name).stat().st_size for name in names) < 9999
    slim = load_file(out / "checkpoint" / "averaged.safetensors")
    assert slim["network.weight"].dtype == torch.float16 and torch.equal(slim["network.bias"], weights["network.bias"])
    measured, averaged = out / "measured.json", out / "checkpoint" / "averaged.safetensors"
    assert measured.stat().st_mtime_ns >= averaged.stat().st_mtime_ns  # or an export would ask for it again


def test_where_weights_come_from_is_told_to_the_first_run(tmp_path):
    first = made_run(
        tmp_path / "first", {"a": torch.zeros(1)}, preset="debug-maps", data=[{"path": "/home/me/crops", "seed": 4}]
    )
    second = {"preset": "debug-unihope", "data": [], "seed": 7, "commit": "def", "start": [begun(first)]}
    told = _origin(second)
    assert told["started_from"][0]["preset"] == "debug-maps" and told["started_from"][0]["samples_seen"] == 24
    assert told["started_from"][0]["trained_on"] == [{"path": "crops", "seed": 4}]  # no folders of the machine
    assert _origin({"pretrained": {"file": "x"}}) == {"pretrained": {"file": "x"}}
    assert _named({"path": "/a/b/c", "weight": 2.0}) == {"path": "c", "weight": 2.0}


def test_what_was_not_measured_since_its_last_step_is_not_exported(trained, tmp_path):
    measured, out = trained.run / "measured.json", tmp_path / "bundle"
    with pytest.raises(AssetError, match="prehend-train evaluate"):
        export_run(trained.run, out)
    measured.write_text('{"joint_error_mm": 3.5}')
    weights = trained.run / "checkpoint" / "averaged.safetensors"
    os.utime(measured, ns=(0, weights.stat().st_mtime_ns - 10**9))
    with pytest.raises(AssetError, match="not measured since its last step"):
        export_run(trained.run, out)
    os.utime(measured, ns=(0, weights.stat().st_mtime_ns + 10**9))
    manifest = export_run(trained.run, out).manifest
    assert manifest["measured"] == {"joint_error_mm": 3.5} and manifest["samples_seen"] == 2
    assert manifest["preset"] == "debug-unihope" and manifest["hand_model"]["sha256"] == load_hand_model().sha256


class Records(list):
    """Labels of hands as a dataset gives them."""

    def first(self, count):
        return list(range(min(count, len(self))))


def record(rotations, right=True, known=True):
    return {
        "rotations": rotations[None], "has_pose": np.array([float(known)]), "side": np.array([int(right)]),
        "image": np.zeros((4, 4, 3), np.uint8),
    }  # fmt: skip


def test_the_mean_pose_is_that_of_what_is_known_and_does_not_turn_the_wrist():
    angles = np.random.default_rng(0).normal(0, 0.3, (16, 3))
    one = matrix_from_axis_angle(angles)
    mean = mean_pose(Records([record(one), record(np.tile(np.eye(3), (16, 1, 1)), known=False)]))
    np.testing.assert_allclose(mean[1:], one[1:], atol=1e-6)
    np.testing.assert_array_equal(mean[0], np.eye(3))
    half = mean_pose(Records([record(matrix_from_axis_angle(2 * angles)), record(np.tile(np.eye(3), (16, 1, 1)))]))
    np.testing.assert_allclose(half[1:], one[1:], atol=1e-6)
    nobody = mean_pose(Records([record(one, known=False)]))
    fingers = matrix_from_axis_angle(load_hand_model().hands_mean.reshape(-1, 3))
    np.testing.assert_allclose(nobody[1:], fingers, atol=1e-6)
