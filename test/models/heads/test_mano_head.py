import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from prehend.models.heads.hourglass import HandFeatures
from prehend.models.heads.mano import HeatmapEncoder, ManoHead, rotations_from_6d

sixd = arrays(np.float32, (4, 6), elements=st.floats(-3, 3, width=32))


def assert_rotations(matrices: torch.Tensor) -> None:
    identity = torch.eye(3).expand_as(matrices)
    torch.testing.assert_close(matrices.transpose(-1, -2) @ matrices, identity, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.det(matrices), torch.ones(matrices.shape[:-2]), atol=1e-4, rtol=0)


def test_columns_not_rows() -> None:
    """The six numbers of a rotation are its first two columns (docs/PAPERS.md, trap 11)."""
    rotation = torch.linalg.qr(torch.randn(5, 3, 3))[0]
    rotation = rotation * torch.det(rotation)[:, None, None]
    columns = torch.cat([rotation[..., 0], rotation[..., 1]], dim=-1)
    torch.testing.assert_close(rotations_from_6d(columns), rotation, atol=1e-5, rtol=0)
    torch.testing.assert_close(rotations_from_6d(columns * 0.1), rotation, atol=1e-4, rtol=0)


@settings(max_examples=100, deadline=None)
@given(sixd)
def test_whatever_comes_is_a_rotation(numbers: np.ndarray) -> None:
    first, second = numbers[:, :3], numbers[:, 3:]
    apart = np.linalg.norm(np.cross(first, second), axis=1)
    sound = (np.linalg.norm(first, axis=1) > 1e-2) & (apart > 1e-2)
    assert_rotations(rotations_from_6d(torch.tensor(numbers[sound])))


def test_degenerate_numbers_are_safe() -> None:
    zero = torch.zeros(2, 6, requires_grad=True)
    rotations = rotations_from_6d(zero)
    torch.testing.assert_close(rotations, torch.eye(3).expand(2, 3, 3))
    rotations.sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
    assert_rotations(rotations_from_6d(torch.tensor([[1.0, 0.0, 0.0, 5.0, 0.0, 0.0]])))


@pytest.mark.parametrize("sees_places", [True, False])
def test_begins_at_the_mean_pose(sees_places: bool) -> None:
    head = ManoHead(16, (8,), nn.ReLU, sees_places)
    mean = torch.linalg.qr(torch.randn(16, 3, 3))[0]
    mean = mean * torch.det(mean)[:, None, None]
    head.set_mean_pose(mean)
    answer = head(torch.rand(2, 16), torch.rand(2, 21, 2))
    assert_rotations(answer.rotations)
    torch.testing.assert_close(answer.rotations, mean.expand(2, 16, 3, 3), atol=0.05, rtol=0)
    assert answer.betas.abs().max() < 0.05
    assert answer.visibility_logit.shape == (2, 21)


def test_places_matter_only_where_they_are_seen() -> None:
    code, one, two = torch.rand(2, 16), torch.rand(2, 21, 2), torch.rand(2, 21, 2)
    for sees in (True, False):
        head = ManoHead(16, (8,), nn.ReLU, sees)
        same = torch.equal(head(code, one).visibility_logit, head(code, two).visibility_logit)
        assert same is not sees


def test_heatmap_encoder_reads_both() -> None:
    encoder = HeatmapEncoder(4, nn.Flatten())
    feature, heatmaps = torch.rand(1, 4, 8, 8), torch.rand(1, 21, 8, 8)
    base = encoder(HandFeatures(feature, heatmaps, torch.zeros(1, 21, 2)))
    assert base.shape == (1, 256)
    assert not torch.equal(base, encoder(HandFeatures(feature + 1, heatmaps, torch.zeros(1, 21, 2))))
    assert not torch.equal(base, encoder(HandFeatures(feature, heatmaps + 1, torch.zeros(1, 21, 2))))
