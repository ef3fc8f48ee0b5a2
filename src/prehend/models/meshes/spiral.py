"""Convolutions on a mesh: along spirals of neighbours, and from a coarse level to the next finer one.

Their tables are numbers of the network, as floats in flat vectors, which weights keep exactly: what was trained on a
mesh runs on that mesh, and nothing has to be built where it runs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prehend.hand_model.meshes.pyramid import MeshPyramid

CORNERS = 3
"""Vertices of the triangle that carries a vertex of the next finer level."""


class FlatTable(nn.Module):
    """A table of row numbers or weights, as a flat vector; zeros until it is filled.

    Args:
        shape: rows, columns.
    """

    values: Tensor

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape
        self.register_buffer("values", torch.zeros(int(np.prod(shape))))

    def fill(self, table: NDArray[np.generic]) -> None:
        """Take in a table of this shape."""
        self.values.copy_(torch.tensor(np.asarray(table, np.float32).reshape(self.shape)).flatten())

    def rows(self) -> Tensor:
        """Flat row numbers."""
        return self.values.long()


class SpiralConv(nn.Module):
    """A linear map of the features along a vertex' spiral (Lim et al., ECCVW 2018).

    Args:
        in_channels, out_channels: of input and output.
        vertices: of the mesh.
        length: of a spiral.
    """

    def __init__(self, in_channels: int, out_channels: int, vertices: int, length: int):
        super().__init__()
        self.spirals = FlatTable(vertices, length)
        self.linear = nn.Linear(in_channels * length, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, in) -> (B, V, out)."""
        vertices, length = self.spirals.shape
        return self.linear(x.index_select(1, self.spirals.rows()).reshape(-1, vertices, length * x.shape[2]))


class Upsample(nn.Module):
    """Every vertex as a weighted mean of three of the level before.

    Args:
        vertices: of the finer level.
    """

    def __init__(self, vertices: int):
        super().__init__()
        self.sources, self.weights = FlatTable(vertices, CORNERS), FlatTable(vertices, CORNERS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V before, C) -> (B, V, C)."""
        picked = x.index_select(1, self.sources.rows()).reshape(-1, *self.sources.shape, x.shape[2])
        return (picked * self.weights.values.reshape(-1, CORNERS, 1)).sum(2)


class MeshDecoder(nn.Module):
    """From features of the coarsest level's vertices to those of the mesh: upsampling, SpiralConv and ReLU by turns.

    Args:
        levels: vertices of each level, the coarsest first.
        channels: of each level.
        length: of a spiral.
    """

    def __init__(self, levels: Sequence[int], channels: Sequence[int], length: int):
        super().__init__()
        self.ups = nn.ModuleList(Upsample(vertices) for vertices in levels[1:])
        self.convs = nn.ModuleList(
            SpiralConv(channels[k], channels[k + 1], levels[k + 1], length) for k in range(len(levels) - 1)
        )

    def fill(self, pyramid: MeshPyramid) -> None:
        """Take in the tables of a mesh with these levels."""
        for k, (up, conv) in enumerate(zip(self.ups, self.convs, strict=True)):
            assert isinstance(up, Upsample) and isinstance(conv, SpiralConv)
            up.sources.fill(pyramid.up_vertices[k])
            up.weights.fill(pyramid.up_weights[k])
            conv.spirals.fill(pyramid.spirals[k + 1])

    def forward(self, x: Tensor) -> Tensor:
        """(B, V_0, C_0) -> (B, V, C)."""
        for up, conv in zip(self.ups, self.convs, strict=True):
            x = torch.relu(conv(up(x)))
        return x
