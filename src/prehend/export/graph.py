"""ONNX graphs that hold their numbers, in the precision asked for: what other programs build engines from."""

import hashlib
import logging
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from prehend.errors import InvalidInput, WeightsMismatch
from prehend.weights import Bundle

PRECISIONS = ("float32", "float16", "int8")

_QUANTISED = ("MatMul", "Gemm")
"""Layers that run in int8. Convolutions do not: see docs/ENGINES.md for what they lose."""


def complete_graph(bundle: Bundle, stage: str, precision: str = "float32") -> onnx.ModelProto:
    """A stage's graph with its numbers inside; inputs and outputs are float32 in every precision.

    TensorRT 11 knows strongly typed networks only: what runs in half precision stands in the graph, not in a flag of
    the builder (its guide "Migrating from TensorRT 10.x to 11.x"). int8 is ONNX Runtime's dynamic quantisation of
    matrix products: weights per column, activations by the range that each call finds.

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
        OnnxModel(model).topological_sort(
            is_deterministic=True
        )  # the converter puts its casts last, parsers refuse that
    elif precision == "int8":
        model = _quantised(model)
    onnx.checker.check_model(model)
    return model


def precisions_of(model: onnx.ModelProto) -> dict[str, str]:
    """The type of the numbers of each layer that has some, by the layer's name."""
    kinds = {tensor.name: _KINDS.get(tensor.data_type, str(tensor.data_type)) for tensor in model.graph.initializer}
    found: dict[str, str] = {}
    for number, node in enumerate(model.graph.node):
        own = [kinds[name] for name in node.input if name in kinds]
        if own:
            found[node.name or f"{node.op_type} {number}"] = own[0]
    return found


def graph_sha256(model: onnx.ModelProto) -> str:
    """SHA-256 of a graph with its numbers, in hexadecimal; the same for the same content."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


_KINDS = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
    TensorProto.INT64: "int64",
}


def _quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "int8.onnx"
        logging.disable(logging.WARNING)  # it advises to fold layers first, which products of matrices do not need
        try:
            quantize_dynamic(
                model, out, op_types_to_quantize=list(_QUANTISED), per_channel=True, weight_type=QuantType.QInt8
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(out)
