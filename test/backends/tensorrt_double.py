"""Stand-ins for the modules `tensorrt` and `cuda.bindings.runtime`: the calls that we make, by NVIDIA's documentation.

They check what the documentation asks of a caller (order, types, registered memory) and compute with ONNX Runtime, so
that an engine's answers are true ones. They say nothing of TensorRT itself.
"""

import ctypes
import enum
import json
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort

OK, OUT_OF_MEMORY = 0, 2


class Error(enum.IntEnum):
    cudaSuccess = OK
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = OUT_OF_MEMORY


class Runtime:
    """`cuda.bindings.runtime`: every function returns a tuple that begins with the error.

    Args:
        device_bytes: memory of the GPU.
    """

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, device_bytes: int = 1 << 34, name: bytes = b"Double GPU", capability=(9, 0)):
        self.device_bytes, self.name, self.capability = device_bytes, name, capability
        self.calls: list[str] = []
        self.host, self.on_device, self.streams, self.graphs = {}, {}, set(), {}
        self.recording: list | None = None

    def _memory(self, table: dict, size: int):
        block = ctypes.create_string_buffer(size)
        table[ctypes.addressof(block)] = block
        return Error.cudaSuccess, ctypes.addressof(block)

    def cudaGetDevice(self):
        return Error.cudaSuccess, 0

    def cudaGetDeviceProperties(self, device):
        assert device == 0
        major, minor = self.capability
        return Error.cudaSuccess, SimpleNamespace(name=self.name, major=major, minor=minor)

    def cudaMallocHost(self, size):
        self.calls.append("cudaMallocHost")
        return self._memory(self.host, size)

    def cudaMalloc(self, size):
        self.calls.append("cudaMalloc")
        if sum(map(len, self.on_device.values())) + size > self.device_bytes:
            return Error.cudaErrorMemoryAllocation, None
        return self._memory(self.on_device, size)

    def cudaFree(self, pointer):
        return (Error.cudaSuccess if self.on_device.pop(pointer, None) is not None else Error.cudaErrorInvalidValue,)

    def cudaFreeHost(self, pointer):
        return (Error.cudaSuccess if self.host.pop(pointer, None) is not None else Error.cudaErrorInvalidValue,)

    def cudaStreamCreate(self):
        self.streams.add(len(self.streams) + 41)
        return Error.cudaSuccess, len(self.streams) + 40

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream)
        return (Error.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):
        assert stream in self.streams
        assert self.recording is None, "no waiting while a graph is recorded"
        self.calls.append("cudaStreamSynchronize")
        return (Error.cudaSuccess,)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        assert stream in self.streams
        if kind == 3:  # from what another library holds on the device
            assert target in self.on_device and source not in self.host and size <= len(self.on_device[target])
            assert self.recording is None, "another library's memory is no part of a graph"
        else:
            tables = (self.on_device, self.host) if kind == 1 else (self.host, self.on_device)
            for pointer, table in zip((target, source), tables, strict=True):
                assert pointer in table, "copies are between page-locked and device memory"
                assert size <= len(table[pointer])
        self.queue(lambda: ctypes.memmove(target, source, size), f"cudaMemcpyAsync {kind}")
        return (Error.cudaSuccess,)

    def queue(self, work, name: str) -> None:
        if self.recording is not None:
            self.recording.append(work)
        else:
            self.calls.append(name)
            work()

    def cudaStreamBeginCapture(self, stream, mode):
        assert stream in self.streams and mode == 1 and self.recording is None
        self.calls.append("cudaStreamBeginCapture")
        self.recording = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        recorded, self.recording = self.recording, None
        self.calls.append("cudaStreamEndCapture")
        return Error.cudaSuccess, ("graph", recorded)

    def cudaGraphInstantiate(self, graph, flags):
        assert graph[0] == "graph" and flags == 0
        self.graphs[key := len(self.graphs) + 1] = graph[1]
        return Error.cudaSuccess, key

    def cudaGraphDestroy(self, graph):
        return (Error.cudaSuccess,)

    def cudaGraphExecDestroy(self, key):
        del self.graphs[key]
        return (Error.cudaSuccess,)

    def cudaGraphLaunch(self, key, stream):
        assert stream in self.streams
        self.calls.append("cudaGraphLaunch")
        for work in self.graphs[key]:
            work()
        return (Error.cudaSuccess,)


class Logger:
    ERROR, WARNING = 1, 2

    def __init__(self, severity):
        assert severity in (self.ERROR, self.WARNING)


class Flags(enum.IntEnum):
    STRONGLY_TYPED = 1


class TensorRTDouble:
    """The module `tensorrt`.

    Args:
        runtime: what holds the memory.
        version: what it says it is; 10 and 11 tell layers in different words.
        ignores_types: builds everything in float32 whatever the graph says.
    """

    Logger = Logger
    NetworkDefinitionCreationFlag = Flags
    MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
    BuilderFlag = SimpleNamespace(TF32="tf32")  # no FP16: TensorRT 11 has none
    LayerInformationFormat = SimpleNamespace(JSON="json")
    TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
    float32 = "float32"

    def __init__(self, runtime: Runtime, version: str = "11.4.0", ignores_types: bool = False):
        self.cuda, self.__version__, self.ignores_types = runtime, version, ignores_types
        self.calls: list[str] = []
        self.timings_given: list[bytes] = []

    def Builder(self, logger):
        assert isinstance(logger, Logger)
        return _Builder(self)

    def OnnxParser(self, network, logger):
        return _Parser(network)

    def Runtime(self, logger):
        return SimpleNamespace(deserialize_cuda_engine=self._engine)

    def _engine(self, plan: bytes):
        head, _, graph = plan.partition(b"\n")
        told = json.loads(head)
        if told["version"] != self.__version__ or told["gpu"] != self.cuda.name.decode():
            return None
        return _Engine(self, onnx.load_from_string(graph), told["profile"])


