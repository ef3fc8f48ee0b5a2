"""Networks on ONNX Runtime, on the processor."""

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from prehend.backends.base import Array, ordered_inputs
from prehend.errors import WeightsMismatch
from prehend.weights import Bundle, StageFile

_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
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


class OnnxBackend:
    """One session per stage; the graphs get their numbers from the bundle's safetensors.

    Args:
        bundle: the weights.
        threads: of the processor, 0 for all.

    Raises:
        AssetError: the numbers cannot be read.
        WeightsMismatch: graph, numbers and manifest do not belong together.
    """

    name = "onnx"

    def __init__(self, bundle: Bundle, *, threads: int = 0):
        self.bundle = bundle
        arrays = bundle.load_arrays()
        self._sessions = {
            stage: _open_session(bundle, stage, file, arrays, threads) for stage, file in bundle.stages.items()
        }

    def infer(self, stage: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Backend.infer`."""
        arrays = ordered_inputs(self.bundle, stage, inputs)
        file = self.bundle.stages[stage]
        feed = {spec.name: array for spec, array in zip(file.inputs, arrays, strict=True)}
        names = [spec.name for spec in file.outputs]
        try:
            found = self._sessions[stage].run(names, feed)
        except _LOAD_ERRORS as error:
            raise WeightsMismatch(f"{file.path} does not run: {_line(error)}") from error
        return dict(zip(names, found, strict=True))

    def close(self) -> None:
        """Let go of the sessions."""
        self._sessions.clear()


def _open_session(
    bundle: Bundle, stage: str, file: StageFile, arrays: Mapping[str, NDArray[np.float32]], threads: int
) -> ort.InferenceSession:
    """A session of a stage, its names checked against the manifest."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # a thread that spins while it waits takes a core from the next stage, which has threads of its own
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if missing := sorted(set(file.initializers) - arrays.keys()):
        raise WeightsMismatch(f"weights '{bundle.name}' lack '{missing[0]}' for stage '{stage}': export them again")
    try:
        values = [ort.OrtValue.ortvalue_from_numpy(arrays[name]) for name in file.initializers]
        options.add_external_initializers(list(file.initializers), values)
        session = ort.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise WeightsMismatch(f"{file.path} does not load with its weights: {_line(error)}") from error
    given = [{node.name for node in nodes} for nodes in (session.get_inputs(), session.get_outputs())]
    stated = [{spec.name for spec in specs} for specs in (file.inputs, file.outputs)]
    if given != stated:
        raise WeightsMismatch(f"{file.path} has the arrays {given}, its manifest says {stated}: export it again")
    _check_shapes(session, file)
    return session


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


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
