import pytest
import torch

from prehend.models.detectors.palm import (
    BOX_NUMBERS,
    EXTRA_NUMBERS,
    PALM,
    PALM_ANCHORS,
    PalmBlock,
    PalmConfig,
    PalmDetector,
    build_palm,
    count_answers,
)
from prehend.models.registry import config_from_manifest, config_to_manifest
from prehend.models.stage import sizes
from prehend.pipeline.detection.palms import ANCHOR_CELLS, NUMBERS, anchors_px

TINY = PalmConfig(size=64, wide_size=128, widths=(8, 8, 8, 8, 8), blocks=1, merged=1)


@torch.no_grad()
def test_stages_are_the_same_numbers_at_two_sizes() -> None:
    network = build_palm(TINY).eval()
    for stage in network.stages().values():
        (shape,) = stage.inputs.values()
        found = network(torch.rand(sizes(shape, 2)))
        assert found._fields == tuple(stage.outputs)
        assert [list(array.shape) for array in found] == [sizes(out, 2) for out in stage.outputs.values()]


def test_answers_are_as_many_as_in_the_published_file() -> None:
    assert count_answers(192) == 2016 == len(anchors_px(192))
    assert count_answers(384) == len(anchors_px(384)) == 4 * 2016
    assert tuple(answers for _, answers in ANCHOR_CELLS) == PALM_ANCHORS
    assert BOX_NUMBERS + EXTRA_NUMBERS == NUMBERS
    assert sum(p.numel() for p in PalmDetector().parameters()) == pytest.approx(1.15e6, rel=0.01)


@torch.no_grad()
def test_answers_come_from_around_their_anchors() -> None:
    """Each answer depends most on the image around its anchor: rows, columns and maps are in the order that is
    decoded."""
    network = build_palm(TINY).eval()
    for block in network.modules():  # or fresh kernels spread what they see evenly
        if isinstance(block, PalmBlock):
            block.depthwise.weight[:] = 0
            block.depthwise.weight[:, :, 2, 2] = 1
    anchors = anchors_px(64)
    for index in (0, 5, 37, len(anchors) - 13, len(anchors) - 1):
        image = torch.rand(1, 3, 64, 64, requires_grad=True)
        with torch.enable_grad():
            network(image).scores[0, index, 0].backward()
        assert image.grad is not None
        weight = image.grad[0].abs().sum(0).clamp(max=1e9)
        rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        x, y = anchors[index]
        near = (rows - y).abs().maximum((columns - x).abs()) < 17
        assert weight[near].sum() > 0.6 * weight.sum()


@torch.no_grad()
def test_further_answers_begin_as_nothing() -> None:
    found = build_palm(TINY)(torch.rand(1, 3, 64, 64))
    assert found.boxes[..., :BOX_NUMBERS].abs().max() > 0
    assert (found.boxes[..., BOX_NUMBERS:] == 0).all()


@torch.no_grad()
def test_a_block_of_stride_2_adds_maxima_and_nought_in_further_channels() -> None:
    block = PalmBlock(8, 12, 2)
    for parameter in (block.project.weight, block.project.bias):
        parameter.zero_()
    block.act.weight[:] = 1
    x = torch.randn(1, 8, 6, 6)
    y = block(x)
    assert torch.equal(y[:, :8], torch.nn.functional.max_pool2d(x, 2)) and (y[:, 8:] == 0).all()


def test_gradients_reach_every_parameter() -> None:
    network = build_palm(TINY)
    sum((t - 1).square().mean() for t in network(torch.rand(2, 3, 64, 64))).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


def test_the_manifest_keeps_the_numbers() -> None:
    assert config_from_manifest({"network": "palm", "name": "p", "config": config_to_manifest(PALM)}) == PALM
