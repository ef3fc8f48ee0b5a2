import torch
from torch import nn

from prehend.models.object_head import OFFSET_SCALE, ObjectHead


def test_silent_cells_propose_themselves() -> None:
    """Without any answer a cell proposes its own middle, with a confidence of one half."""
    head = ObjectHead(4, 8, 2, nn.ReLU).eval()
    nn.init.zeros_(head.points.weight)
    nn.init.zeros_(head.points.bias)
    points = head(torch.rand(2, 4, 8, 8))
    assert points.shape == (2, 21, 64, 3)
    grid = points[0, 7].reshape(8, 8, 3)
    middles = (torch.arange(8) + 0.5) / 8
    torch.testing.assert_close(grid[..., 0], middles.expand(8, 8))
    torch.testing.assert_close(grid[..., 1], middles[:, None].expand(8, 8))
    torch.testing.assert_close(grid[..., 2], torch.full((8, 8), 0.5))


def test_channels_are_confidence_then_x_then_y() -> None:
    head = ObjectHead(4, 8, 2, nn.ReLU).eval()
    nn.init.zeros_(head.points.weight)
    with torch.no_grad():
        head.points.bias.copy_(torch.arange(63))
    points = head(torch.rand(1, 4, 8, 8))[0, :, 0]  # cell in the corner
    torch.testing.assert_close(points[:, 2], torch.sigmoid(torch.arange(21.0)))
    torch.testing.assert_close(points[:, 0], (torch.arange(21, 42)) * OFFSET_SCALE + 1 / 16)
    torch.testing.assert_close(points[:, 1], (torch.arange(42, 63)) * OFFSET_SCALE + 1 / 16)
