import pytest
import torch
from torch import nn

from prehend.models.heads.switcher import MapSwitcher, PooledSwitcher
from prehend.models.trunks.backbone import Streams


def streams(side: int) -> Streams:
    return Streams(
        initial=torch.rand(2, 4, side // 2, side // 2),
        deep=torch.rand(2, 16, side // 8, side // 8),
        hand_map=torch.rand(2, 8, side, side),
        object_source=torch.rand(2, 8, side, side),
    )


SWITCHERS = [
    lambda: PooledSwitcher(8, 16, 8, nn.ReLU),
    lambda: MapSwitcher(8, 16, 4, 8, 16, nn.ReLU),
]


@pytest.mark.parametrize("make", SWITCHERS)
@pytest.mark.parametrize("side", [16, 32, 64])
def test_takes_any_resolution(make, side: int) -> None:
    """The paper's is bound to one resolution by its flattened map; ours is not."""
    switches = make().eval()(streams(side))
    assert [logit.shape for logit in switches] == [(2, 1)] * 3


@pytest.mark.parametrize("make", SWITCHERS)
def test_sees_the_whole_map(make) -> None:
    switcher, given = make().eval(), streams(32)
    which = given.hand_map if isinstance(switcher, PooledSwitcher) else given.object_source
    which.requires_grad_(True)
    switcher(given)[0][0].sum().backward()
    assert which.grad is not None
    seen = which.grad[0].abs().sum(0).reshape(4, 8, 4, 8).sum((1, 3))
    assert (seen > 0).all()
