"""The optimisers: AdamW, and Muon for the convolutions with AdamW for the rest."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Method = Literal["adamw", "muon"]

MUON_SCALE = 0.2
"""Root mean square of an update over the learning rate, which is about AdamW's: one rate and one decay fit both."""

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration: they push all singular values into about [0.7, 1.2] within five steps."""


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """About the orthogonal factor U V^T of a matrix U S V^T, by Newton-Schulz iterations.

    Args:
        matrix: (m, n).
        steps: iterations.

    Returns:
        (m, n) with singular values near 1.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.size(0) > x.size(1)
    if tall:
        x = x.T
    # each step is x <- p(x x^T) x: the small products p add up, and the large matrix is multiplied twice in all
    gram = x @ x.T
    product = None
    for _ in range(steps):
        step = b * gram + c * gram @ gram
        step.diagonal().add_(a)
        product = step if product is None else step @ product
        gram = step @ gram @ step
    x = x if product is None else product @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made orthogonal before it is applied (Jordan et al. 2024, with the scale of Liu et al.
    2025, "Muon is scalable for LLM training"). A kernel counts as the matrix (out, in * height * width).

    torch's own Muon takes matrices alone, and most weights here are kernels.

    Args:
        parameters: with two axes or more.
        lr: learning rate, to be compared with AdamW's. weight_decay: decoupled. momentum: Nesterov's.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move along the orthogonalised momentum."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(momentum, group["momentum"]).flatten(1)
                size = MUON_SCALE * max(ahead.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(orthogonalised(ahead).view_as(parameter), alpha=-group["lr"] * size)


class Optimisers:
    """Several optimisers as one, each for its own parameters."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]):
        self.parts = list(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all."""
        return [group for part in self.parts for group in part.param_groups]

    def set_lr(self, lr: float) -> None:
        """Give all groups a learning rate, slow ones their share of it."""
        for group in self.param_groups:
            group["lr"] = lr * group.get("share", 1.0)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Let all of them step."""
        for part in self.parts:
            part.step()

    def state_of(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """What is remembered of a parameter: tensors by name, nothing before its first step."""
        return {name: value for part in self.parts for name, value in part.state.get(parameter, {}).items()}

    def set_state(self, parameter: nn.Parameter, state: dict[str, Tensor]) -> None:
        """Remember this of a parameter, as `state_of` gave it."""
        for part in self.parts:
            if any(parameter is other for group in part.param_groups for other in group["params"]):
                part.state[parameter] = dict(state)


def kernels_before_norms(network: nn.Module) -> list[nn.Parameter]:
    """The kernels that a normalisation follows: here those of the convolutions without bias."""
    without_bias = (m for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is None)
    return [parameter for module in without_bias for parameter in module.parameters()]


def adamw(
    parameters: Sequence[nn.Parameter],
    lr: float,
    weight_decay: float,
    slow: Collection[nn.Parameter] = (),
    share: float = 1.0,
) -> torch.optim.Optimizer:
    """AdamW, without decay of biases and normalisation; `slow` ones have this share of the rate and no decay, so that
    what was pretrained is not pulled towards zero."""
    slow_ids = {id(parameter) for parameter in slow}
    quick = [p for p in parameters if id(p) not in slow_ids]
    weights, others = [p for p in quick if p.dim() > 1], [p for p in quick if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": weight_decay, "share": 1.0},
        {"params": others, "weight_decay": 0.0, "share": 1.0},
        {"params": [p for p in parameters if id(p) in slow_ids], "weight_decay": 0.0, "share": share},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.99), fused=True)


def make_optimisers(
    network: nn.Module,
    method: Method,
    lr: float,
    weight_decay: float,
    slow: Collection[nn.Parameter] = (),
    share: float = 1.0,
) -> Optimisers:
    """The optimisers of a network's trained parameters.

    Args:
        network: to train.
        method: `adamw`, or `muon`: Muon for `kernels_before_norms`, AdamW for the rest.
        lr, weight_decay: of both.
        slow: pretrained parameters, always AdamW's. share: their rate over `lr`.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    kernels = {p for p in kernels_before_norms(network) if p.requires_grad} if method == "muon" else set()
    kernels -= set(slow)
    parts = [adamw([p for p in trained if p not in kernels], lr, weight_decay, slow, share)]
    if kernels:
        parts.append(Muon([p for p in trained if p in kernels], lr, weight_decay))
    return Optimisers(parts)
