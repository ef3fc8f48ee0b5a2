"""Networks on ONNX Runtime, on the processor or on what one of its providers brings."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from prehend.backends.base import IMAGE, Array, Uncut, check_crops, ordered_inputs
from prehend.backends.cuda_ import gpu_cutter
from prehend.backends.engine_files import WholeEngine, load_engine
from prehend.backends.onnx_cache import cached_graph, graph_key
from prehend.backends.providers import check_runs_on, provider_list, unloadable
from prehend.backends.settings import FULL, BackendSettings
from prehend.errors import DeviceError, WeightsMismatch, one_line
from prehend.files import cache_folder
from prehend.weights import ON_DEMAND, Bundle, StageFile, file_sha256

if TYPE_CHECKING:
    from prehend.backends.torch_crops import Cutter

PROVIDERS = ("cpu", "cuda", "tensorrt", "openvino")
PRECISIONS = ("float32", "float16", "int8")

_LOAD_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
)
"""What ONNX Runtime raises over a graph that it cannot load or run; they share no root of their own, and a message of
its C++ part that is not UTF-8 is a `UnicodeDecodeError`."""

_QUIET = 4
"""Severity of what a session logs: only what ends the process. What fails, it raises too."""

_ON_A_GPU = ("cuda", "tensorrt")
_DEVICE_WORDS = ("out of memory", "failed to allocate", "cuda error", "cudnn", "cublas", "cuda failure")


class OnnxBackend:
    """One session per stage, those of `weights.ON_DEMAND` once they are run; the graphs get their numbers from the
    bundle's safetensors, or are those of an engine where the precision is not float32.

    With two threads of the processor each call takes one of them, and two calls run beside each other (`at_once`): on
    two cores both hands of an image took 11.3 ms so, of 18.1 ms of CPU time, and 14.8 of 24.1 ms with both threads in
    each layer, which wait for each other a hundred times a stage.

    Where torch sees the GPU that a provider runs on, it cuts crops there, and they are bound where they lie
    (onnxruntime.ai, API summary, data on a device). It is imported before the first session: CUDA's libraries are
    found then (onnxruntime.ai, CUDA execution provider, compatibility with PyTorch).

    Args:
        bundle: the weights.
        settings: threads, provider, precision.
        cutter: cuts crops where the network runs; None looks for torch on a GPU.

    Attributes:
        at_once: see `calls_at_once`.

    Raises:
        AssetError: the numbers cannot be read.
        EngineMismatch: there is no engine of that precision for these weights.
        MissingDependency: this ONNX Runtime has not that provider.
        DeviceError: the provider does not load here.
        ParameterError: there is no such provider or precision.
        WeightsMismatch: graph, numbers and manifest do not belong together.
    """

    name = "onnx"
    notes: tuple[str, ...] = ()

    def __init__(self, bundle: Bundle, settings: BackendSettings | None = None, cutter: "Cutter | None" = None):
        self.bundle = bundle
        settings = settings or BackendSettings()
        self._settings, self._provider = settings, settings.only(self.name, PROVIDERS, PRECISIONS)
        self.at_once = 2 if self._provider == "cpu" and _threads(settings, self._provider) == 2 else 1
        self._cutter = gpu_cutter() if cutter is None and self._provider in _ON_A_GPU else cutter
        self._opening = threading.Lock()
        opener = _Opener(bundle, settings, self._provider)
        self._sessions = {stage: opener.session(stage) for stage in bundle.stages if stage not in ON_DEMAND}

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        feed = {spec.name: array for spec, array in zip(self.bundle.stages[stage].inputs, arrays, strict=True)}
        return self._answers(stage, lambda session, names: session.run(names, feed))

    @property
    def cuts(self) -> bool:
        """See `base.CuttingBackend`."""
        return self._cutter is not None

    def infer_crops(self, stage: str, crops: Sequence[Uncut]) -> dict[str, Array]:
        """See `base.CuttingBackend`."""
        assert self._cutter is not None
        check_crops(self.bundle, stage, crops)
        images = self._cutter.cut(crops)
        self._cutter.wait()  # sessions have a stream of their own
        return self._answers(stage, lambda session, names: _run_where_it_lies(session, names, images))

    def _answers(
        self, stage: str, run: Callable[[ort.InferenceSession, list[str]], Sequence[Array]]
    ) -> dict[str, Array]:
        file = self.bundle.stages[stage]
        names = [spec.name for spec in file.outputs]
        session = self._session(stage)
        try:
            found = run(session, names)
        except _LOAD_ERRORS as error:
            if self._provider != "cpu" and any(word in str(error).lower() for word in _DEVICE_WORDS):
                raise DeviceError(
                    f"provider '{self._provider}' failed at stage '{stage}': {one_line(error, 300)}"
                ) from error
            raise WeightsMismatch(f"{file.path} does not run: {one_line(error, 300)}") from error
        return dict(zip(names, found, strict=True))

    def _session(self, stage: str) -> ort.InferenceSession:
        if stage in ON_DEMAND:
            with self._opening:  # both hands of an image may be the first to ask
                if stage not in self._sessions:
                    self._sessions[stage] = _Opener(self.bundle, self._settings, self._provider).session(stage)
        return self._sessions[stage]

    def close(self) -> None:
        """Let go of the sessions."""
        self._sessions.clear()


def _run_where_it_lies(session: ort.InferenceSession, names: Sequence[str], images: Any) -> list[Array]:
    """Answers to images, a tensor of torch (B, 3, side, side) that lies where the session runs; it is not copied."""
    binding = session.io_binding()
    binding.bind_input(
        IMAGE, images.device.type, images.device.index or 0, np.float32, [*images.shape], images.data_ptr()
    )
    for name in names:
        binding.bind_output(name)  # in the processor's memory: it is copied there once the network is done
    session.run_with_iobinding(binding)
    return list(binding.copy_outputs_to_cpu())


class _Opener:
    """Opens the sessions of one backend."""

    def __init__(self, bundle: Bundle, settings: BackendSettings, provider: str):
        self._bundle, self._settings, self._provider = bundle, settings, provider
        self._providers = provider_list(provider, settings.threads, cache_folder() / "providers")
        self._arrays: Mapping[str, NDArray[np.float32]] | None = None
        self._engine: WholeEngine | None = None
        if settings.precision != FULL:
            self._engine = load_engine(bundle, "onnx", provider, settings, running_on(provider))

    def session(self, stage: str) -> ort.InferenceSession:
        """The session of a stage, checked."""
        session, file = self._opened(stage), self._bundle.stages[stage]
        check_runs_on(session, self._provider)
        _check_names(session, file)
        _check_shapes(session, file)
        return session

    def _opened(self, stage: str) -> ort.InferenceSession:
        """Of an engine's graph, of one that was optimised before, or of the bundle's."""
        if self._engine is not None:
            return self._open(self._engine.files[stage], self._options())
        if self._provider == "cpu":
            file = self._bundle.stages[stage]
            key = graph_key(self._bundle.weights_sha256, stage, file_sha256(file.path), *file.initializers)
            ready = cached_graph(key, lambda path: self._optimise(stage, path))
            if ready is not None:
                options = self._options()
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
                return self._open(ready, options)
        return self._from_weights(stage, self._options())

    def _optimise(self, stage: str, path: Path) -> None:
        options = self._options()
        options.optimized_model_filepath = str(path)
        self._from_weights(stage, options)

    def _from_weights(self, stage: str, options: ort.SessionOptions) -> ort.InferenceSession:
        if self._arrays is None:
            self._arrays = self._bundle.load_arrays()
        file, arrays = self._bundle.stages[stage], self._arrays
        if missing := sorted(set(file.initializers) - arrays.keys()):
            raise WeightsMismatch(
                f"weights '{self._bundle.name}' lack '{missing[0]}' for stage '{stage}': export them again"
            )
        values = [ort.OrtValue.ortvalue_from_numpy(arrays[name]) for name in file.initializers]
        return self._open(file.path, options, (file, values))

    def _open(
        self, path: Path, options: ort.SessionOptions, numbers: tuple[StageFile, list[ort.OrtValue]] | None = None
    ) -> ort.InferenceSession:
        try:
            if numbers is not None:
                options.add_external_initializers(list(numbers[0].initializers), numbers[1])
            return ort.InferenceSession(str(path), options, providers=self._providers, enable_fallback=0)
        except _LOAD_ERRORS as error:
            if self._provider != "cpu" and isinstance(error, (ort_errors.EPFail, RuntimeError)):
                raise DeviceError(unloadable(self._provider)) from error
            raise WeightsMismatch(f"{path} does not load with its weights: {one_line(error, 300)}") from error

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        threads = _threads(self._settings, self._provider)
        options.intra_op_num_threads = 1 if threads == 2 and self._provider == "cpu" else threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        # a thread that spins while it waits takes a core from the next stage, which has threads of its own
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


def _threads(settings: BackendSettings, provider: str) -> int:
    """Threads that are asked for; where that is left open all of up to two processors, else 0: the runtime's choice."""
    if settings.threads or provider != "cpu":
        return settings.threads
    # a container may have fewer than the machine
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return mine if mine <= 2 else 0


