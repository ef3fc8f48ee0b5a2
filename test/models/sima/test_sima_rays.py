import numpy as np
import pytest
import torch

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.models.sima.rays import canonical_points, meeting_points, solved

RAY = torch.tensor([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1.0]])


def cameras(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, N, 3, 3) from crop frames to the world and (1, N, 3) centres, of cameras that look at the origin."""
    turn = torch.tensor(matrix_from_axis_angle(np.random.default_rng(0).normal(size=(1, count, 3))))
    return turn.float(), (turn @ torch.tensor([[0.0], [0], [-0.6]], dtype=turn.dtype))[..., 0].float()


def seen_from(points: torch.Tensor, turn: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
    """(1, N, J, 2) places of (1, J, 3) points."""
    in_crop = (points[:, None] - center[:, :, None]) @ turn
    at = in_crop @ torch.linalg.inv(RAY).T
    return at[..., :2] / at[..., 2:]


@pytest.fixture
def points() -> torch.Tensor:
    return torch.randn(1, 21, 3, generator=torch.Generator().manual_seed(0)) * 0.05


@pytest.mark.parametrize("count", [2, 3, 8])
def test_rays_meet_where_the_points_are(points: torch.Tensor, count: int) -> None:
    turn, center = cameras(count)
    places = seen_from(points, turn, center)
    found = meeting_points(places, torch.ones(1, count, 21), turn, center, RAY.expand(1, count, 3, 3))
    assert (found - points).norm(dim=-1).max() < 1e-3


def test_a_ray_without_weight_is_not_asked(points: torch.Tensor) -> None:
    turn, center = cameras(4)
    places = seen_from(points, turn, center)
    places[:, 3] += 0.3
    weight = torch.ones(1, 4, 21)
    rays = RAY.expand(1, 4, 3, 3)
    assert (meeting_points(places, weight, turn, center, rays) - points).norm(dim=-1).min() > 5e-3
    weight[:, 3] = 0
    assert (meeting_points(places, weight, turn, center, rays) - points).norm(dim=-1).max() < 1e-3


def test_rays_of_one_place_have_a_point_in_front_of_it(points: torch.Tensor) -> None:
    turn, center = (value[:, [0, 0]] for value in cameras(1))
    places = seen_from(points, turn, center)
    found = meeting_points(places, torch.ones(1, 2, 21), turn, center, RAY.expand(1, 2, 3, 3))
    assert found.isfinite().all()
    torch.testing.assert_close(seen_from(found, turn, center), places, atol=1e-4, rtol=0)


def test_canonical_points_know_neither_place_nor_direction(points: torch.Tensor) -> None:
    turn = torch.tensor(matrix_from_axis_angle(np.array([1.0, -0.4, 2.0]))).float()
    one, other = canonical_points(points), canonical_points(points @ turn.T + 3)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert one[:, 0].abs().max() == 0
    torch.testing.assert_close(one.norm(dim=-1), (points - points[:, :1]).norm(dim=-1))


def test_equations_are_solved() -> None:
    A = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(1)) + 3 * torch.eye(3)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(solved(A, (A @ x[..., None])[..., 0]), x, atol=1e-4, rtol=1e-4)
