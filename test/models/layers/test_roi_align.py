import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prehend.models.layers.roi_align import has_area, intersect_boxes, roi_align, scale_box

SIZE, STRIDE = 32, 4


def bilinear(feature: np.ndarray, x: float, y: float) -> np.ndarray:
    """(C, H, W) at one place, 0 outside: the definition, one cell after the other."""
    total = np.zeros(len(feature))
    for row in range(feature.shape[1]):
        for column in range(feature.shape[2]):
            weight = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
            total += weight * feature[:, row, column]
    return total


def naive(feature: np.ndarray, box: np.ndarray, size: int, stride: int, samples: int) -> np.ndarray:
    x0, y0, x1, y1 = box / stride
    out = np.zeros((len(feature), size, size))
    for row in range(size):
        for column in range(size):
            for i in range(samples):
                for j in range(samples):
                    y = y0 + (row + (i + 0.5) / samples) / size * (y1 - y0)
                    x = x0 + (column + (j + 0.5) / samples) / size * (x1 - x0)
                    out[:, row, column] += bilinear(feature, x, y) / samples**2
    return out


boxes = arrays(np.float64, 4, elements=st.floats(-20, SIZE + 20))


@settings(max_examples=15, deadline=None)
@given(box=boxes, samples=st.sampled_from([1, 2]))
def test_is_the_naive_loop(box: np.ndarray, samples: int) -> None:
    feature = torch.rand(1, 3, SIZE // STRIDE, SIZE // STRIDE, dtype=torch.float64)
    got = roi_align(feature, torch.tensor(box)[None], 4, SIZE, STRIDE, samples)[0]
    np.testing.assert_allclose(got, naive(feature[0].numpy(), box, 4, STRIDE, samples), atol=1e-12)


def test_recovers_coordinates() -> None:
    """Of a map that holds the pixel of each cell, a bin gives the pixel of its middle."""
    cells = torch.arange(SIZE // STRIDE, dtype=torch.float64) * STRIDE
    feature = torch.stack(torch.meshgrid(cells, cells, indexing="xy"))[None]
    box = torch.tensor([[3.0, 5.0, 19.0, 25.0]], dtype=torch.float64)
    got = roi_align(feature, box, 8, SIZE, STRIDE, 2)[0]
    middles = (torch.arange(8, dtype=torch.float64) + 0.5) / 8
    np.testing.assert_allclose(got[0], (3 + 16 * middles).expand(8, 8), atol=1e-9)
    np.testing.assert_allclose(got[1], (5 + 20 * middles)[:, None].expand(8, 8), atol=1e-9)


def test_items_do_not_mix() -> None:
    feature = torch.rand(3, 2, 8, 8)
    box = torch.tensor([[0.0, 0, 16, 16], [4, 8, 30, 28], [10, 2, 12, 30]])
    together = roi_align(feature, box, 4, SIZE, STRIDE)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], roi_align(feature[i : i + 1], box[i : i + 1], 4, SIZE, STRIDE))


def test_gradients_reach_feature_and_box() -> None:
    feature = torch.rand(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    box = torch.tensor([[2.3, 3.1, 21.7, 26.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, b: roi_align(f, b, 3, SIZE, STRIDE, 2), (feature, box))


def test_scaled_box_keeps_its_centre() -> None:
    box = torch.tensor([[10.0, 20.0, 30.0, 80.0]])
    torch.testing.assert_close(scale_box(box, 1.0), box)
    torch.testing.assert_close(scale_box(box, 2.0), torch.tensor([[0.0, -10.0, 40.0, 110.0]]))
    torch.testing.assert_close(scale_box(box, 1.0, square=True), torch.tensor([[-10.0, 20.0, 50.0, 80.0]]))


@pytest.mark.parametrize(
    ("other", "area"), [([5.0, 5, 20, 20], 1.0), ([10.0, 0, 20, 10], 0.0), ([15.0, 15, 20, 20], 0.0)]
)
def test_shared_box(other: list[float], area: float) -> None:
    one, two = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([other])
    shared = intersect_boxes(one, two)
    torch.testing.assert_close(shared, intersect_boxes(two, one))
    assert has_area(shared).item() == area
    torch.testing.assert_close(intersect_boxes(one, one), one)
