"""What members of a team do in tests; a module of its own, since fresh processes must import it."""

import json

import torch


def average_two(team, out):
    network = torch.nn.Linear(2, 1)
    network.weight.grad = torch.full((1, 2), float(team.rank))
    for _ in range(3):
        told = team.told_by_first(team.rank + 5.0)
    team.average_gradients(network)
    values = [*network.weight.grad.flatten().tolist(), *network.bias.grad.tolist(), told]
    (out / f"{team.rank}.json").write_text(json.dumps(values))
