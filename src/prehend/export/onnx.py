"""ONNX graphs of a network's stages, without the numbers."""

import io
import warnings
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from prehend.errors import WeightsMismatch
from prehend.models.stage import Shape, Stage, sizes

OPSET = 18

_PREFIX = "network."


class _Call(nn.Module):
    """A method of a network as the `forward` the exporter asks for."""

    def __init__(self, network: nn.Module, method: str):
        super().__init__()
        self.network, self.method = network, method

    def forward(self, *inputs: Tensor) -> Any:
        """What the method returns."""
        return getattr(self.network, self.method)(*inputs)


def export_stage(network: nn.Module, stage: Stage, location: str) -> onnx.ModelProto:
    """The graph of one stage; its batch is free.

    The graph keeps the layers as they are (no folding of normalisation into convolution), so that its initializers
    carry the names of the network's state dict; a runtime folds them when it has filled in the numbers.

    Args:
        network: on the processor, in evaluation mode.
        stage: which part.
        location: file that the initializers are said to be in.

    Raises:
        WeightsMismatch: the graph needs a number that is not in the state dict.
    """
    inputs = tuple(torch.rand(sizes(shape, batch=2)) for shape in stage.inputs.values())
    arrays = {**stage.inputs, **stage.outputs}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the exporter by tracing is called deprecated; the new one folds normalisation and renames what it folds
        warnings.simplefilter("ignore", DeprecationWarning)
        # uneven padding is traced as arithmetic on constants, which is left to the runtime like all folding
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            _Call(network, stage.method),
            inputs,
            buffer,  # type: ignore[arg-type]  # this exporter writes to files in memory too
            input_names=list(stage.inputs),
            output_names=list(stage.outputs),
            dynamic_axes={name: {0: "B"} for name in arrays},
            opset_version=OPSET,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model)
    _drop_empty_inputs(model)
    _detach_numbers(model, network, location)
    slimmed(model)
    for value in (*model.graph.input, *model.graph.output):
        _write_shape(value, arrays[value.name])
    return model


def initializer_names(model: onnx.ModelProto) -> list[str]:
    """Names of the numbers that a graph does not hold itself."""
    return [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]


def slimmed(model: onnx.ModelProto) -> None:
    """Leave out of a graph what only a reader needs; whoever runs it gets the same answers from less than half of it.

    Args:
        model: without graphs inside of its layers; is changed.
    """
    _merge_constants(model)
    _shorten_names(model)


def _merge_constants(model: onnx.ModelProto) -> None:
    """Keep one node for each constant: tracing makes one wherever it is used."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        if node.op_type == "Constant":
            value = node.attribute[0].SerializeToString(deterministic=True)
            if value in first:
                renamed[node.output[0]] = first[value]
                continue
            first[value] = node.output[0]
        kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _detach_numbers(model: onnx.ModelProto, network: nn.Module, location: str) -> None:
    """Rename initializers as in the state dict and put a reference in the place of their numbers."""
    state = network.state_dict()
    renamed = {}
    for tensor in model.graph.initializer:
        name = tensor.name.removeprefix(_PREFIX)
        if name not in state or list(state[name].shape) != list(tensor.dims):
            raise WeightsMismatch(f"the graph needs '{tensor.name}' {list(tensor.dims)}, which the network has not")
        renamed[tensor.name] = name
        reference = TensorProto(
            name=name, data_type=tensor.data_type, dims=tensor.dims, data_location=TensorProto.EXTERNAL
        )
        reference.external_data.add(key="location", value=location)
        tensor.CopyFrom(reference)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)


def _drop_empty_inputs(model: onnx.ModelProto) -> None:
    """Leave out optional inputs at the end that are named and not given.

    They mean nothing (ONNX IR, "Optional Inputs and Outputs"), but ONNX Runtime fuses no padding into the convolution
    after it while its `value` is named so.
    """
    for node in model.graph.node:
        while node.input and not node.input[-1]:
            node.input.pop()


def _shorten_names(model: onnx.ModelProto) -> None:
    """Number layers and the values between them: the exporter gives each its path through the modules, two thirds of a
    file."""
    kept = {value.name for value in model.graph.output}
    renamed: dict[str, str] = {}
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"  # converters to other precisions tell layers apart by it
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        for i, name in enumerate(node.output):
            if name and name not in kept:
                renamed[name] = node.output[i] = f"v{len(renamed)}"
    del model.graph.value_info[:]


def _write_shape(value: onnx.ValueInfoProto, shape: Shape) -> None:
    """State the shape of an input or output."""
    kind = value.type.tensor_type
    kind.ClearField("shape")
    for size in shape:
        axis = kind.shape.dim.add()
        if isinstance(size, str):
            axis.dim_param = size
        else:
            axis.dim_value = size
