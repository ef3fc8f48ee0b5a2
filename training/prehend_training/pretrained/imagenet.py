"""EfficientNet-Lite0's ImageNet weights as `EfficientNetLite`, batch normalisation folded in."""

import io
import pickle
from collections.abc import Mapping

import torch
from torch import Tensor

from prehend.errors import WeightsMismatch
from prehend.models.trunks.efficientnet_lite import LITE0, EfficientNetLite
from prehend_training.pretrained.filling import fill, layers_of
from prehend_training.pretrained.tflite_file import Layer

BATCH_NORM_EPS = 1e-3
"""TensorFlow's, which these weights were trained with."""

BLOCKS = 16


def convert_imagenet(content: bytes) -> EfficientNetLite:
    """The trunk with the file's numbers; the last projection and what follows it classify and are left out.

    Raises:
        WeightsMismatch: the file holds another network.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        layers = [_folded(state, conv, norm) for conv, norm in _names()]
    except (KeyError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsMismatch(f"the file does not hold EfficientNet-Lite0: {error}") from error
    network = EfficientNetLite(LITE0)
    fill(layers_of(network), layers)
    return network.eval()


def _names() -> list[tuple[str, str]]:
    """Convolutions and the normalisation behind each, in order."""
    names = [("_conv_stem", "_bn0")]
    for i in range(BLOCKS):
        if i:
            names.append((f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0"))
        names.append((f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1"))
        names.append((f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2"))
    return names[:-1]


def _folded(state: Mapping[str, Tensor], conv: str, norm: str) -> Layer:
    weight = state[f"{conv}.weight"].double()
    mean, variance, gain, offset = (
        state[f"{norm}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")
    )
    gain = gain / (variance + BATCH_NORM_EPS).sqrt()
    folded = weight * gain[:, None, None, None]
    return Layer("conv", folded.float().numpy(), (offset - mean * gain).float().numpy())