def running_on(provider: str) -> dict[str, str]:
    """What an engine for ONNX Runtime is bound to: its version, and the provider's; graphs are not bound to a
    device."""
    return {"onnxruntime": ort.__version__, "provider": provider}


def _check_names(session: ort.InferenceSession, file: StageFile) -> None:
    given = [{node.name for node in nodes} for nodes in (session.get_inputs(), session.get_outputs())]
    stated = [{spec.name for spec in specs} for specs in (file.inputs, file.outputs)]
    if given != stated:
        raise WeightsMismatch(f"{file.path} has the arrays {given}, its manifest says {stated}: export it again")


def _check_shapes(session: ort.InferenceSession, file: StageFile) -> None:
    """Raise `WeightsMismatch` where the graph fixes a size or a type that the manifest says otherwise."""
    nodes = {node.name: node for node in (*session.get_inputs(), *session.get_outputs())}
    for spec in (*file.inputs, *file.outputs):
        node = nodes[spec.name]
        fixed = [
            (a, b) for a, b in zip(node.shape, spec.shape, strict=False) if isinstance(a, int) and isinstance(b, int)
        ]
        if node.type != "tensor(float)" or len(node.shape) != len(spec.shape) or any(a != b for a, b in fixed):
            raise WeightsMismatch(
                f"{file.path}: {spec.name} is {node.type} {node.shape}, its manifest says {list(spec.shape)}: "
                "export it again"
            )
