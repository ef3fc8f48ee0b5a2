"""Units that never answer are found and drawn anew, and the network says what it said."""

import pytest
import torch
from torch import nn

from prehend_training.train.loop.silent import RARELY, Rectified, active_shares, draw_anew


class Small(nn.Module):
    """Two rectified layers, the second with another beside it, and two that read."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.beside = nn.Linear(3, 8), nn.Linear(8 + 2, 6), nn.Linear(2, 6, bias=False)
        self.third, self.last = nn.Linear(6, 4), nn.Linear(6, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, kind):
        said = self.act(self.first(x))
        said = self.act(self.second(torch.cat([said, kind], 1)) + self.beside(kind))
        return self.third(said), self.last(said)

    def layers(self):
        return {
            "first": Rectified(self.first, [self.second]),
            "second": Rectified(self.second, [self.third, self.last], [self.beside]),
        }


@pytest.fixture
def network():
    torch.manual_seed(1)
    made = Small()
    with torch.no_grad():
        made.first.bias[[0, 5]] = -100
        made.first.bias[[1, 2, 3, 4, 6, 7]] = 5  # answer always
        made.second.bias[:] = 50
        made.second.bias[3] = -1000
    return made


def samples(count=400):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, 3, generator=generator), torch.randn(count, 2, generator=generator)


def shares(network):
    x, kind = samples()
    return active_shares(
        network.layers(), lambda: [network(x[i : i + 50], kind[i : i + 50]) for i in range(0, 400, 50)]
    )


def test_shares_are_those_of_what_stands_before_the_rectifier(network):
    x, kind = samples()
    with torch.no_grad():
        first = network.first(x)
        second = network.second(torch.cat([first.relu(), kind], 1)) + network.beside(kind)
    told = shares(network)
    torch.testing.assert_close(told["first"], (first > 0).float().mean(0))
    torch.testing.assert_close(told["second"], (second > 0).float().mean(0))
    assert not network.first._forward_hooks and not network.beside._forward_hooks, "nothing stays behind"


def test_hooks_go_where_a_run_fails(network):
    with pytest.raises(RuntimeError):
        active_shares(network.layers(), lambda: network(torch.zeros(1, 5), torch.zeros(1, 2)))
    assert not network.first._forward_hooks


def test_silent_units_begin_anew_and_the_answer_stays(network):
    x, kind = samples()
    with torch.no_grad():
        before = [one.clone() for one in network(x, kind)]
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    assert draw_anew(network.layers(), shares(network)) == {"first": 2, "second": 1}
    with torch.no_grad():
        for one, other in zip(network(x, kind), before, strict=True):
            torch.testing.assert_close(one, other)
    here = network.state_dict()
    others = [1, 2, 3, 4, 6, 7]
    assert torch.equal(here["first.weight"][others], kept["first.weight"][others])
    assert torch.equal(here["second.weight"][:3, others], kept["second.weight"][:3, others])
    assert torch.equal(here["second.weight"][:3, 8:], kept["second.weight"][:3, 8:]), (
        "of what is no unit nothing is lost"
    )
    assert here["first.bias"][[0, 5]].abs().max() < 1 and here["second.bias"][3].abs() < 1
    after = shares(network)
    assert all((share >= RARELY).all() for share in after.values()), "none is silent now"


def test_fresh_units_learn(network):
    draw_anew(network.layers(), shares(network))
    x, kind = samples()
    for _ in range(2):  # the first step gives the readers something to read
        network.zero_grad()
        sum(one.square().sum() for one in network(x, kind)).backward()
        with torch.no_grad():
            for value in network.parameters():
                value -= 1e-6 * value.grad
    assert network.first.weight.grad[[0, 5]].abs().sum() > 0 and network.second.weight.grad[3].abs().sum() > 0


def test_where_none_is_silent_nothing_changes():
    torch.manual_seed(4)
    network = Small()
    with torch.no_grad():
        network.first.bias += 3
        network.second.bias += 9
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    assert draw_anew(network.layers(), shares(network)) == {"first": 0, "second": 0}
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())


def test_a_layer_that_was_not_run_stays_as_it_is(network):
    """As the object's where no hand of a data set holds anything."""
    x, _ = samples()
    told = active_shares(network.layers(), lambda: network.act(network.first(x)))
    assert told.keys() == {"first"}
    kept = network.second.bias.clone()
    assert draw_anew(network.layers(), told) == {"first": 2} and torch.equal(network.second.bias, kept)
