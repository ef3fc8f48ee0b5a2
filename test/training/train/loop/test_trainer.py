"""The loop on a network so small that every number can be told: steps, averages, schedules, and going on."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from prehend.errors import AssetError
from prehend_training.train.loop.checkpoint import Averaged, Progress
from prehend_training.train.loop.machine import Budget, Machine, autocast, to_tensors
from prehend_training.train.loop.preset import Optimisation
from prehend_training.train.loop.trainer import LOG_EVERY, Trainer, learning_rate
from prehend_training.train.runs import log_lines

CPU = Machine(threads=1)
SIZE = 8
FILES = ("network", "averaged", "optimiser")


@dataclass(frozen=True)
class Weights:
    """Of the terms of `LineTask`."""

    off: float = 1.0
    watched: float = 0.0


class Line:
    """Points of a line, by number; from step `bad` on the truth is not known."""

    def __init__(self, bad=10**9):
        self.bad, self.asked = bad, []

    def batch(self, step, part=(0, 1)):
        self.asked.append(step)
        rng = np.random.default_rng([7, step])
        x = rng.normal(size=(SIZE, SIZE)).astype(np.float32)
        y = x.sum(1, keepdims=True) + 1
        return {"x": x[part[0] :: part[1]], "y": np.full_like(y, np.nan) if step >= self.bad else y}


class LineTask:
    """Least squares by a network with statistics and a frozen layer."""

    memory = None

    def __init__(self, seed=0, bad=10**9, loss=None, **numbers):
        chosen = Optimisation(**({"batch_size": SIZE, "lr": 1e-2, "warmup": 0.1, "ema": 0.9} | numbers))
        self.preset = SimpleNamespace(optimisation=chosen, seed=seed, loss=loss or Weights())
        self.source = Line(bad)
        self.beside = torch.zeros(())

    def network(self):
        network = nn.Sequential(nn.Linear(SIZE, SIZE), nn.BatchNorm1d(SIZE), nn.Linear(SIZE, SIZE), nn.Linear(SIZE, 1))
        network[2].requires_grad_(False)
        return network

    def terms(self, network, batch, used):
        error = (network(batch["x"]) - batch["y"]).square().mean()
        return {"off": error + self.beside, "watched": error.sqrt()}


def trainer(run, **options):
    return Trainer(LineTask(**options), run, CPU)


def state_of(made):
    return {name: value.clone() for name, value in made.network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def step(made, budget=None):
    used = 0.5 if budget is None else budget.used(made.progress)
    terms = made.step(made.task.source.batch(made.progress.step), learning_rate(used, made.optimisation), used)
    made.progress.step += 1
    made.progress.samples += SIZE
    return terms


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_a_run_that_went_on_ends_with_the_same_bits(tmp_path, method):
    budget = Budget(steps=7)
    trainer(tmp_path / "whole", method=method).train(budget)
    half = trainer(tmp_path / "half", method=method)
    for _ in range(3):
        step(half, budget)
    half.save()
    again = trainer(tmp_path / "half", method=method)
    assert (again.progress.step, again.progress.samples) == (3, 3 * SIZE) and same(state_of(again), state_of(half))
    again.train(budget)
    assert again.task.source.asked[0] == 3  # and no batch twice
    for name in FILES:
        one, other = (load_file(tmp_path / run / "checkpoint" / f"{name}.safetensors") for run in ("whole", "half"))
        assert same(one, other), name


def test_a_finished_run_trains_no_more(tmp_path):
    trainer(tmp_path).train(Budget(steps=3))
    again = trainer(tmp_path)
    before = state_of(again)
    assert (
        again.train(Budget(steps=3)).step == 3
        and same(before, state_of(again))
        and again.task.source.asked in ([], [3])
    )


def test_the_seed_decides_the_fresh_weights(tmp_path):
    one, same_one, other = (state_of(trainer(tmp_path / str(k), seed=seed)) for k, seed in enumerate((1, 1, 2)))
    assert same(one, same_one) and not same(one, other)


def test_averages_follow_the_formula(tmp_path):
    made = trainer(tmp_path, ema=0.4)
    wanted = {name: value.double() for name, value in made.network.state_dict().items()}
    for k in range(9):
        step(made)
        decay = min(0.4, (1 + k) / (10 + k))
        for name, value in made.network.state_dict().items():
            wanted[name] = decay * wanted[name] + (1 - decay) * value.double()
    for name, value in made.averaged.state.items():
        if name.endswith("num_batches_tracked"):
            assert value == made.network.state_dict()[name] == 9
        else:
            torch.testing.assert_close(value.double(), wanted[name], atol=1e-6, rtol=1e-5, msg=name)


def test_an_average_without_memory_is_the_network_and_one_that_never_forgets_stays():
    network = nn.Linear(SIZE, SIZE)
    now, first = Averaged(network, 0.0), {name: value.clone() for name, value in network.state_dict().items()}
    still = Averaged(network, 1.0)
    with torch.no_grad():
        network.weight += 1
    now.update(network, 10**9)
    still.update(network, 10**9)
    assert same(now.state, dict(network.state_dict()))
    torch.testing.assert_close(still.state, first)


def test_what_is_frozen_stays_bit_by_bit_in_the_average_too(tmp_path):
    made = trainer(tmp_path)
    before = state_of(made)
    for _ in range(5):
        step(made)
    for name, value in before.items():
        is_frozen = name.startswith("2.")
        assert torch.equal(value, made.network.state_dict()[name]) == is_frozen, name
        assert torch.equal(value, made.averaged.state[name]) == is_frozen, name


@pytest.mark.parametrize("clip", [1e-3, 0.5, 1e6])
def test_a_gradient_is_no_longer_than_the_limit_and_points_where_it_did(tmp_path, clip):
    free, made = trainer(tmp_path / "free", clip=1e9), trainer(tmp_path / "run", clip=clip)
    told, limited = step(free)["gradient"], step(made)["gradient"]
    assert float(told) == pytest.approx(float(limited)) and float(told) > 0.5  # told as it was
    gradients = [
        torch.cat([p.grad.flatten() for p in one.network.parameters() if p.requires_grad]) for one in (free, made)
    ]
    assert float(gradients[1].norm()) == pytest.approx(min(clip, float(told)), rel=1e-3)
    assert float(torch.cosine_similarity(*gradients, dim=0)) == pytest.approx(1, abs=1e-5)


def test_steps_whose_loss_is_not_known_change_nothing_and_are_counted(tmp_path):
    made = trainer(tmp_path, bad=2)
    for _ in range(2):
        step(made)
    weights = {name: value.clone() for name, value in made.network.named_parameters()}
    averages = {name: value.clone() for name, value in made.averaged.state.items()}
    for _ in range(3):
        assert torch.isnan(step(made)["loss"])
    assert made.progress.skipped == 3 and made.progress.step == 5
    assert same(weights, dict(made.network.named_parameters())) and same(averages, made.averaged.state)
    made.task.source.bad = 10**9
    assert torch.isfinite(step(made)["loss"]) and made.progress.skipped == 3
    assert not same(weights, dict(made.network.named_parameters()))


def test_a_loss_without_end_is_left_out_though_its_gradient_is_finite(tmp_path):
    made = trainer(tmp_path)
    made.task.beside = torch.tensor(float("inf"))
    before = {name: value.clone() for name, value in made.network.named_parameters()}
    terms = step(made)
    assert torch.isfinite(terms["gradient"]) and made.progress.skipped == 1
    assert same(before, dict(made.network.named_parameters()))


def test_terms_count_by_their_weights_and_those_of_none_are_only_watched(tmp_path):
    terms = step(trainer(tmp_path / "a", loss=Weights(2.0, 0.5)))
    assert float(terms["loss"]) == pytest.approx(2 * float(terms["off"]) + 0.5 * float(terms["watched"]), rel=1e-6)
    one, other = trainer(tmp_path / "b", loss=Weights(1.0, 0.0)), trainer(tmp_path / "c", loss=Weights(0.0, 0.0))
    before = state_of(other)
    step(one)
    assert float(step(other)["gradient"]) == 0
    still = {name for name, value in before.items() if torch.equal(value, other.network.state_dict()[name])}
    assert {"0.bias", "1.bias"} <= still  # what has no decay


def test_the_log_has_the_means_since_its_last_line(tmp_path):
    made = trainer(tmp_path)
    seen = []
    plain = made.step

    def watched(*given):
        seen.append(plain(*given))
        return seen[-1]

    made.step = watched
    budget = Budget(steps=2 * LOG_EVERY)
    made.train(budget)
    lines = list(log_lines(tmp_path))
    assert [line["step"] for line in lines] == [LOG_EVERY, 2 * LOG_EVERY]
    for k, line in enumerate(lines):
        part = seen[k * LOG_EVERY : (k + 1) * LOG_EVERY]
        assert line["off"] == pytest.approx(float(torch.stack([terms["off"] for terms in part]).mean()), rel=1e-5)
        assert line["samples"] == line["step"] * SIZE and line["skipped"] == 0 and 0 <= line["waited"] <= 1
        used = (line["step"] - 1) / budget.steps
        assert line["used"] == pytest.approx(used) and line["lr"] == pytest.approx(
            learning_rate(used, made.optimisation)
        )


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 20}\n{"step": 40, "lo')
    assert list(log_lines(tmp_path)) == [{"step": 20}]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 40}\n{"step": 60}\n')
    assert list(log_lines(tmp_path)) == [{"step": 20}, {"step": 60}]


def test_a_checkpoint_of_another_network_or_time_is_named(tmp_path):
    trainer(tmp_path).train(Budget(steps=1))
    note = tmp_path / "checkpoint" / "progress.json"
    whole = note.read_text()
    note.write_text('{"step": 1, "samples": 8}')
    with pytest.raises(AssetError, match="no note of progress"):
        trainer(tmp_path)
    note.write_text(whole)

    class Wider(LineTask):
        def network(self):
            return nn.Linear(SIZE, 2 * SIZE)

    with pytest.raises(AssetError, match="another network"):
        Trainer(Wider(), tmp_path, CPU)


SCHEDULES = [
    Optimisation(warmup=0.2, lr=0.5),
    Optimisation(warmup=0.05, lr=0.5, schedule="steps"),
    Optimisation(warmup=0.0, lr=0.5),
]


@pytest.mark.parametrize("chosen", SCHEDULES, ids=["cosine", "steps", "at once"])
def test_a_rate_is_positive_and_never_above_its_highest(chosen):
    rates = np.array([learning_rate(used, chosen) for used in np.linspace(0, 1, 401)])
    assert (rates > 0).all() and rates.max() <= chosen.lr + 1e-12
    assert learning_rate(chosen.warmup, chosen) == pytest.approx(chosen.lr)
    after = rates[np.linspace(0, 1, 401) >= chosen.warmup]
    assert (np.diff(after) <= 1e-12).all() and learning_rate(1.5, chosen) == pytest.approx(rates[-1])


def test_the_middle_of_the_cosine_is_the_mean_of_its_ends():
    chosen = Optimisation(warmup=0.2, lr=2.0, final_lr=0.1)
    assert learning_rate(0.6, chosen) == pytest.approx(2.0 * (1 + 0.1) / 2)
    assert learning_rate(0.1, chosen) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("budget", "progress", "share"),
    [
        (Budget(steps=10), Progress(step=4), 0.4),
        (Budget(minutes=2.0), Progress(step=4, elapsed_s=30), 0.25),
        (Budget(steps=4), Progress(step=6), 1.5),
    ],
)
def test_a_budget_is_used_up_by_steps_or_by_time(budget, progress, share):
    assert budget.used(progress) == pytest.approx(share)


def test_pixels_become_numbers_from_nothing_to_one_and_all_else_stays():
    image = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    batch = {
        "image": image,
        "image_deoccluded": image,
        "texture": image,
        "told": np.array([True, False]),
        "x": np.float32([1.5, 2]),
    }
    tensors = to_tensors(batch, "cpu")
    assert tensors["image"].shape == (2, 3, 4, 4)
    np.testing.assert_allclose(tensors["image"][1, 2, 3, 0], image[1, 3, 0, 2] / 255, rtol=1e-6)
    assert torch.equal(tensors["image"], tensors["image_deoccluded"])
    assert tensors["texture"].dtype == torch.uint8 and tensors["told"].dtype == torch.bool
    assert torch.equal(to_tensors({"image": tensors["image"]}, "cpu")["image"], tensors["image"])


def test_half_precision_is_of_products_alone():
    x, weight = torch.ones(2, SIZE), torch.ones(SIZE, SIZE)
    for precision, expected in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast("cpu", precision):
            product = x @ weight
            assert product.dtype == expected and (x + 1).dtype == torch.float32