class _Parser:
    def __init__(self, network):
        self.network, self.num_errors = network, 0

    def parse(self, data: bytes) -> bool:
        try:
            self.network.model = onnx.load_from_string(data)
            onnx.checker.check_model(self.network.model)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, a parser says no
            self.num_errors, self.said = 1, str(error)
            return False
        return True

    def get_error(self, number: int) -> str:
        return self.said


class _Builder:
    def __init__(self, trt):
        self.trt = trt

    def create_network(self, flags: int):
        assert flags == 1 << Flags.STRONGLY_TYPED
        self.trt.calls.append("create_network")
        return SimpleNamespace(model=None)

    def create_builder_config(self):
        return _Config(self.trt)

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        self.trt.calls.append("build")
        assert network.model is not None, "parse first"
        assert config.workspace and config.profiling_verbosity == "detailed" and config.cache is not None
        names = {value.name for value in network.model.graph.input}
        if len(config.profiles) != 1 or set(config.profiles[0].shapes) != names:
            return None
        head = {"version": self.trt.__version__, "gpu": self.trt.cuda.name.decode()}
        head["profile"] = config.profiles[0].shapes
        return json.dumps(head).encode() + b"\n" + network.model.SerializeToString()


class _Config:
    def __init__(self, trt):
        self.trt, self.workspace, self.profiles, self.cache, self.profiling_verbosity = trt, 0, [], None, None

    def set_memory_pool_limit(self, pool, size):
        assert pool == "workspace"
        self.workspace = size

    def clear_flag(self, flag):
        assert flag == "tf32"

    def add_optimization_profile(self, profile):
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data: bytes):
        self.trt.timings_given.append(data)
        return SimpleNamespace(serialize=lambda: b"timed" + data)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert ignore_mismatch is False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, least, tuned, most):
        assert all(a <= b <= c for a, b, c in zip(least, tuned, most, strict=True))
        self.shapes[name] = [list(least), list(tuned), list(most)]


class _Engine:
    def __init__(self, trt, model, profile):
        self.trt, self.model, self.profile = trt, model, profile
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]
        self.num_io_tensors = len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, number):
        return [*self.inputs, *self.outputs][number]

    def get_tensor_mode(self, name):
        return "in" if name in self.inputs else "out"

    def get_tensor_dtype(self, name):
        return "float32"

    def get_tensor_shape(self, name):
        node = next(n for n in (*self.session.get_inputs(), *self.session.get_outputs()) if n.name == name)
        return [size if isinstance(size, int) else -1 for size in node.shape]

    def get_tensor_profile_shape(self, name, number):
        assert number == 0 and name in self.inputs
        return self.profile[name]

    def create_execution_context(self):
        return _Context(self)

    def create_engine_inspector(self):
        kinds = {1: "FP32", 10: "Half"}
        layers = []
        for tensor in self.model.graph.initializer:
            kind = "FP32" if self.trt.ignores_types else kinds.get(tensor.data_type, "Int64")
            told = (
                {"Format": "Row major linear", "DataType": kind}
                if self.trt.__version__.startswith("11")
                else {"Format/Datatype": f"Row major linear {kind} format"}
            )
            layers.append({"Name": tensor.name, "Outputs": [{"Name": "x", **told}]})
        text = json.dumps({"Layers": layers})
        return SimpleNamespace(get_engine_information=lambda form: text if form == "json" else "")


class _Context:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses = engine, {}, {}

    def set_input_shape(self, name, shape):
        least, _, most = self.engine.profile[name]
        if not all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True)):
            return False
        self.shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name, pointer):
        assert pointer in self.engine.trt.cuda.on_device, "addresses are of device memory"
        self.addresses[name] = pointer
        return True

    def execute_async_v3(self, stream):
        assert isinstance(stream, int) and stream in self.engine.trt.cuda.streams
        if set(self.shapes) != set(self.engine.inputs):
            return False
        if set(self.addresses) != {*self.engine.inputs, *self.engine.outputs}:
            return False
        self.engine.trt.cuda.queue(self._work, "execute_async_v3")
        return True

    def _work(self):
        memory = self.engine.trt.cuda.on_device
        feed = {}
        for name, shape in self.shapes.items():
            count = int(np.prod(shape))
            feed[name] = np.frombuffer(memory[self.addresses[name]], np.float32, count).reshape(shape).copy()
        for name, found in zip(self.engine.outputs, self.engine.session.run(self.engine.outputs, feed), strict=True):
            data = np.ascontiguousarray(found).tobytes()
            ctypes.memmove(self.addresses[name], data, len(data))
