"""The few calls of CUDA's runtime that a TensorRT engine needs, each checked; `cuda.bindings.runtime` is given from
outside, so that a test can stand in for it. And what cuts crops on the GPU.

Every function of those bindings returns a tuple whose first entry is the error (cuda-python's documentation, "CUDA
Python API Reference", `cudart`).
"""

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from prehend.backends.base import Array
from prehend.errors import DeviceError

if TYPE_CHECKING:
    from prehend.backends.torch_crops import Cutter


class Cuda:
    """Calls of the runtime that raise `DeviceError` where they fail.

    Args:
        runtime: the module `cuda.bindings.runtime`.
    """

    def __init__(self, runtime: Any):
        self._runtime = runtime

    def call(self, name: str, *arguments: Any) -> Any:
        """The answer of a function of the runtime: nothing, or what follows the error."""
        error, *found = getattr(self._runtime, name)(*arguments)
        if int(error) != 0:
            raise DeviceError(f"{name} failed: {getattr(error, 'name', error)}")
        return found[0] if found else None

    def device(self) -> dict[str, str]:
        """Name and compute capability of the device in use."""
        properties = self.call("cudaGetDeviceProperties", self.call("cudaGetDevice"))
        name = properties.name
        text = name.decode() if isinstance(name, bytes) else str(name)
        return {"device": text.rstrip("\0"), "compute_capability": f"{properties.major}.{properties.minor}"}

    def to_device(self, device: int, host: int, size: int, stream: Any) -> None:
        """Queue a copy of `size` bytes from pinned memory."""
        self.call("cudaMemcpyAsync", device, host, size, self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice, stream)

    def to_host(self, host: int, device: int, size: int, stream: Any) -> None:
        """Queue a copy of `size` bytes into pinned memory."""
        self.call("cudaMemcpyAsync", host, device, size, self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream)

    def on_device(self, target: int, source: int, size: int, stream: Any) -> None:
        """Queue a copy of `size` bytes from the GPU's memory into the GPU's memory."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self.call("cudaMemcpyAsync", target, source, size, kind, stream)

    def begin_capture(self, stream: Any) -> None:
        """Record what is queued from here on instead of running it; only this thread's calls may not run beside it."""
        self.call(
            "cudaStreamBeginCapture", stream, self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        )

    def end_capture(self, stream: Any) -> Any:
        """What was recorded, ready to be launched."""
        graph = self.call("cudaStreamEndCapture", stream)
        launchable = self.call("cudaGraphInstantiate", graph, 0)
        self.call("cudaGraphDestroy", graph)
        return launchable


class Buffer:
    """Memory for one float32 array: page-locked on the host, so that copies run beside the GPU's work, and on the GPU.

    Args:
        cuda: the runtime.
        shape: of the largest array.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...]):
        self._cuda = cuda
        self.row_bytes = 4 * int(np.prod(shape[1:], dtype=np.int64))
        size = self.row_bytes * shape[0]
        self._host = int(cuda.call("cudaMallocHost", size))
        try:
            self.device = int(cuda.call("cudaMalloc", size))
        except DeviceError:
            cuda.call("cudaFreeHost", self._host)
            raise
        memory = (ctypes.c_float * (size // 4)).from_address(self._host)
        self.array: Array = np.ctypeslib.as_array(memory).reshape(shape)

    def upload(self, items: int, stream: Any) -> None:
        """Queue the copy of the first rows to the GPU."""
        self._cuda.to_device(self.device, self._host, items * self.row_bytes, stream)

    def take(self, address: int, items: int, stream: Any) -> None:
        """Queue the copy of the first rows from other memory of the GPU: addresses that graphs know stay what they
        are."""
        self._cuda.on_device(self.device, address, items * self.row_bytes, stream)

    def download(self, items: int, stream: Any) -> None:
        """Queue the copy of the first rows from the GPU."""
        self._cuda.to_host(self._host, self.device, items * self.row_bytes, stream)

    def close(self) -> None:
        """Free both; `array` may not be used afterwards."""
        self.array = np.zeros((0,), np.float32)
        self._cuda.call("cudaFree", self.device)
        self._cuda.call("cudaFreeHost", self._host)


def gpu_cutter() -> "Cutter | None":
    """What cuts crops on the GPU; None where torch is not installed or sees none: then the processor does."""
    try:
        from prehend.backends.torch_crops import cuda_cutter
    except ModuleNotFoundError:
        return None
    return cuda_cutter()
