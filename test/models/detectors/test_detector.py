import pytest
import torch

from prehend.models.detectors.centers import (
    CENTER_DETECTOR,
    CENTER_STRIDE,
    LOG_RANGE,
    CenterDetector,
    build_center_detector,
)
from prehend.models.stage import sizes


@pytest.fixture(scope="module")
def finder() -> CenterDetector:
    torch.manual_seed(0)
    return build_center_detector(CENTER_DETECTOR).eval()


@torch.no_grad()
def test_shapes_and_ranges(finder: CenterDetector) -> None:
    stage = finder.stages()["find"]
    found = finder(torch.rand(2, 3, 256, 256))
    assert found._fields == tuple(stage.outputs)
    assert [list(a.shape) for a in found] == [sizes(shape, 2) for shape in stage.outputs.values()]
    assert (found.hand_box > 0).all()


@torch.no_grad()
def test_begins_with_rare_hands(finder: CenterDetector) -> None:
    """Focal loss starts from the prior everywhere, or the many empty cells drown the few hands."""
    heat = torch.sigmoid(finder(torch.rand(1, 3, 256, 256)).hand_heat)
    assert heat.mean() == pytest.approx(CENTER_DETECTOR.prior, rel=0.5)


@torch.no_grad()
def test_boxes_reach_the_whole_frame(finder: CenterDetector) -> None:
    assert CENTER_STRIDE * torch.tensor(LOG_RANGE).exp() > CENTER_DETECTOR.size


def test_a_cell_sees_a_hand_that_fills_the_frame(finder: CenterDetector) -> None:
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    finder(image).hand_heat[0, 0, 16, 16].backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0)
    assert (seen.reshape(8, 32, 8, 32).sum((1, 3)) > 0).all()


def test_cell_centres(finder: CenterDetector) -> None:
    """The heat of a cell depends most on the image around pixel 8 i + 3.5."""
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    finder(image).hand_heat[0, :, 10, 20].sum().backward()
    assert image.grad is not None
    weight = image.grad[0].abs().sum(0)
    rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    near = weight * (weight > 0.2 * weight.max())
    assert (near * rows).sum() / near.sum() == pytest.approx(10 * 8 + 3.5, abs=8)
    assert (near * columns).sum() / near.sum() == pytest.approx(20 * 8 + 3.5, abs=8)


def test_gradients_reach_every_parameter() -> None:
    network = build_center_detector(CENTER_DETECTOR).train()
    sum(t.square().mean() for t in network(torch.rand(2, 3, 256, 256))).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
