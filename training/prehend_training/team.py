"""Several processes that train one network: each takes a part of every batch, gradients are averaged in shared memory.

On a CPU two processes of one thread beat one process of two threads: they wait for each other once a step instead of
once a layer, which also keeps them going on a machine that others use.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from torch import Tensor, multiprocessing, nn

WAIT_S = 600.0
"""A member that does not turn up for this long is taken for dead."""


@dataclass(frozen=True)
class Team:
    """The processes of a run as one of them sees them.

    Attributes:
        rank: of this process, 0 the first, which keeps the books.
        size: number of processes.
        board: (size, N + 1) shared memory for gradients and one more number; None for a team of one.
        barrier: where the members meet; None for a team of one.
    """

    rank: int = 0
    size: int = 1
    board: Tensor | None = None
    barrier: Barrier | None = None

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients by their mean over the team; weights without one count as zero, frozen ones not."""
        if self.board is None or self.barrier is None:
            return
        parameters = [p for p in network.parameters() if p.requires_grad]
        sizes = [p.numel() for p in parameters]
        for parameter, place in zip(parameters, self.board[self.rank, : sum(sizes)].split(sizes), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            place.copy_(_in_memory_order(parameter.grad))
        self.barrier.wait(WAIT_S)
        for parameter, places in zip(parameters, self.board[:, : sum(sizes)].split(sizes, dim=1), strict=True):
            assert parameter.grad is not None
            torch.mean(places, 0, out=_in_memory_order(parameter.grad))
        self.barrier.wait(WAIT_S)

    def told_by_first(self, value: float) -> float:
        """The first process's number, in all processes."""
        if self.board is None or self.barrier is None:
            return value
        if self.rank == 0:
            self.board[0, -1] = value
        self.barrier.wait(WAIT_S)
        told = float(self.board[0, -1])
        self.barrier.wait(WAIT_S)
        return told


def _in_memory_order(tensor: Tensor) -> Tensor:
    """(N,) view of a dense tensor: the processes lay theirs out alike, and copying along memory is much faster."""
    return tensor.as_strided((tensor.numel(),), (1,))


def run_team(work: Callable[..., None], arguments: Sequence[Any], size: int, numbers: int) -> None:
    """Call `work(team, *arguments)` in `size` fresh processes and wait for them.

    Args:
        work: importable from its module.
        arguments: picklable.
        size: number of processes; 1 calls `work` here.
        numbers: parameters of the network.

    Raises:
        torch.multiprocessing.ProcessRaisedException: a member failed; the others are stopped.
    """
    if size == 1:
        work(Team(), *arguments)
        return
    board = torch.zeros(size, numbers + 1).share_memory_()
    barrier = multiprocessing.get_context("spawn").Barrier(size)
    multiprocessing.spawn(_member, (size, board, barrier, work, tuple(arguments)), nprocs=size, join=True)


def _member(
    rank: int, size: int, board: Tensor, barrier: Barrier, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    work(Team(rank, size, board, barrier), *arguments)
