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


def a_matrix(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_orthogonalising_turns_with_the_matrix():
    """The orthogonal factor of Q A is Q times that of A; of the transpose it is the transpose."""
    matrix, turn = a_matrix(12, 20), torch.linalg.qr(a_matrix(12, 12, seed=1)).Q
    torch.testing.assert_close(orthogonalised(turn @ matrix), turn @ orthogonalised(matrix), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(orthogonalised(matrix.T), orthogonalised(matrix).T, atol=1e-4, rtol=1e-3)


def test_an_orthogonalised_matrix_keeps_its_directions():
    matrix = a_matrix(10, 10)
    left, _, right = torch.linalg.svd(matrix)
    spread = left.T @ orthogonalised(matrix) @ right.T
    off = spread - torch.diag(spread.diagonal())
    assert off.abs().max() < 1e-3 and (spread.diagonal() > 0.4).all()


def first_step(parameter, optimiser, gradient):
    before = parameter.detach().clone()
    parameter.grad = gradient
    optimiser.step()
    return parameter.detach() - before


def test_the_first_step_of_adamw_is_the_sign_of_the_gradient_and_the_decay():
    weight = nn.Parameter(a_matrix(8, 8))
    before, gradient = weight.detach().clone(), a_matrix(8, 8, seed=2)
    moved = first_step(weight, make_optimisers(Holder(weight), "adamw", 0.1, 0.5), gradient)
    torch.testing.assert_close(moved, -0.1 * gradient.sign() - 0.1 * 0.5 * before, atol=1e-4, rtol=1e-4)


class Holder(nn.Module):
    """A module of given parameters."""

    def __init__(self, *parameters):
        super().__init__()
        self.parts = nn.ParameterList(parameters)


def test_only_matrices_that_learn_at_the_full_rate_decay():
    matrix, bias, slow = nn.Parameter(a_matrix(8, 8)), nn.Parameter(torch.ones(8)), nn.Parameter(a_matrix(8, 8, seed=3))
    optimiser = make_optimisers(Holder(matrix, bias, slow), "adamw", 0.1, 0.5, [slow], 0.25)
    optimiser.set_lr(0.2)
    for parameter in (matrix, bias, slow):
        parameter.grad = torch.zeros_like(parameter)
    before = [parameter.detach().clone() for parameter in (matrix, bias, slow)]
    optimiser.step()
    torch.testing.assert_close(matrix.detach(), before[0] * (1 - 0.2 * 0.5))
    assert torch.equal(bias.detach(), before[1]) and torch.equal(slow.detach(), before[2])
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert (rates[id(matrix)], rates[id(slow)]) == (0.2, pytest.approx(0.05))


@pytest.mark.parametrize("shape", [(8, 8, 3, 3), (32, 8, 1, 1)])
def test_a_step_of_muon_is_about_as_large_as_one_of_adamw(shape):
    kernel = nn.Parameter(torch.zeros(shape))
    moved = first_step(kernel, Muon([kernel], lr=0.1, weight_decay=0.0), a_matrix(*shape, seed=4))
    rms = float(moved.square().mean().sqrt())
    assert 0.1 * 0.2 * 0.6 < rms < 0.1 * 0.2 * 1.3
    again = nn.Parameter(torch.zeros(shape))
    larger = first_step(again, Muon([again], lr=0.1, weight_decay=0.0), 100 * a_matrix(*shape, seed=4))
    torch.testing.assert_close(larger, moved, atol=1e-5, rtol=1e-3)  # a gradient's length plays no part


def test_muon_shrinks_by_its_decay_apart_from_the_step():
    kernel = nn.Parameter(a_matrix(8, 8, 1, 1))
    before = kernel.detach().clone()
    moved = first_step(kernel, Muon([kernel], lr=0.1, weight_decay=0.5), a_matrix(8, 8, 1, 1, seed=5))
    plain = nn.Parameter(before.clone())
    without = first_step(plain, Muon([plain], lr=0.1, weight_decay=0.0), a_matrix(8, 8, 1, 1, seed=5))
    torch.testing.assert_close(moved, without - 0.05 * before, atol=1e-6, rtol=1e-5)


def test_frozen_parameters_and_those_without_a_gradient_stay():
    network = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1, bias=False))
    network[0].requires_grad_(False)
    optimiser = make_optimisers(network, "muon", 0.1, 0.5)
    given = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert id(network[0].weight) not in given and len(given) == 3
    before = [p.detach().clone() for p in network.parameters()]
    network[1].weight.grad = torch.ones_like(network[1].weight)
    optimiser.step()
    after = list(network.parameters())
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [True, False, True, True]
    optimiser.zero_grad()
    assert all(p.grad is None for p in network.parameters())


def test_what_is_remembered_can_be_given_to_another():
    def fresh():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1))
        return network, make_optimisers(network, "muon", 0.1, 0.1)

    def go(network, optimiser, seed):
        for number, parameter in enumerate(network.parameters()):
            parameter.grad = a_matrix(*parameter.shape, seed=10 * seed + number)
        optimiser.step()

    (one, of_one), (other, of_other) = fresh(), fresh()
    assert of_one.state_of(one[0].weight) == {}
    go(one, of_one, 1)
    other.load_state_dict(one.state_dict())
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        of_other.set_state(its, {name: value.clone() for name, value in of_one.state_of(mine).items()})
    go(one, of_one, 2)
    go(other, of_other, 2)
    assert all(map(torch.equal, one.parameters(), other.parameters()))
