"""Several processes that train one network: each takes a part of every batch, gradients are averaged between them.

torch.distributed carries the numbers: gloo between CPUs, NCCL between GPUs. The processes are started here, for one
machine, or by `torchrun`, for any number of machines.

On a CPU two processes of one thread beat one process of two threads: they wait for each other once a step instead of
once a layer, which also keeps them going on a machine that others use.
"""

import atexit
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from prehend.errors import InvalidInput

WAIT = timedelta(minutes=10)
"""A member that does not turn up for this long is taken for dead."""


@dataclass(frozen=True)
class Group:
    """The processes of a run as one of them sees them.

    Attributes:
        rank: of this process, 0 the first, which keeps the books.
        size: number of processes.
        local_rank: of this process on its machine, which is also the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def parallel(self, module: nn.Module, device: str) -> nn.Module:
        """The module, whose gradients torch's DistributedDataParallel averages over the group; itself if alone.

        Args:
            module: whose `forward` gives the loss; some weights may have no part in it. device: that it is on.
        """
        if self.size == 1:
            return module
        devices = [torch.device(device)] if device.startswith("cuda") else None
        # statistics stay each process's own: the first one's are kept
        return DistributedDataParallel(module, devices, find_unused_parameters=True, broadcast_buffers=False)

    def mean(self, value: Tensor) -> Tensor:
        """A number's mean over the group; not finite where one of them is not."""
        if self.size == 1:
            return value
        whole = value.clone()
        distributed.all_reduce(whole)
        return whole / self.size

    def told_by_first(self, value: float) -> float:
        """The first process's number, in all processes."""
        if self.size == 1:
            return value
        said = torch.tensor([value], dtype=torch.float64, device=_device(self))
        distributed.broadcast(said, src=0)
        return float(said)


def _device(group: Group) -> str:
    return f"cuda:{group.local_rank}" if distributed.get_backend() == "nccl" else "cpu"


def started_by_torchrun() -> bool:
    """Whether this process is one of those that `torchrun` started."""
    return distributed.is_torchelastic_launched()


def run_group(work: Callable[..., None], arguments: Sequence[Any], size: int, device: str) -> None:
    """Call `work(group, *arguments)` in every process of a group.

    Started by `torchrun`, this process is a member and only does its part; else `size` processes are started here and
    waited for.

    Args:
        work: importable from its module.
        arguments: picklable.
        size: number of processes to start; 1 calls `work` here.
        device: of torch, `cpu` or `cuda`; the members of a machine take a GPU each.

    Raises:
        InvalidInput: both `torchrun` and `size` ask for processes.
        torch.multiprocessing.ProcessRaisedException: a member failed; the others are stopped.
    """
    if started_by_torchrun():
        if size != 1:
            raise InvalidInput("torchrun starts the processes: do not ask for more")
        rank, count, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        with _joined(Group(rank, count, local), "env://", device) as group:
            work(group, *arguments)
    elif size == 1:
        work(Group(), *arguments)
    else:
        with tempfile.TemporaryDirectory(prefix="prehend-group-") as folder:
            meeting = (Path(folder) / "meeting").as_uri()
            multiprocessing.spawn(_member, (size, meeting, device, work, tuple(arguments)), nprocs=size, join=True)


def _member(
    rank: int, size: int, meeting: str, device: str, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    ended = Event()
    atexit.register(_leave_if, ended)
    with _joined(Group(rank, size, rank), meeting, device) as group:
        work(group, *arguments)
    ended.set()


def _leave_if(ended: Event) -> None:
    if ended.is_set():
        leave(0)


def leave(code: int) -> NoReturn:
    """End this process at once, its streams written.

    DistributedDataParallel keeps gloo's threads alive beyond `destroy_process_group` (torch 2.13). One that still lets
    go of a tensor while Python shuts down aborts the process, so that work that ended well counts as failed.

    Args:
        code: exit status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _joined(group: Group, meeting: str, device: str) -> Iterator[Group]:
    """A process group for the time of the work."""
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, init_method=meeting, rank=group.rank, world_size=group.size, timeout=WAIT)
    try:
        yield group
    finally:
        distributed.destroy_process_group()
