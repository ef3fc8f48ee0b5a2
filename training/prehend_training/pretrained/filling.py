"""Numbers of a file into the layers of a network of ours."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from prehend.errors import WeightsMismatch
from prehend_training.pretrained.tflite_file import FloatArray, Layer

Filled = nn.Conv2d | nn.Linear | nn.PReLU


def layers_of(*networks: nn.Module) -> list[Filled]:
    """Convolutions, linear layers and PReLUs in the order in which they were made, which is that of execution."""
    found = (module for network in networks for module in network.modules())
    return [module for module in found if isinstance(module, nn.Conv2d | nn.Linear | nn.PReLU)]


def fill(targets: Sequence[Filled], layers: Sequence[Layer]) -> None:
    """Copy the numbers of each layer of a file into the layer of ours in the same place.

    Raises:
        WeightsMismatch: there are more or fewer of them, or one has another shape.
    """
    if len(targets) != len(layers):
        raise WeightsMismatch(f"the file has {len(layers)} layers, expected {len(targets)}: it is of another version")
    for number, (target, layer) in enumerate(zip(targets, layers, strict=True)):
        arrays = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        _copy(f"layer {number} ({layer.kind})", list(target.parameters()), arrays)


@torch.no_grad()
def _copy(name: str, parameters: Iterable[nn.Parameter], arrays: Iterable[FloatArray]) -> None:
    for parameter, array in zip(parameters, arrays, strict=True):
        if tuple(parameter.shape) != array.shape:
            raise WeightsMismatch(
                f"{name} of the file is {array.shape}, expected {tuple(parameter.shape)}: it is of another version"
            )
        parameter.copy_(torch.from_numpy(array))
