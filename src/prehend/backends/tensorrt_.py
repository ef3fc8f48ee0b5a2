"""Networks as TensorRT engines on an NVIDIA GPU. Nothing here has run on one: see docs/ENGINES.md."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prehend.backends.base import IMAGE, Array, Uncut, check_crops, ordered_inputs
from prehend.backends.cuda_ import Buffer, gpu_cutter
from prehend.backends.engine_files import load_engine
from prehend.backends.settings import BackendSettings
from prehend.backends.tensorrt_api import TensorRT, import_tensorrt, with_batch
from prehend.errors import DeviceError
from prehend.weights import Bundle, StageFile

if TYPE_CHECKING:
    from prehend.backends.torch_crops import Cutter

PROVIDERS = ("cuda",)
PRECISIONS = ("float32", "float16")


class TensorRTBackend:
    """One engine per stage, on a stream of its own.

    Each stage has page-locked host memory and GPU memory for its largest batch. A batch is filled up to the next power
    of two, and each of those sizes has an execution context and a captured CUDA graph: copies to the GPU, the network,
    copies back. TensorRT wants it so: a graph is for one shape and one context. Where torch sees the GPU crops are cut
    there, on the same stream, and copied to where the graph reads them.

    Args:
        bundle: the weights.
        settings: precision and folder of the engines.
        api: the library; None imports it.
        cutter: cuts crops on the GPU; None looks for torch unless `api` is given.

    Raises:
        MissingDependency: TensorRT is not installed.
        EngineMismatch: there is no engine for these weights, this TensorRT and this GPU.
        DeviceError: there is no GPU, or its memory is full.
        ParameterError: there is no such provider or precision.
    """

    name = "tensorrt"
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        bundle: Bundle,
        settings: BackendSettings | None = None,
        api: TensorRT | None = None,
        cutter: "Cutter | None" = None,
    ):
        self.bundle = bundle
        settings = settings or BackendSettings()
        provider = settings.only(self.name, PROVIDERS, PRECISIONS)
        self._api = api or import_tensorrt()
        self._cutter = cutter if cutter is not None or api is not None else gpu_cutter()
        engine = load_engine(bundle, self.name, provider, settings, self._api.running_on())
        self._stages: dict[str, _Stage] = {}
        self._stream = self._api.cuda.call("cudaStreamCreate")
        try:
            for stage, file in bundle.stages.items():
                self._stages[stage] = _Stage(self._api, engine.files[stage].read_bytes(), file, self._stream)
        except BaseException:
            self.close()
            raise

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        runner = self._stages[stage]
        most = runner.most
        return _joined([runner.run([array[k : k + most] for array in arrays]) for k in range(0, len(arrays[0]), most)])

    @property
    def cuts(self) -> bool:
        """See `base.CuttingBackend`."""
        return self._cutter is not None

    def infer_crops(self, stage: str, crops: Sequence[Uncut]) -> dict[str, Array]:
        """See `base.CuttingBackend`."""
        assert self._cutter is not None
        check_crops(self.bundle, stage, crops)
        runner = self._stages[stage]
        most = runner.most
        return _joined([runner.run_crops(crops[k : k + most], self._cutter) for k in range(0, len(crops), most)])

    def close(self) -> None:
        """Free the memory of the GPU."""
        for stage in self._stages.values():
            stage.close()
        self._stages.clear()
        if self._stream is not None:
            self._api.cuda.call("cudaStreamDestroy", self._stream)
            self._stream = None


class _Stage:
    """An engine with its memory."""

    def __init__(self, api: TensorRT, plan: bytes, file: StageFile, stream: Any):
        self._api, self._file, self._stream = api, file, stream
        self._engine = api.deserialize(plan)
        self.most = api.check_arrays(self._engine, file).most
        self._buffers: dict[str, Buffer] = {}
        self._graphs: dict[tuple[int, bool], tuple[Any, Any]] = {}
        try:
            for spec in (*file.inputs, *file.outputs):
                self._buffers[spec.name] = Buffer(api.cuda, with_batch(spec, self.most))
        except DeviceError:
            self.close()
            raise

    def run(self, arrays: list[Array]) -> dict[str, Array]:
        """Answers for at most `most` items; copies, which nobody overwrites."""
        items, filled = len(arrays[0]), self._filled(len(arrays[0]))
        for spec, array in zip(self._file.inputs, arrays, strict=True):
            self._buffers[spec.name].array[:items] = array
            self._buffers[spec.name].array[items:filled] = array[-1:]
        return self._answers(items, filled, uploads=True)

    def run_crops(self, crops: Sequence[Uncut], cutter: "Cutter") -> dict[str, Array]:
        """The same for crops that are cut on the GPU; what is filled up is what earlier batches left there."""
        images = cutter.cut(crops, int(self._stream))
        self._buffers[IMAGE].take(images.data_ptr(), len(crops), self._stream)
        return self._answers(len(crops), self._filled(len(crops)), uploads=False)

    def _filled(self, items: int) -> int:
        return min(1 << (items - 1).bit_length(), self.most)

    def _answers(self, items: int, filled: int, uploads: bool) -> dict[str, Array]:
        key = (filled, uploads)
        if key not in self._graphs:
            self._graphs[key] = self._prepared(*key)
        cuda = self._api.cuda
        cuda.call("cudaGraphLaunch", self._graphs[key][1], self._stream)
        cuda.call("cudaStreamSynchronize", self._stream)
        return {spec.name: self._buffers[spec.name].array[:items].copy() for spec in self._file.outputs}

    def close(self) -> None:
        """Free graphs, contexts and memory."""
        for _, graph in self._graphs.values():
            self._api.cuda.call("cudaGraphExecDestroy", graph)
        self._graphs.clear()
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers.clear()

    def _prepared(self, items: int, uploads: bool) -> tuple[Any, Any]:
        """A context for a batch, and the graph of what it does; without uploads its inputs are on the GPU already."""
        context = self._api.context(self._engine)
        for spec in self._file.inputs:
            if not context.set_input_shape(spec.name, with_batch(spec, items)):
                raise DeviceError(f"TensorRT refuses the shape {with_batch(spec, items)} of {spec.name}")
        for name, buffer in self._buffers.items():
            if not context.set_tensor_address(name, buffer.device):
                raise DeviceError(f"TensorRT refuses the memory of {name}")
        # the first run sets up what must not be recorded
        self._queue(context, items, uploads)
        cuda = self._api.cuda
        cuda.call("cudaStreamSynchronize", self._stream)
        cuda.begin_capture(self._stream)
        self._queue(context, items, uploads)
        return context, cuda.end_capture(self._stream)

    def _queue(self, context: Any, items: int, uploads: bool) -> None:
        for spec in self._file.inputs if uploads else ():
            self._buffers[spec.name].upload(items, self._stream)
        if not context.execute_async_v3(int(self._stream)):
            raise DeviceError("TensorRT failed to run its engine: its own log says why")
        for spec in self._file.outputs:
            self._buffers[spec.name].download(items, self._stream)


def _joined(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Answers of one batch after the other as those of one."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
