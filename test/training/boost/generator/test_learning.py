"""What the generator learns, and that a run goes on as if it had never stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from prehend.errors import AssetError, DeviceError, InvalidInput, UnknownName
from prehend_training.boost.generator.network import Booster, is_out_of_memory
from prehend_training.boost.generator.preset import BOOSTERS, booster
from prehend_training.boost.generator.run import open_booster, train_booster
from prehend_training.boost.generator.task import BoosterTask, folders_of, foreground_weights
from prehend_training.data.stores.open import Mixture
from prehend_training.engine.scenes import SceneConfig
from prehend_training.train.loop.machine import Budget, Machine

TINY = BOOSTERS["debug-handbooster"]
STEADY = replace(TINY, optimisation=replace(TINY.optimisation, warmup=0.0, final_lr=1.0, batch_size=2))
CPU = Machine(threads=1)


def test_the_foreground_weighs_ten_times_the_background_and_a_picture_one():
    front = torch.zeros(4, 8, 8, dtype=torch.bool)
    front[0, :2], front[1, :4, :4], front[2] = True, True, True
    weights = foreground_weights(front, 0.1)
    assert torch.allclose(weights.mean((1, 2)), torch.ones(4))
    assert torch.allclose(weights[0, 0, 0], 10 * weights[0, 7, 7]) and torch.allclose(
        weights[1, 0, 0] / 10, weights[1, 7, 7]
    )
    assert torch.allclose(weights[2:], torch.ones(2, 8, 8))


class Off(torch.nn.Module):
    """Answers with the truth, but for one pixel."""

    def __init__(self, clean, place):
        super().__init__()
        self.answer = clean.clone()
        self.answer[:, :, place[0], place[1]] += 0.5

    def forward(self, noisy, maps, times, orientation, told):
        return self.answer


def batch_of(preset, count=2):
    size, rng = preset.config.size_px, np.random.default_rng(0)
    front = np.zeros((count, size, size), bool)
    front[:, : size // 4] = True
    return {
        "image": torch.from_numpy(rng.random((count, 3, size, size))).float(),
        "texture": torch.zeros(count, size, size, 3, dtype=torch.uint8),
        "normals": torch.zeros(count, size, size, 3, dtype=torch.int8),
        "front": torch.from_numpy(front),
        "orientation": torch.tensor([[0.0, 0, 0, 1]] * count),
        "told": torch.tensor([True] * count),
        "times": torch.tensor([400] * count),
        "noise_seed": torch.arange(count),
    }


def test_an_error_on_the_hand_costs_ten_times_one_beside_it():
    batch, task = batch_of(TINY), BoosterTask(TINY, None)
    clean = 2 * batch["image"] - 1
    on, beside = (task.terms(Off(clean, place), batch, 0.0) for place in ((0, 0), (20, 20)))
    assert float(on["denoising"]) == pytest.approx(10 * float(beside["denoising"]), rel=1e-4)
    assert float(on["foreground"]) > 0 and float(on["background"]) == 0


def test_the_paper_weighs_noise_levels_by_their_signal_and_small_presets_up_to_a_limit():
    paper, small = (BoosterTask(BOOSTERS[name], None) for name in ("handbooster-b", "handbooster-s"))
    times = torch.tensor([0, 500, 999])
    ratio = paper.signal_to_noise(times)
    assert float(ratio[0]) == pytest.approx((1 - 1e-4) / 1e-4, rel=1e-3) and (ratio.diff() < 0).all()
    assert torch.equal(small.signal_to_noise(times), ratio.clamp(max=5))


def test_who_is_not_told_the_orientation_does_not_answer_by_it():
    torch.manual_seed(0)
    network = Booster(TINY.config).eval()
    noisy, maps, times = torch.randn(2, 3, 32, 32), torch.randn(2, 6, 32, 32), torch.tensor([300, 700])
    one, other = torch.tensor([[0.0, 0, 0, 1]] * 2), torch.tensor([[1.0, 0, 0, 0]] * 2)
    told = torch.tensor([True, False])
    first, second = network(noisy, maps, times, one, told), network(noisy, maps, times, other, told)
    assert not torch.allclose(first[0], second[0]) and torch.equal(first[1], second[1])
    assert first.shape == (2, 3, 32, 32)


def test_presets_have_the_sizes_they_say():
    sizes = {name: sum(p.numel() for p in one.build().parameters()) / 1e6 for name, one in BOOSTERS.items()}
    assert 36 < sizes["handbooster-b"] < 42 and sizes["handbooster-s"] <= 8 and sizes["debug-handbooster"] < 1
    assert BOOSTERS["handbooster-b"].config.size_px == 128 and BOOSTERS["handbooster-b"].config.steps == 1000


def test_batches_follow_from_seed_and_step_and_tell_half_of_the_orientations(conditions):
    source, again = (TINY.task([conditions]).source for _ in range(2))
    ours, theirs = source.batch(7), again.batch(7)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not np.array_equal(ours["noise_seed"], source.batch(8)["noise_seed"])
    parts = [source.batch(7, (k, 2)) for k in range(2)]
    assert all(np.array_equal(ours[name][k::2], parts[k][name]) for name in ours for k in range(2))
    told = np.concatenate([source.batch(step)["told"] for step in range(100)])
    assert 0.4 < told.mean() < 0.6
    times = np.concatenate([source.batch(step)["times"] for step in range(100)])
    assert times.min() < 50 and times.max() > 950


def test_a_run_that_stopped_goes_on_to_the_same_weights(conditions, tmp_path):
    for run, budgets in (("one", (4,)), ("two", (2, 4))):
        for steps in budgets:
            train_booster(STEADY, Mixture((([conditions], 1.0),)), tmp_path / run, Budget(steps=steps), CPU)
    one, two = (load_file(tmp_path / run / "checkpoint" / "averaged.safetensors") for run in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    note = json.loads((tmp_path / "one" / "run.json").read_text())
    assert note["preset"] == "debug-handbooster" and note["data"][0]["weight"] == 1.0 if len(note["data"]) > 1 else True
    assert isinstance(open_booster(tmp_path / "one"), Booster)


def test_learning_makes_the_error_smaller(conditions, tmp_path):
    preset = replace(STEADY, optimisation=replace(STEADY.optimisation, batch_size=4, lr=3e-3))
    train_booster(preset, Mixture((([conditions], 1.0),)), tmp_path / "run", Budget(steps=60), CPU)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["foreground"] < 0.8 * lines[0]["foreground"]


def test_no_memory_is_told_with_the_way_out(conditions, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    train_booster(STEADY, Mixture((([conditions], 1.0),)), tmp_path / "run", Budget(steps=1), CPU)
    monkeypatch.setattr(Booster, "forward", full)
    with pytest.raises(DeviceError, match="smaller --batch"):
        train_booster(STEADY, Mixture((([conditions], 1.0),)), tmp_path / "run", Budget(steps=2), CPU)
    assert json.loads((tmp_path / "run" / "checkpoint" / "progress.json").read_text())["step"] == 1


def test_what_memory_errors_say():
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory")
    )
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_what_is_no_source_and_no_run_is_named(crops, tmp_path):
    with pytest.raises(UnknownName, match="handbooster-s"):
        booster("handbooster-xl")
    with pytest.raises(InvalidInput, match="--data DIR"):
        folders_of(SceneConfig("crops", 0, 64))
    (tmp_path / "run.json").write_text(json.dumps({"preset": "unihope-s", "numbers": {}}))
    with pytest.raises(InvalidInput, match="no run of a generator"):
        open_booster(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"preset": "debug-handbooster", "numbers": {"hand": "other"}}))
    with pytest.raises(AssetError, match="another hand model"):
        open_booster(tmp_path)
