import copy

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prehend.models.layers.blocks import SameConv2d, same_padding
from prehend.models.trunks.efficientnet_lite import (
    HAND_TRUNK,
    HEAD_CHANNELS,
    LITE0,
    PYRAMID_CHANNELS,
    EfficientNetLite,
    EfficientNetLiteConfig,
)
from prehend.models.trunks.hand_landmarks import HandLandmarks


def tensorflow_same(x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """Output cell i covers inputs from stride i - before on: out = ceil(n / stride), and the padding that this needs is
    split with the odd cell behind. Computed cell by cell."""
    size, kernel = x.shape[-1], weight.shape[-1]
    cells = -(-size // stride)
    before = max((cells - 1) * stride + kernel - size, 0) // 2
    out = torch.zeros(x.shape[0], weight.shape[0], cells, cells)
    for i in range(cells):
        for j in range(cells):
            for u in range(kernel):
                for v in range(kernel):
                    row, column = i * stride - before + u, j * stride - before + v
                    if 0 <= row < size and 0 <= column < size:
                        out[:, :, i, j] += x[:, :, row, column] @ weight[:, :, u, v].T
    return out


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_padding_is_tensorflows(kernel: int, stride: int) -> None:
    conv = SameConv2d(3, 4, kernel, stride)
    nn.init.zeros_(conv.bias)
    x = torch.rand(1, 3, 8, 8)
    assert torch.allclose(conv(x), tensorflow_same(x, conv.weight, stride), atol=1e-5)


def test_the_odd_cell_of_padding_is_behind() -> None:
    assert [same_padding(3, 2), same_padding(5, 2), same_padding(3, 1), same_padding(5, 1)] == [
        (0, 1),
        (1, 2),
        (1, 1),
        (2, 2),
    ]


@pytest.mark.parametrize("size", [128, 160, 224])
@pytest.mark.parametrize("config", [HAND_TRUNK, LITE0, EfficientNetLiteConfig(stem=16, first_expansion=32)])
@torch.no_grad()
def test_maps_of_any_start_and_size(config: EfficientNetLiteConfig, size: int) -> None:
    maps = EfficientNetLite(config)(torch.rand(1, 3, size, size))
    cells = [size // 4, size // 8, size // 16, size // 32, size // 32]
    assert [(m.shape[1], m.shape[2], m.shape[3]) for m in maps] == [
        (c, n, n) for c, n in zip((*PYRAMID_CHANNELS, HEAD_CHANNELS), cells, strict=True)
    ]


def test_sizes_are_those_of_the_published_networks() -> None:
    """The hand's trunk with its linear layers, and Lite0 (4,652,008 with last projection and classifier), for which a
    bias counts twice: batch normalisation learns two numbers a channel."""
    hand = sum(p.numel() for p in HandLandmarks().parameters())
    assert hand == pytest.approx(2.72e6, rel=2e-3)
    lite0 = EfficientNetLite(LITE0)
    weights = sum(p.numel() for name, p in lite0.named_parameters() if name.endswith("weight"))
    biases = sum(p.numel() for name, p in lite0.named_parameters() if name.endswith("bias"))
    rest = 1152 * 320 + 2 * 320 + 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert weights + 2 * biases + rest == 4_652_008


@torch.no_grad()
def test_the_stages_alone_give_the_maps() -> None:
    network = EfficientNetLite().eval()
    image = torch.rand(1, 3, 128, 128)
    x = network.start(image)
    mine = []
    for stage in copy.deepcopy(network.stages):
        x = stage(x)
        mine.append(x)
    maps = network(image)
    assert all(torch.equal(a, b) for a, b in zip((mine[0], mine[1], mine[3], mine[4]), maps, strict=False))
    assert torch.equal(maps[-1], network.head(maps[-2]))


@torch.no_grad()
def test_the_picture_is_normalised_inside() -> None:
    """ImageNet's numbers were trained on (x - 127) / 128 of 0..255, padding being nought after that."""
    image = torch.rand(1, 3, 64, 64)
    network = EfficientNetLite(LITE0)
    assert torch.allclose(network.start(image), network.stem((255 * image - 127) / 128), atol=1e-5)


def test_a_copy_of_a_stage_learns_alone() -> None:
    network = EfficientNetLite()
    twin = copy.deepcopy(network.stages[1])
    twin(torch.rand(1, 24, 16, 16)).square().mean().backward()
    assert all(p.grad is not None for p in twin.parameters())
    assert all(p.grad is None for p in network.parameters())


def test_gradients_reach_every_parameter() -> None:
    network = HandLandmarks()
    sum(t.square().mean() for t in network(torch.rand(2, 3, 64, 64))).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


@torch.no_grad()
def test_onnx_says_the_same(tmp_path) -> None:
    network = EfficientNetLite().eval()
    image = torch.rand(2, 3, 96, 96)
    path = str(tmp_path / "trunk.onnx")
    torch.onnx.export(network, (image,), path, dynamo=False, input_names=["image"], dynamic_axes={"image": {0: "B"}})
    outputs = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": image.numpy()})
    for ours, theirs in zip(network(image), outputs, strict=True):
        assert np.abs(ours.numpy() - theirs).max() < 1e-4


def test_relu6_bounds_what_is_widened() -> None:
    network = EfficientNetLite()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(5)
        head = network(torch.rand(1, 3, 64, 64))[-1]
    assert head.min() >= 0 and head.max() <= 6
    assert F.relu6(head).equal(head)
