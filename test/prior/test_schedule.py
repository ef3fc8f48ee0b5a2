"""The noise of the diffusion: it begins with next to none and ends with nothing but noise."""

import sys

import numpy as np
import pytest
import torch

from prehend.errors import MissingDependency
from prehend.models.meshes.hhmr import TIMES
from prehend.prior.schedule import schedule

pytest.importorskip("diffusers")


def test_noise_grows_from_next_to_none_to_nearly_all():
    kept = schedule().alphas_cumprod.numpy()
    assert len(kept) == TIMES and (np.diff(kept) < 0).all() and kept[0] > 0.999 and kept[-1] < 1e-4


@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_sampling_begins_where_training_ends_and_goes_down(steps):
    times = schedule(steps).timesteps.tolist()
    assert len(times) == steps and times[0] == TIMES - 1 and times == sorted(set(times), reverse=True)


@pytest.mark.parametrize("steps", [3, 20])
def test_a_network_that_knows_the_answer_is_followed_to_it(steps):
    found, truth = schedule(steps), torch.linspace(-3, 3, 30)[None]
    sample = torch.randn(1, 30, generator=torch.Generator().manual_seed(0))
    for time in found.timesteps:
        sample = found.step(truth, time, sample).prev_sample
    torch.testing.assert_close(sample, truth, atol=0.02, rtol=0.02)


def test_values_far_from_one_are_not_cut_off():
    found = schedule(1)
    far = torch.full((1, 3), 40.0)
    torch.testing.assert_close(found.step(far, found.timesteps[0], far).prev_sample, far, atol=0.5, rtol=0)


def test_without_diffusers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers.schedulers.scheduling_ddim", None)
    with pytest.raises(MissingDependency, match=r"\[prior\]"):
        schedule()
