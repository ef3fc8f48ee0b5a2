"""Crops cut with torch where the network runs, as `pipeline.crops.crop.cut` cuts them on the processor.

The frame is uploaded once, as bytes; of each crop only its map goes after it. Lens distortion is no matter here: crops
are affine parts of the image as it was taken, and the geometry after the network undoes the lens.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from prehend.backends.base import DeviceImage, Uncut, Window
from prehend.errors import DeviceError


class Cutter:
    """Cuts crops on a device.

    Args:
        device: "cuda" or "cpu"; on the processor it does the same, for comparison.
    """

    def __init__(self, device: str):
        self._device = device

    def cut(self, crops: Sequence[Uncut], stream: int = 0) -> Tensor:
        """Cut crops of one size, of one or more frames, without waiting for the device.

        Args:
            crops: at least one.
            stream: number of a CUDA stream of somebody else; 0 for torch's own.

        Returns:
            (B, 3, size, size) float32 RGB in [0, 1] on the device, contiguous; black beyond the image.

        Raises:
            DeviceError: the device failed, or its memory is full.
        """
        with failures_told(f"cutting crops on '{self._device}'"), torch.inference_mode(), self._on(stream):
            size, windows = crops[0].size, [crop.window for crop in crops]
            maps = torch.from_numpy(np.stack([_map_back(window) for window in windows])).to(self._device)
            parts = [_shrunk(self._sent(crop.frame), window) for crop, window in zip(crops, windows, strict=True)]
            return torch.cat([_warped(part, to_part, size) for part, to_part in zip(parts, maps, strict=True)])

    def wait(self) -> None:
        """Until what was cut is there for readers on other streams.

        Raises:
            DeviceError: the device failed.
        """
        if self._device != "cpu":
            with failures_told(f"cutting crops on '{self._device}'"):
                torch.cuda.current_stream().synchronize()

    def _sent(self, frame: DeviceImage) -> Tensor:
        """(H, W, 3) uint8 of a frame, uploaded unless it was."""
        if frame.on_device is None:
            # page-locked, so that the copy does not wait; also for pixels that are read only or turned round
            held = torch.empty(frame.pixels.shape, dtype=torch.uint8, pin_memory=self._device == "cuda")
            np.copyto(held.numpy(), frame.pixels)
            frame.on_device = held.to(self._device, non_blocking=True)
        sent: Tensor = frame.on_device
        return sent

    def _on(self, stream: int) -> AbstractContextManager[Any]:
        if not stream or self._device == "cpu":
            return nullcontext()
        return torch.cuda.stream(torch.cuda.ExternalStream(stream))


def cuda_cutter() -> Cutter | None:
    """One for the GPU; None where torch sees none."""
    return Cutter("cuda") if torch.cuda.is_available() else None


@contextmanager
def failures_told(who: str) -> Iterator[None]:
    """A GPU's failures leave as `DeviceError`; the processor's own errors are none."""
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
        raise DeviceError(f"{who}: {' '.join(str(error).split())[:200]}") from error


def _map_back(window: Window) -> NDArray[np.float32]:
    """(2, 3) from pixels of the crop to the shrunk part in `grid_sample`'s units: -1 and 1 are its outer edges."""
    back = np.linalg.inv(window.affine[:, :2])
    sides = np.array(
        [max(-(-(along.stop - along.start) // window.shrink), 1) for along in (window.columns, window.rows)]
    )
    whole = np.column_stack([back, 0.5 - back @ window.affine[:, 2]]) * (2 / sides)[:, None]
    whole[:, 2] -= 1
    return whole.astype(np.float32)


def _shrunk(frame: Tensor, window: Window) -> Tensor:
    """(1, 3, H, W) float32, the window's part of a frame as the mean of blocks, in whole grey levels."""
    part = frame[window.rows, window.columns].permute(2, 0, 1)[None].float()
    if window.shrink == 1 or not part.numel():
        return part
    edges = (0, -part.shape[3] % window.shrink, 0, -part.shape[2] % window.shrink)
    means = F.avg_pool2d(F.pad(part, edges, mode="replicate"), window.shrink)
    # OpenCV rounds halves up in blocks of two by two, to even in others
    return means.add_(0.5).floor_() if window.shrink == 2 else means.round_()


def _warped(part: Tensor, to_part: Tensor, size: int) -> Tensor:
    """(1, 3, size, size) what a crop shows of a shrunk part, in [0, 1]; products by hand, which no TF32 rounds."""
    if not part.numel():
        return part.new_zeros((1, 3, size, size))
    along = torch.arange(size, dtype=torch.float32, device=part.device)
    grid = along[:, None] * to_part[:, 0] + (along[:, None, None] * to_part[:, 1] + to_part[:, 2])
    seen = F.grid_sample(part, grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    return seen.contiguous().round_().div_(255)
