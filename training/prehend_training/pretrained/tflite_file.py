"""Numbers of a .tflite file, in the order in which its graph uses them and in PyTorch's layout."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prehend.errors import MissingDependency, WeightsMismatch

FloatArray = NDArray[np.float32]
Kind = Literal["conv", "depthwise", "linear", "prelu"]


@dataclass(frozen=True)
class Layer:
    """One layer with numbers.

    Attributes:
        kind: of layer.
        weight: (out, in, k, k), for `depthwise` (C, 1, k, k), for `linear` (out, in), for `prelu` (C,).
        bias: (out,), None for `prelu`.
    """

    kind: Kind
    weight: FloatArray
    bias: FloatArray | None


def read_layers(content: bytes) -> list[Layer]:
    """The layers of a file, in the order of its operators (which is an order of execution).

    Numbers stored as float16 behind DEQUANTIZE come as float32.

    Raises:
        MissingDependency: `tflite` is not installed.
        WeightsMismatch: a layer's numbers are not floats.
    """
    try:
        import tflite
    except ImportError as error:
        raise MissingDependency("tflite", "train", "reading a .tflite file") from error
    model = tflite.Model.GetRootAs(content, 0)
    return _Reader(model, tflite).layers()


class _Reader:
    """Walks the one graph of a model."""

    def __init__(self, model: Any, tflite: Any):
        self._model, self._graph, self._tflite = model, model.Subgraphs(0), tflite
        ops = tflite.BuiltinOperator
        self._kinds: dict[int, Kind] = {
            ops.CONV_2D: "conv",
            ops.DEPTHWISE_CONV_2D: "depthwise",
            ops.FULLY_CONNECTED: "linear",
            ops.PRELU: "prelu",
        }
        operators = [self._graph.Operators(i) for i in range(self._graph.OperatorsLength())]
        self._operators = [(self._code(operator), operator) for operator in operators]
        self._source = {op.Outputs(0): op.Inputs(0) for code, op in self._operators if code == ops.DEQUANTIZE}

    def layers(self) -> list[Layer]:
        """See `read_layers`."""
        return [self._layer(self._kinds[code], op) for code, op in self._operators if code in self._kinds]

    def _code(self, operator: Any) -> int:
        entry = self._model.OperatorCodes(operator.OpcodeIndex())
        return int(max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode()))  # old files fill the second field alone

    def _layer(self, kind: Kind, operator: Any) -> Layer:
        weight = self._numbers(operator.Inputs(1))
        if kind == "prelu":
            return Layer(kind, weight.reshape(-1), None)
        if kind == "conv":  # out, height, width, in
            weight = weight.transpose(0, 3, 1, 2)
        elif kind == "depthwise":  # 1, height, width, channels
            weight = weight.transpose(3, 0, 1, 2)
        return Layer(kind, np.ascontiguousarray(weight), self._numbers(operator.Inputs(2)))

    def _numbers(self, index: int) -> FloatArray:
        tensor = self._graph.Tensors(self._source.get(index, index))
        kinds = {self._tflite.TensorType.FLOAT16: np.float16, self._tflite.TensorType.FLOAT32: np.float32}
        data = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        if tensor.Type() not in kinds or not isinstance(data, np.ndarray):
            raise WeightsMismatch(f"tensor {tensor.Name().decode()} holds no floats: this file is of another kind")
        return data.view(kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy()).astype(np.float32)
