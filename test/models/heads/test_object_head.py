import math

import torch

from prehend.models.heads.objects import silhouette


def bar(angle: float, size: int = 32) -> torch.Tensor:
    """(1, size^2) mask of a bar through the middle."""
    line = (torch.arange(size) + 0.5) / size - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    return ((along.abs() < 0.35) & (across.abs() < 0.08)).float().reshape(1, -1)


def test_the_second_moments_of_a_bar_tell_its_direction() -> None:
    for angle in (0.0, 0.4, 1.2, 2.0):
        _, x, y, xx, yy, xy = silhouette(bar(angle), 32, torch.ones(1, 2))[0]
        assert abs(x) < 0.02 and abs(y) < 0.02
        found = 0.5 * math.atan2(2 * float(xy), float(xx - yy))
        assert abs(math.sin(found - angle)) < 0.05


def test_a_box_that_is_not_square_does_not_change_the_direction() -> None:
    wide = silhouette(bar(math.pi / 4), 32, torch.tensor([[2.0, 1.0]]))[0]
    # stretched to twice the width, the diagonal lies at atan(1/2)
    found = 0.5 * math.atan2(2 * float(wide[5]), float(wide[3] - wide[4]))
    assert abs(found - math.atan(0.5)) < 0.06


def test_nothing_in_sight_gives_numbers() -> None:
    assert torch.isfinite(silhouette(torch.zeros(2, 64), 8, torch.ones(2, 2))).all()
