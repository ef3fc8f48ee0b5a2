"""Control points of the held object, proposed by every cell of its RoI (Redmon-style proposals; UniHOPE eq. 10)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from prehend.conventions import NUM_CONTROL_POINTS, NUM_JOINTS, OBJECT_KIND_SIZE
from prehend.models.layers.blocks import Activation, conv_bn

OFFSET_SCALE = 0.1
"""Raw outputs are tenths of the object box, so that a step of training moves a proposal little (docs/PAPERS.md 1.1)."""


FIRST_SCALE = (-0.7, -1.5)
"""Where the answer of `KindObjectHead.scale` starts: what hands of scenes have in the mean."""


class ObjectHead(nn.Module):
    """Three pairs of 1x1 and 3x3 convolutions, then confidence, x and y of 21 points per cell.

    Args:
        channels: channels of the object feature.
        size: R, cells on its side.
        width: channels between the 1x1 and the 3x3 convolution.
        act: activation.
        pairs: number of pairs.
    """

    def __init__(self, channels: int, size: int, width: int, act: Activation, pairs: int = 3):
        super().__init__()
        self.size = size
        layers = [
            nn.Sequential(conv_bn(channels, width, 1, act=act), conv_bn(width, channels, 3, act=act))
            for _ in range(pairs)
        ]
        self.body = nn.Sequential(*layers)
        self.points = nn.Conv2d(channels, 3 * NUM_CONTROL_POINTS, 1)

    def raw(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, R, R) -> x and y offsets and the logit of the confidence, (B, 21, R * R) each."""
        both = self.points(self.body(feature)).reshape(-1, 3 * NUM_CONTROL_POINTS, self.size**2)
        confidence, x, y = both.split(NUM_CONTROL_POINTS, dim=1)
        return x, y, confidence

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, R, R) -> (B, 21, R * R, 3) x, y in units of the object box (0 left/top, 1 right/bottom) and
        confidence in [0, 1]; cells row by row."""
        size = self.size
        x, y, confidence = self.raw(feature)
        middles = (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5) / size
        x = x * OFFSET_SCALE + middles.repeat(size)
        y = y * OFFSET_SCALE + middles.repeat_interleave(size)
        return torch.stack([x, y, torch.sigmoid(confidence)], dim=-1)


class ObjectGuess(NamedTuple):
    """What `KindObjectHead` says.

    Attributes:
        points: (B, 21, R * R, 3) as of `ObjectHead`.
        match: (B, 1) logit that the object is the one described.
        log_extents: (B, 3) log of the extents over 0.1 m, without looking at the description.
        scale: (B, 2) log of the share of the crop's side that 0.1 m cover at the object's centre, and log of its
            standard deviation.
        moments: (B, 6) xx, yy, zz, xy, xz, yz of R diag(extents^2) R^T over its trace, in the crop frame: how the box
            lies.
        mask: (B, R * R) logits that a cell shows the object.
    """

    points: Tensor
    match: Tensor
    log_extents: Tensor
    scale: Tensor
    moments: Tensor
    mask: Tensor


class KindObjectHead(nn.Module):
    """Control points of an object of which something may be known (`conventions.OBJECT_KIND_SIZE`).

    Where the object's axes lie is a question about the whole of it, so that one answer is read from the whole RoI and
    the description; the cells' proposals are offsets from it, with their confidence as in the paper.

    Args:
        channels: channels of the object feature.
        size: R, cells on its side.
        width: channels of the cells' hidden layers.
        act: activation of convolutions.
        rectifier: activation of fully connected layers.
        hidden: size of the hidden layers of the whole.
    """

    def __init__(self, channels: int, size: int, width: int, act: Activation, rectifier: Activation, hidden: int = 512):
        super().__init__()
        self.size = size
        self.down = nn.Sequential(
            conv_bn(channels, 2 * channels, stride=2, act=act),
            conv_bn(2 * channels, 2 * channels, stride=2, act=act),
            nn.Flatten(),
            nn.Linear(2 * channels * (size // 4) ** 2, hidden),
            rectifier(),
        )
        self.told = nn.Sequential(
            nn.Linear(hidden + OBJECT_KIND_SIZE, hidden), rectifier(), nn.Linear(hidden, hidden), rectifier()
        )
        # cells do not tell how large their box is in the crop, nor where
        self.placed = nn.Linear(4 + 2 * NUM_JOINTS, hidden, bias=False)
        # a silhouette tells direction and size at once, which cells taken as numbers tell after very many images
        self.mask = nn.Conv2d(channels, 1, 1)
        self.silhouette = nn.Linear(6, hidden, bias=False)
        for layer in (self.placed, self.silhouette):
            nn.init.zeros_(layer.weight)
        self.whole = nn.Linear(hidden, 2 * NUM_CONTROL_POINTS)
        self.match = nn.Linear(hidden, 1)
        self.extents = nn.Linear(hidden, 3)
        # how far the object is: points that are unsure shrink towards their middle, and with them the size they show
        self.scale = nn.Linear(hidden, 2)
        nn.init.zeros_(self.scale.weight)
        self.scale.bias.data = torch.tensor(FIRST_SCALE)
        # how the box lies, without which end is which: half turns change nothing, so there is one right answer to learn
        self.moments = nn.Linear(hidden, 6)
        self.moments.bias.data = torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0, 0.0, 0.0])
        self.cells = ObjectHead(channels, size, width, act, pairs=2)

    def forward(self, feature: Tensor, kind: Tensor, box: Tensor, joints: Tensor) -> ObjectGuess:
        """What is said of the object.

        Args:
            feature: (B, C, R, R) of its RoI.
            kind: (B, 10) what is known of it.
            box: (B, 4) of the RoI in units of the crop.
            joints: (B, 21, 2) where the hand's are, in units of the crop.
        """
        seen = self.down(feature)
        span = box[:, 2:] - box[:, :2]
        place = torch.cat(
            [(box[:, :2] + box[:, 2:]) / 2 - 0.5, span.clamp(min=0.05).log(), joints.flatten(1) - 0.5], dim=1
        )
        mask = self.mask(feature).flatten(1)
        told = self.told[0](torch.cat([seen, kind], dim=1)) + self.placed(place)
        told = told + self.silhouette(silhouette(mask.sigmoid(), self.size, span))
        told = self.told[1:](told)
        whole = self.whole(told).reshape(-1, NUM_CONTROL_POINTS, 1, 2) + 0.5
        x, y, confidence = self.cells.raw(feature)
        offsets = torch.stack([x, y], dim=-1) * OFFSET_SCALE
        points = torch.cat([whole + offsets, torch.sigmoid(confidence)[..., None]], dim=-1)
        return ObjectGuess(points, self.match(told), self.extents(seen), self.scale(told), self.moments(told), mask)


def silhouette(mask: Tensor, size: int, span: Tensor) -> Tensor:
    """What the outline of an object tells.

    Args:
        mask: (B, R * R) probabilities that a cell shows the object.
        size: R.
        span: (B, 2) sides of the cells' box.

    Returns:
        (B, 6) log of its area over the box's, its middle in the box from -0.5 to 0.5, and its second moments xx, yy, xy
        in the image over their sum.
    """
    middles = (torch.arange(size, dtype=mask.dtype, device=mask.device) + 0.5) / size - 0.5
    x, y = middles.repeat(size), middles.repeat_interleave(size)
    area = mask.sum(1, keepdim=True) + 1e-3
    share = mask / area
    mean_x, mean_y = (share * x).sum(1, keepdim=True), (share * y).sum(1, keepdim=True)
    off_x, off_y = (x - mean_x) * span[:, :1], (y - mean_y) * span[:, 1:]
    moments = torch.stack([(share * a * b).sum(1) for a, b in ((off_x, off_x), (off_y, off_y), (off_x, off_y))], dim=1)
    total = moments[:, :1] + moments[:, 1:2] + 1e-6
    return torch.cat([(area / size**2).log(), mean_x, mean_y, moments / total], dim=1)
