import math

import pytest
import torch

from prehend.models.heads.pose import PlacesPoseHead, turn_about_axis, upright
from prehend.models.layers.blocks import relu


@pytest.fixture
def head() -> PlacesPoseHead:
    torch.manual_seed(0)
    made = PlacesPoseHead(16, (32, 32), relu).eval()
    torch.nn.init.normal_(made.pose.weight, std=0.3)
    torch.nn.init.normal_(made.hidden[0].weight, std=0.3)
    return made


def turned(places: torch.Tensor, angle: float) -> torch.Tensor:
    """Places after a clockwise turn of the image about the origin."""
    cos, sin = math.cos(angle), math.sin(angle)
    return places @ torch.tensor([[cos, sin], [-sin, cos]])


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.5, math.pi])
def test_the_wrist_turns_exactly_as_the_places_do(head: PlacesPoseHead, angle: float) -> None:
    places = 40 + 60 * torch.rand(3, 21, 2)
    log_std, code = torch.full((3, 21), -3.0), torch.rand(3, 16)
    still, moved = head(places, log_std, code), head(turned(places, angle), log_std, code)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    if angle in (0.0, math.pi):  # boxes are axis-aligned: other turns change which side of the box is the longer one
        torch.testing.assert_close(moved.rotations[:, 0], turn @ still.rotations[:, 0], atol=1e-3, rtol=0)
        torch.testing.assert_close(moved.rotations[:, 1:], still.rotations[:, 1:], atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.linalg.det(moved.rotations), torch.ones(3, 16), atol=1e-4, rtol=0)


def test_place_and_size_of_the_hand_in_the_crop_do_not_matter(head: PlacesPoseHead) -> None:
    places = 40 + 60 * torch.rand(3, 21, 2)
    log_std, code = torch.full((3, 21), -3.0), torch.rand(3, 16)
    one, other = head(places, log_std, code), head(1.7 * places - 25, log_std, code)
    torch.testing.assert_close(one.rotations, other.rotations, atol=1e-3, rtol=0)
    torch.testing.assert_close(one.betas, other.betas, atol=1e-3, rtol=0)


def test_upright_places_point_up() -> None:
    places = 200 * torch.rand(50, 21, 2)
    out, direction = upright(places)
    along = out[:, 9] - out[:, 0]
    assert (along[:, 1] < 0).all() and (along[:, 0].abs() < 1e-3).all()
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(50))
    back = turn_about_axis(direction)[:, :2, :2] @ torch.tensor([0.0, -1.0])
    want = torch.nn.functional.normalize(places[:, 9] - places[:, 0], dim=1)
    torch.testing.assert_close(back, want, atol=1e-3, rtol=0)


def test_a_hand_without_a_direction_is_finite(head: PlacesPoseHead) -> None:
    said = head(torch.full((1, 21, 2), 50.0), torch.zeros(1, 21), torch.zeros(1, 16))
    assert all(bool(torch.isfinite(part).all()) for part in said)


def test_fresh_weights_are_a_function_of_the_places_alone() -> None:
    torch.manual_seed(0)
    fresh = PlacesPoseHead(16, (32, 32), relu).eval()
    places = 40 + 60 * torch.rand(2, 21, 2)
    one = fresh(places, torch.zeros(2, 21), torch.zeros(2, 16))
    other = fresh(places, torch.ones(2, 21), torch.rand(2, 16))
    torch.testing.assert_close(one.rotations, other.rotations)
