"""What trains and for how long: devices, precisions, budgets."""

import math
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.errors import InvalidInput
from prehend_training.train.loop.checkpoint import Progress


@dataclass(frozen=True)
class Budget:
    """When training ends: after minutes of training or after steps. The schedule follows the share used up, so that a
    run ends with its lowest learning rate however fast the machine is."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = (self.minutes, self.steps)
        if given.count(None) != 1 or not 0 < (self.minutes or self.steps or 0) < math.inf:
            raise InvalidInput("give a positive number of either minutes or steps")

    def used(self, progress: Progress) -> float:
        """Share of the budget that is used up; 1 or more at the end."""
        if self.steps is not None:
            return progress.step / self.steps
        assert self.minutes is not None
        return progress.elapsed_s / (60 * self.minutes)


Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """What to train with.

    Attributes:
        processes: that share each batch.
        threads: torch threads of each; 0 for torch's choice.
        workers: processes of each that make batches; 0 is a thread.
        device: of torch, `cpu` or `cuda`.
        precision: of products and convolutions; weights, losses and sums stay float32.
        in_memory: most images to keep in the device's memory, which then makes the batches itself; None to read them
            as they are needed.
        compiled: compile the trunk of a crop network (CUDA).
    """

    processes: int = 1
    threads: int = 0
    workers: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"
    in_memory: int | None = None
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.processes < 1 or self.threads < 0 or self.workers < 0:
            raise InvalidInput("--processes is 1 or more, --threads and --workers are not negative")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidInput("torch sees no CUDA device here; --device cpu tries everything out slowly")
        if self.in_memory is not None and (self.in_memory <= 0 or self.processes > 1):
            raise InvalidInput("--in-memory keeps a positive number of images, in one process")


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Products and convolutions on a device in a precision."""
    return torch.autocast(device.split(":")[0], _DTYPES[precision], enabled=precision != "fp32")


def to_tensors(batch: Mapping[str, NDArray[Any] | Tensor], device: str) -> dict[str, Tensor]:
    """Arrays to tensors; images (B, S, S, 3) uint8 become (B, 3, S, S) float in [0, 1], channels last in memory;
    what are tensors on the device already stay as they are."""
    tensors = {name: torch.as_tensor(array).to(device, non_blocking=True) for name, array in batch.items()}
    for name in tensors.keys() & {"image", "image_deoccluded", "teacher_image"}:
        if tensors[name].dtype == torch.uint8:
            tensors[name] = tensors[name].permute(0, 3, 1, 2).float().div_(255)
    return tensors


def peak_memory_mb(device: str) -> float:
    """Most memory that was in use so far: the GPU's, or this process's own."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name(device: str) -> str:
    """What trains."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
