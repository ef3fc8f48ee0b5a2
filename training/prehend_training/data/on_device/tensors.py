"""From arrays on the CPU to tensors on the device, without waiting for it."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def on_device(values: ArrayLike, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor on a device; what the device still has to do before does not hold the caller up.

    Args:
        values: an array, or numbers.
        device: where to.
        dtype: of the tensor; None for the array's.
    """
    return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype).to(device, non_blocking=True)
