"""Units of fully connected layers that have fallen silent are drawn anew (ReDo: Sokar et al., "The Dormant Neuron
Phenomenon in Deep Reinforcement Learning", ICML 2023).

A rectified unit whose input is negative for every sample has no gradient, and what a step of Muon does to it by chance
cannot be undone: in a long training unit after unit is lost. A unit that is drawn anew reads as a fresh one does, and
nothing reads it yet, so that the network says what it said.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

RARELY = 0.01
"""A unit that answers to fewer of the samples is silent."""


@dataclass(frozen=True)
class Rectified:
    """A fully connected layer in front of a rectifier.

    Attributes:
        layer: itself.
        readers: layers whose first columns, as many as it has units, read it.
        beside: layers whose answers are added to its own before the rectifier.
    """

    layer: nn.Linear
    readers: Sequence[nn.Linear]
    beside: Sequence[nn.Linear] = ()


def active_shares(layers: Mapping[str, Rectified], run: Callable[[], object]) -> dict[str, Tensor]:
    """How often each unit answers.

    Args:
        layers: by their names.
        run: shows the network its samples.

    Returns:
        (U,) of each layer that was run, the share of rows whose sum before the rectifier is above zero; of one that was
        not, as the object's is where nothing is held, nothing is known.
    """
    told: dict[nn.Module, list[Tensor]] = {}

    def keep(module: nn.Module, given: object, answer: Tensor) -> None:
        told.setdefault(module, []).append(answer.detach().clone())  # rectifiers work in place

    hooks = [part.register_forward_hook(keep) for one in layers.values() for part in (one.layer, *one.beside)]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    ran = {name: one for name, one in layers.items() if one.layer in told}
    sums = {name: sum(torch.cat(told[part]) for part in (one.layer, *one.beside)) for name, one in ran.items()}
    return {name: (value > 0).float().mean(0) for name, value in sums.items()}  # type: ignore[union-attr, attr-defined]


def draw_anew(layers: Mapping[str, Rectified], shares: Mapping[str, Tensor]) -> dict[str, int]:
    """Give silent units fresh weights, and the layers that read them zeros.

    Args:
        layers: by their names.
        shares: of `active_shares`; layers of which nothing is known stay as they are.

    Returns:
        How many of each layer were silent.
    """
    silent = {name: share < RARELY for name, share in shares.items()}
    known = {name: layers[name] for name in silent}
    with torch.no_grad():
        for name, one in known.items():
            rows, layer = silent[name], one.layer
            fresh = nn.Linear(layer.in_features, layer.out_features)
            layer.weight[rows], layer.bias[rows] = fresh.weight.to(layer.weight)[rows], fresh.bias.to(layer.bias)[rows]
            for part in one.beside:
                part.weight[rows] = 0
        for name, one in known.items():  # afterwards: a fresh unit does not read others that are fresh
            for reader in one.readers:
                reader.weight[:, : one.layer.out_features][:, silent[name]] = 0
    counts = {name: int(rows.sum()) for name, rows in silent.items()}
    for name, count in counts.items():
        logger.info("%s: %d of %d units were silent and begin anew", name, count, len(silent[name]))
    return counts
