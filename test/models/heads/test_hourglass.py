import pytest
import torch
from torch import nn

from prehend.models.heads.hourglass import Hourglass, KeypointHead, SoftArgmax
from prehend.models.layers.blocks import BasicBlock, conv_bn


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 7)])
def test_a_sharp_peak_is_at_its_cell_centre(row: int, column: int) -> None:
    heatmaps = torch.zeros(1, 2, 8, 8)
    heatmaps[:, :, row, column] = 100.0
    expected = torch.tensor([(column + 0.5) / 8, (row + 0.5) / 8]).expand(1, 2, 2)
    torch.testing.assert_close(SoftArgmax(8, 2)(heatmaps), expected)


def test_flat_heat_is_in_the_middle_and_shifts_with_the_heat() -> None:
    soft_argmax = SoftArgmax(8, 2)
    torch.testing.assert_close(soft_argmax(torch.zeros(1, 2, 8, 8)), torch.full((1, 2, 2), 0.5))
    blob = torch.zeros(1, 2, 8, 8)
    blob[:, :, 2:4, 2:4] = 30.0
    moved = soft_argmax(blob.roll((3, 2), dims=(2, 3))) - soft_argmax(blob)
    torch.testing.assert_close(moved, torch.tensor([2 / 8, 3 / 8]).expand(1, 2, 2), atol=1e-5, rtol=0)


def test_sharpness_pulls_to_the_peak() -> None:
    soft_argmax = SoftArgmax(8, 2)
    heatmaps = torch.zeros(1, 2, 8, 8)
    heatmaps[:, :, 0, 0] = 3.0
    with torch.no_grad():
        soft_argmax.log_sharpness[1] = 1.0
    blunt, sharp = soft_argmax(heatmaps)[0, :, 0]
    assert sharp < blunt


def test_hourglass_keeps_the_shape_and_sees_everything() -> None:
    hourglass = Hourglass(4, 3, lambda n: BasicBlock(n, n), lambda n: conv_bn(n, n, 1)).eval()
    x = torch.rand(2, 4, 16, 16, requires_grad=True)
    out = hourglass(x)
    assert out.shape == x.shape
    out[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 8:, 8:].abs().sum() > 0  # the far corner counts
    assert x.grad[1].abs().sum() == 0  # the other item does not


def test_keypoint_head() -> None:
    features = KeypointHead(nn.Identity(), 4, 8, nn.ReLU)(torch.rand(2, 4, 8, 8))
    assert [tuple(t.shape) for t in features] == [(2, 4, 8, 8), (2, 21, 8, 8), (2, 21, 2)]
    assert ((features.places > 0) & (features.places < 1)).all()
