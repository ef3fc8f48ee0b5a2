"""Steps of AdamW with one cycle of the rate, for the small networks on moments of hands."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def take_steps(
    network: nn.Module,
    steps: int,
    lr: float,
    weight_decay: float,
    drawn: Callable[[], tuple[Tensor, Tensor]],
    stepped: Callable[[], object],
) -> None:
    """Train a network that answers with logits.

    Args:
        network: in training mode.
        steps: how many. lr, weight_decay: of AdamW.
        drawn: (B, K) logits of the next batch, and what was asked, NaN where it was not.
        stepped: is called after each step.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    for _ in range(steps):
        loss = known_loss(*drawn())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        stepped()


def known_loss(logits: Tensor, asked: Tensor) -> Tensor:
    """Mean cross-entropy over what is asked, NaN where it is not."""
    known = ~torch.isnan(asked)
    off = nn.functional.binary_cross_entropy_with_logits(logits, torch.nan_to_num(asked), reduction="none")
    return (off * known).sum() / known.sum().clamp(min=1)
