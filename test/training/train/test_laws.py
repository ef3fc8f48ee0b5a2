"""What holds for every preset: how its batches come, and what its losses ask."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.errors import InvalidInput
from prehend_training.data.pixels.plans import PENDING
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.loop.preset import Optimisation
from prehend_training.train.presets import PRESETS, Changes, changed_preset, preset
from prehend_training.train.runs import Training, train_run

NEEDS = {
    "debug-unihope": "crops",
    "debug-paper": "crops",
    "debug-maps": "crops",
    "debug-lite": "crops",
    "debug-lift": "crops",
    "debug-detector": "frames",
    "debug-h2onet-frame": "crops",
    "debug-h2onet": "films",
    "debug-h2onet-all": "films",
    "debug-sima-plain": "moments",
    "debug-sima-views": "moments",
    "debug-unihope-s-views-plain": "moments",
    "debug-hhmr": "crops",
    "debug-hhmr-image": "crops",
}
LEARNERS = [name for name in NEEDS if not name.startswith("debug-hhmr")]
"""Those of HHMR have tests of their own, and take long."""


@pytest.fixture(scope="module")
def task_of(crops, frames, films, moments):
    folders = {"crops": crops, "frames": frames, "films": films, "moments": moments}
    tasks = {}

    def task(name, seed=None):
        if (name, seed) not in tasks:
            chosen = preset(name) if seed is None else replace(preset(name), seed=seed)
            tasks[name, seed] = chosen.task([folders[NEEDS[name]]])
        return tasks[name, seed]

    return task


def equal(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return np.array_equal(one, other)


@pytest.mark.parametrize("name", NEEDS)
def test_a_batch_depends_on_its_number_alone(name, task_of):
    source = task_of(name).source
    first, other = source.batch(2), source.batch(3)
    assert equal(first, source.batch(2))  # whatever was asked for in between
    assert not equal(first, other)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("name", NEEDS)
def test_several_processes_see_the_batch_of_one(name, processes, task_of):
    source = task_of(name).source
    # of whole moments a small batch has two
    processes = min(processes, 2 if name.startswith("debug-sima") else preset(name).optimisation.batch_size)
    whole, parts = source.batch(1), [source.batch(1, (k, processes)) for k in range(processes)]
    assert all(part.keys() == whole.keys() for part in parts)
    for key, value in whole.items():
        if key != PENDING:
            np.testing.assert_allclose(np.concatenate([part[key] for part in parts]), value, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", NEEDS)
def test_every_number_of_a_batch_is_finite(name, task_of):
    for key, value in task_of(name).source.batch(0).items():
        assert np.isfinite(value).all(), key


@pytest.mark.parametrize("name", NEEDS)
def test_another_seed_is_another_batch(name, task_of):
    assert not equal(task_of(name, 7).source.batch(0), task_of(name).source.batch(0))


@pytest.mark.parametrize("name", LEARNERS)
def test_terms_are_those_that_have_a_weight_and_can_be_learnt_from(name, task_of):
    task = task_of(name)
    torch.manual_seed(0)
    network = task.network().train()
    terms = task.terms(network, to_tensors(task.source.batch(0), "cpu"), 0.6)
    weights = vars(preset(name).loss)
    assert terms and terms.keys() <= weights.keys()
    sum(weights[key] * value for key, value in terms.items()).backward()
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    assert gradients and all(one.isfinite().all() for one in gradients)
    assert any(one.abs().sum() > 0 for one in gradients)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in ("debug-detector", "debug-lift")])
def test_of_hands_about_which_nothing_is_known_nothing_is_learnt_of_their_pose(name, task_of):
    """Other labels of pose and joints change no term where `has_...` and `known` say that there are none."""
    task = task_of(name)
    network = task.network().eval()
    batch = to_tensors(task.source.batch(0), "cpu")
    for key in batch:
        if key.startswith("has_") or key == "known":
            batch[key] = torch.zeros_like(batch[key])
    noise = dict(batch)
    for key in ("rotations", "betas", "joints", "keypoints", "grasp", "object_points", "visible"):
        if key in noise:
            noise[key] = torch.rand_like(noise[key])
    torch.manual_seed(1)
    one = task.terms(network, batch, 1.0)
    torch.manual_seed(1)
    other = task.terms(network, noise, 1.0)
    for key, value in one.items():
        assert value.isfinite(), key
        torch.testing.assert_close(value, other[key], msg=key)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_told_and_can_be_changed(name):
    chosen = preset(name)
    assert chosen.name == name and all(chosen.summary) and chosen.optimisation.batch_size > 0
    changed = changed_preset(preset(name), Changes(batch_size=3, lr=0.25, seed=5))
    assert (changed.optimisation.batch_size, changed.optimisation.lr, changed.seed) == (3, 0.25, 5)
    assert replace(changed, optimisation=chosen.optimisation, seed=chosen.seed) == chosen  # and nothing else


@pytest.mark.parametrize("changes", [{"batch_size": 0}, {"batch_size": -1}, {"lr": 0.0}, {"lr": -1.0}])
def test_a_batch_or_rate_of_nothing_is_refused(changes):
    with pytest.raises(InvalidInput, match="positive"):
        changed_preset(preset("debug-unihope"), Changes(**changes))
    with pytest.raises(InvalidInput, match="positive"):
        Optimisation(**changes)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_without_an_end_is_refused(minutes):
    with pytest.raises(InvalidInput, match="positive number"):
        Budget(minutes=minutes)


@pytest.mark.parametrize("given", [{}, {"minutes": 1.0, "steps": 1}, {"steps": 0}, {"steps": -3}])
def test_a_budget_is_minutes_or_steps(given):
    with pytest.raises(InvalidInput, match="minutes or steps"):
        Budget(**given)


@pytest.mark.parametrize("given", [{"processes": 0}, {"threads": -1}, {"workers": -2}])
def test_a_machine_without_workers_or_threads_is_refused(given):
    with pytest.raises(InvalidInput, match="--processes"):
        Machine(**given)


def test_more_processes_than_samples_are_refused(crops, tmp_path):
    run = Training(preset("debug-unihope"), [crops], tmp_path / "run", Budget(steps=1))
    with pytest.raises(InvalidInput, match="cannot share"):
        train_run(run, Machine(processes=1 + preset("debug-unihope").optimisation.batch_size))
    assert not run.run.exists()
