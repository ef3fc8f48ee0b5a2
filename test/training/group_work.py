"""What members of a group do in tests; a module of its own, since fresh processes must import it."""

import ctypes
import json

import torch


class Halves(torch.nn.Module):
    """One layer that has a part in the loss and one that has none."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.used, self.idle = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.used(x).sum()


def average_two(group, out):
    network = Halves()
    shared = group.parallel(network, "cpu")
    for _ in range(3):
        told = group.told_by_first(group.rank + 5.0)
        network.zero_grad()
        shared(torch.full((1, 2), float(group.rank))).backward()
    mean = float(group.mean(torch.tensor(group.rank + 1.0)))
    lost = float(group.mean(torch.tensor(float("nan") if group.rank else 1.0)))
    gradient = [*network.used.weight.grad.flatten().tolist(), *network.used.bias.grad.tolist()]
    values = {"gradient": gradient, "told": told, "mean": mean, "finite": lost == lost}
    (out / f"{group.rank}.json").write_text(json.dumps(values))


def leave_what_aborts(group, out):
    """At the end of the process comes what a thread of gloo's does that lets go of a tensor while Python shuts down."""
    libc = ctypes.CDLL(None)
    libc.on_exit(libc.abort, None)
    (out / f"{group.rank}").touch()


def fail_second(group):
    if group.rank == 1:
        raise ValueError("the second one fails")
