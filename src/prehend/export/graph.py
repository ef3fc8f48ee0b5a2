"""ONNX graphs that hold their numbers, in the precision asked for: what other programs build engines from."""

import hashlib
from typing import Literal

import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from prehend.errors import InvalidInput, WeightsMismatch
from prehend.weights import Bundle

Precision = Literal["float32", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16")


def complete_graph(bundle: Bundle, stage: str, precision: str = "float32") -> onnx.ModelProto:
    """A stage's graph with its numbers inside; inputs and outputs are float32 in either precision.

    TensorRT 11 knows strongly typed networks only: what runs in half precision stands in the graph, not in a flag of
    the builder (its guide "Migrating from TensorRT 10.x to 11.x").

    Args:
        bundle: the weights.
        stage: one of its stages.
        precision: one of `PRECISIONS`.

    Raises:
        InvalidInput: there is no such precision.
        WeightsMismatch: a number of the graph is not among the weights.
        AssetError: graph or numbers cannot be read.
    """
    if precision not in PRECISIONS:
        raise InvalidInput(f"precision '{precision}': graphs have one of {', '.join(PRECISIONS)}")
    file, arrays = bundle.stages[stage], bundle.load_arrays()
    model = onnx.load(file.path, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            if tensor.name not in arrays:
                raise WeightsMismatch(f"weights '{bundle.name}' lack '{tensor.name}' for stage '{stage}'")
            tensor.CopyFrom(numpy_helper.from_array(arrays[tensor.name], tensor.name))
    if precision == "float16":
        model = convert_float_to_float16(model, keep_io_types=True)
    return model


def graph_sha256(model: onnx.ModelProto) -> str:
    """SHA-256 of a graph with its numbers, in hexadecimal; the same for the same content."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
