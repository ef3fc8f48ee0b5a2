import pytest
import torch
from torch import nn

from prehend_training.train.loop.optimisers import Muon, kernels_before_norms, make_optimisers, orthogonalised


@pytest.mark.parametrize("shape", [(16, 144), (64, 8), (32, 32)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape):
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.4 and values.max() < 1.3


def test_orthogonalising_does_not_depend_on_the_scale():
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalised(matrix), orthogonalised(matrix * 1e3), atol=1e-4)


def test_muon_finds_the_least_squares_of_a_kernel():
    torch.manual_seed(0)
    wanted, kernel = torch.randn(8, 4, 3, 3), nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimiser = Muon([kernel], lr=0.3, weight_decay=0.0)
    first = (kernel - wanted).square().mean().item()
    for step in range(60):
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / 60)
        optimiser.zero_grad()
        (kernel - wanted).square().mean().backward()
        optimiser.step()
    assert (kernel - wanted).square().mean().item() < 0.02 * first


def test_every_parameter_has_one_optimiser():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.Linear(4, 2))
    optimisers = make_optimisers(network, "muon", 1e-3, 0.01)
    given = [p for group in optimisers.param_groups for p in group["params"]]
    assert len(given) == len({id(p) for p in given}) == len(list(network.parameters()))
    assert kernels_before_norms(network) == [network[0].weight]
    optimisers.set_lr(0.5)
    assert {group["lr"] for group in optimisers.param_groups} == {0.5}
    assert not any(isinstance(part, Muon) for part in make_optimisers(network, "adamw", 1e-3, 0.01).parts)
