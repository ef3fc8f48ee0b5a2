"""The one place that calls TensorRT's Python API: building a plan, opening one, and telling what is in it.

Written against NVIDIA's documentation of TensorRT 10 and 11 ("Python API Documentation", "Migrating Python Code from
TensorRT 10.x to 11.x"); nothing here has run on a GPU. Networks are strongly typed, which 11 always does and 10 does
by a flag: the precision stands in the graph, `BuilderFlag.FP16` is gone.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from prehend.backends.cuda_ import Cuda
from prehend.errors import DeviceError, EngineMismatch, MissingDependency
from prehend.weights import StageFile, TensorSpec

WORKSPACE_BYTES = 1 << 30
"""Most memory that a layer may use while it runs."""


class Batches(NamedTuple):
    """Sizes of a batch that an engine takes: from, tuned for, up to."""

    least: int = 1
    tuned: int = 2
    most: int = 16


class Plan(NamedTuple):
    """A built engine.

    Attributes:
        data: what TensorRT reads again.
        timings: its timing cache, for the next build.
        layers: precision of what each layer writes, by the layer's name, as TensorRT's inspector tells it.
    """

    data: bytes
    timings: bytes
    layers: dict[str, str]


class TensorRT:
    """The library and CUDA's runtime.

    Args:
        trt: the module `tensorrt`.
        runtime: the module `cuda.bindings.runtime`.
    """

    def __init__(self, trt: Any, runtime: Any):
        self._trt, self.cuda = trt, Cuda(runtime)
        self._logger = trt.Logger(trt.Logger.ERROR)

    def running_on(self) -> dict[str, str]:
        """What a plan is bound to: TensorRT's version and the GPU.

        Raises:
            DeviceError: there is no GPU, or no driver.
        """
        return {"tensorrt": str(self._trt.__version__), **self.cuda.device()}

    def build(self, graph: bytes, inputs: Sequence[TensorSpec], batches: Batches, timings: bytes = b"") -> Plan:
        """Build a plan; takes minutes, and most of the GPU.

        Args:
            graph: a serialised ONNX graph with its numbers.
            inputs: its inputs; the first axis is the batch.
            batches: sizes of the batch.
            timings: timing cache of an earlier build on this GPU; one of another is left out by TensorRT.

        Raises:
            EngineMismatch: TensorRT cannot take the graph.
        """
        trt = self._trt
        builder = trt.Builder(self._logger)
        network = builder.create_network(self._strongly_typed())
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(graph):
            said = "; ".join(str(parser.get_error(k)) for k in range(parser.num_errors))
            raise EngineMismatch(f"TensorRT {trt.__version__} does not take the graph: {_line(said)}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # or no layer would tell its precision
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 is float32
        profile = builder.create_optimization_profile()
        for spec in inputs:
            profile.set_shape(spec.name, *(with_batch(spec, items) for items in batches))
        config.add_optimization_profile(profile)
        cache = config.create_timing_cache(timings)
        config.set_timing_cache(cache, ignore_mismatch=False)
        built = builder.build_serialized_network(network, config)
        if built is None:
            raise EngineMismatch(f"TensorRT {trt.__version__} built no engine: its own log says why")
        data = bytes(built)
        return Plan(data, bytes(config.get_timing_cache().serialize()), self.layers(self.deserialize(data)))

    def deserialize(self, plan: bytes) -> Any:
        """The engine of a plan.

        Raises:
            EngineMismatch: TensorRT does not take it: it is of another version or GPU.
        """
        self._runtime = self._trt.Runtime(self._logger)  # has to live as long as its engines
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineMismatch(f"TensorRT {self._trt.__version__} does not take this plan: export it again")
        return engine

    def layers(self, engine: Any) -> dict[str, str]:
        """Precision of what each layer of an engine writes."""
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)
        return precisions_of(json.loads(text))

    def context(self, engine: Any) -> Any:
        """A context of an engine.

        Raises:
            DeviceError: the GPU's memory is full.
        """
        context = engine.create_execution_context()
        if context is None:
            raise DeviceError("TensorRT could not make an execution context: the GPU is out of memory")
        return context

    def check_arrays(self, engine: Any, file: StageFile) -> Batches:
        """The batch sizes of an engine, once it is seen that its inputs and outputs are those of the manifest.

        Raises:
            EngineMismatch: a name, mode, type or size differs.
        """
        trt = self._trt
        names = [engine.get_tensor_name(k) for k in range(engine.num_io_tensors)]
        stated = {spec.name: (spec, True) for spec in file.inputs} | {s.name: (s, False) for s in file.outputs}
        if set(names) != set(stated):
            raise EngineMismatch(f"the engine has the arrays {sorted(names)}, its manifest says {sorted(stated)}")
        for name, (spec, is_input) in stated.items():
            mode = trt.TensorIOMode.INPUT if is_input else trt.TensorIOMode.OUTPUT
            sizes = tuple(engine.get_tensor_shape(name))
            kind = engine.get_tensor_dtype(name)
            if engine.get_tensor_mode(name) != mode or kind != trt.float32 or sizes != with_batch(spec, -1):
                raise EngineMismatch(
                    f"the engine's {name} is {kind} {list(sizes)}, expected float32 {list(spec.shape)}"
                )
        least, tuned, most = (shape[0] for shape in engine.get_tensor_profile_shape(file.inputs[0].name, 0))
        return Batches(int(least), int(tuned), int(most))

    def _strongly_typed(self) -> int:
        flags = self._trt.NetworkDefinitionCreationFlag
        return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0


def import_tensorrt() -> TensorRT:
    """TensorRT and CUDA's bindings.

    Raises:
        MissingDependency: one of them is not installed, or a library that it links to is not.
    """
    try:
        import tensorrt
        from cuda.bindings import runtime
    except ImportError as error:
        missing = "cuda-bindings" if (error.name or "").startswith("cuda") else "tensorrt"
        raise MissingDependency(missing, "tensorrt", "backend 'tensorrt'") from error
    return TensorRT(tensorrt, runtime)


def with_batch(spec: TensorSpec, items: int) -> tuple[int, ...]:
    """The shape of an array for a batch."""
    return tuple(items if isinstance(size, str) else size for size in spec.shape)


_TYPES = {"half": "float16", "fp16": "float16", "float16": "float16", "bfloat16": "bfloat16", "bf16": "bfloat16",
          "int8": "int8", "float": "float32", "fp32": "float32", "float32": "float32", "tf32": "float32"}  # fmt: skip


def precisions_of(information: Mapping[str, Any]) -> dict[str, str]:
    """Precision of what each layer writes, from the JSON of TensorRT's inspector: 10 tells it in "Format/Datatype" of
    the layer's outputs, 11 in a field of its own."""
    found: dict[str, str] = {}
    for layer in information.get("Layers", []):
        if isinstance(layer, dict) and layer.get("Outputs"):
            names = {_precision(output) for output in layer["Outputs"]}
            found[str(layer.get("Name", f"layer {len(found)}"))] = "+".join(sorted(names))
    return found


def _precision(output: Mapping[str, Any]) -> str:
    told = [str(value) for key, value in output.items() if "datatype" in key.replace(" ", "").replace("_", "").lower()]
    words = " ".join(told).replace("/", " ").replace(",", " ").lower().split()
    return next((_TYPES[word] for word in words if word in _TYPES), " ".join(words)[:40] or "unknown")


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
