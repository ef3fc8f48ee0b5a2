"""Graph convolutions on a mesh pyramid, from fine to coarse and back, and a mesh carried by its coarse vertices.

Nothing depends on the order of the vertices of a level: neighbours are averaged, and what tells vertices apart is where
they lie on the mean hand. Tables have two axes, which weights may hold in half precision: row numbers up to 2048 are
exact there, which `Rows` sees to.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prehend.errors import WeightsMismatch
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend.models.meshes.spiral import CORNERS

LARGEST_ROW = 2048
"""Row numbers up to here are exact in half precision."""


class Rows(nn.Module):
    """A table of row numbers, zeros until it is filled.

    Args:
        rows, columns: its shape.
    """

    values: Tensor

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.shape = rows, columns
        self.register_buffer("values", torch.zeros(rows, columns))

    def fill(self, table: NDArray[np.integer]) -> None:
        """Take in a table.

        Raises:
            WeightsMismatch: a number is too large to be kept exactly.
        """
        if table.size and table.max() > LARGEST_ROW:
            raise WeightsMismatch(f"a mesh of {table.max() + 1} vertices: this network takes up to {LARGEST_ROW + 1}")
        self.values.copy_(torch.from_numpy(np.ascontiguousarray(table, np.float32)))

    def pick(self, x: Tensor) -> Tensor:
        """(B, V, C) -> (B, rows, columns, C)."""
        return x.index_select(1, self.values.flatten().long()).reshape(-1, *self.shape, x.shape[2])


class NeighbourMean(nn.Module):
    """The mean over a vertex' neighbours, or over those and itself at the vertices that the next coarser level keeps.

    Args:
        vertices: that are asked for.
        length: how many are averaged.
    """

    def __init__(self, vertices: int, length: int):
        super().__init__()
        self.rows = Rows(vertices, length)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, C) -> (B, vertices, C)."""
        return self.rows.pick(x).mean(2)


class Raised(nn.Module):
    """Every vertex as a weighted mean of three of the level before.

    Args:
        vertices: of the finer level.
    """

    weights: Tensor

    def __init__(self, vertices: int):
        super().__init__()
        self.sources = Rows(vertices, CORNERS)
        self.register_buffer("weights", torch.full((vertices, CORNERS), 1 / CORNERS))

    def fill(self, sources: NDArray[np.integer], weights: NDArray[np.float32]) -> None:
        """Take in the tables of a pyramid."""
        self.sources.fill(sources)
        self.weights.copy_(torch.from_numpy(np.ascontiguousarray(weights)))

    def shares(self) -> Tensor:
        """(vertices, 3, 1) weights that sum to 1 however they were rounded."""
        return (self.weights / self.weights.sum(1, keepdim=True))[..., None]

    def forward(self, x: Tensor) -> Tensor:
        """(B, V before, C) -> (B, V, C)."""
        corners, shares = self.sources.values.long(), self.shares()
        # corner by corner: a sum over an axis of three takes a runtime as long as all the rest
        first, *others = (x.index_select(1, corners[:, k]) * shares[:, k] for k in range(CORNERS))
        return first + others[0] + others[1]


class MeshLevels(nn.Module):
    """The tables of a pyramid, and the mean hand at every level.

    Args:
        levels: vertices of each level, the coarsest first.
        top: the finest level whose vertices have neighbours here; finer ones hang on those below.
        spiral: vertices of a spiral of the pyramid, the vertex itself first.
    """

    mean: Tensor

    def __init__(self, levels: tuple[int, ...], top: int, spiral: int):
        super().__init__()
        self.levels, self.top = levels, top
        self._carrier: Tensor | None = None
        self.rings = nn.ModuleList(NeighbourMean(size, spiral - 1) for size in levels[: top + 1])
        self.pools = nn.ModuleList(NeighbourMean(size, spiral) for size in levels[:top])
        self.ups = nn.ModuleList(Raised(size) for size in levels[1:])
        self.kept = nn.ModuleList(Rows(size, 1) for size in levels[:-1])
        self.register_buffer("mean", torch.zeros(levels[-1] * 3))

    @torch.no_grad()
    def fill(self, pyramid: MeshPyramid, mean_m: NDArray[np.float32]) -> None:
        """Take in a hand.

        Args:
            pyramid: of its mesh.
            mean_m: (V, 3) its mean, the wrist at the origin [m].

        Raises:
            WeightsMismatch: the pyramid has other sizes or spirals than the network, or too many vertices.
        """
        length = pyramid.spirals[0].shape[1]
        ring = self.rings[0]
        assert isinstance(ring, NeighbourMean)
        if pyramid.sizes != self.levels or length != ring.rows.shape[1] + 1:
            raise WeightsMismatch(
                f"the network is for meshes of {self.levels} vertices and spirals of {ring.rows.shape[1] + 1}, the "
                f"pyramid has {pyramid.sizes} and {length}"
            )
        self._carrier = None
        self.mean.copy_(torch.from_numpy(np.ascontiguousarray(mean_m, np.float32)).flatten())
        for level, spiral in zip(self.rings, pyramid.spirals, strict=False):
            assert isinstance(level, NeighbourMean)
            level.rows.fill(spiral[:, 1:])
        for k, (up, kept) in enumerate(zip(self.ups, self.kept, strict=True)):
            assert isinstance(up, Raised) and isinstance(kept, Rows)
            up.fill(pyramid.up_vertices[k], pyramid.up_weights[k])
            kept.fill(pyramid.kept[k][:, None])
        for k, pool in enumerate(self.pools):
            assert isinstance(pool, NeighbourMean)
            place = {vertex: row for row, vertex in enumerate(pyramid.kept[k + 1].tolist())}
            pool.rows.fill(pyramid.spirals[k + 1][[place[vertex] for vertex in pyramid.kept[k].tolist()]])

    def template(self, level: int) -> Tensor:
        """(1, V_k, 3) of the mean hand [m]."""
        return self.of_mesh(self.mean.reshape(1, -1, 3), level)

    def of_mesh(self, mesh: Tensor, level: int) -> Tensor:
        """(B, V, C) -> (B, V_k, C) the rows of a mesh that a level keeps."""
        if level == len(self.levels) - 1:
            return mesh
        kept = self.kept[level]
        assert isinstance(kept, Rows)
        return kept.pick(mesh)[:, :, 0]

    def pooled(self, x: Tensor) -> list[Tensor]:
        """(B, V_top, C) -> (B, V_k, C) for every level up to the top, the coarsest first: means over larger pieces."""
        found = [x]
        for pool in reversed(self.pools):
            found.append(pool(found[-1]))
        return found[::-1]

    def carried(self, shifts: Tensor, turns: Tensor) -> Tensor:
        """A mesh that hangs on frames of the coarsest vertices (Sumner et al., SIGGRAPH 2007), level by level: a bent
        finger keeps its flesh, which interpolated shifts alone would shear.

        All of it is linear, and so one product with a matrix that depends on the hand alone: a runtime makes that once.

        Args:
            shifts: (B, V_0, 3) of the coarsest vertices from the mean hand [m].
            turns: (B, V_0, 9) what their frames have beyond the unit matrix.

        Returns:
            (B, V, 3) [m].
        """
        columns = turns.reshape(-1, self.levels[0], 3, 3).permute(3, 1, 0, 2)
        numbers = torch.cat([shifts.transpose(0, 1)[None], columns]).reshape(4 * self.levels[0], -1)
        moved = (self._carrier_now() @ numbers).reshape(self.levels[-1], -1, 3).transpose(0, 1)
        return self.template(len(self.levels) - 1) + moved

    def raised(self, x: Tensor) -> Tensor:
        """(B, V_top, C) -> (B, V, C) interpolated up to the whole mesh."""
        for up in list(self.ups)[self.top :]:
            x = up(x)
        return x

    def _carrier_now(self) -> Tensor:
        """`_basis`, kept from step to step in training, where the hand stays the same."""
        if not self.training:
            return self._basis()
        if self._carrier is None or self._carrier.device != self.mean.device:
            self._carrier = self._basis()
        return self._carrier

    @torch.no_grad()
    def _basis(self) -> Tensor:
        """(V, 4 V_0): how far each vertex goes along an axis for each number of the frames that moves it along there:
        all shifts first, then what turns the first, second and third column of every frame."""
        coarse = self.levels[0]
        share, at = torch.eye(coarse, device=self.mean.device)[None], self.template(0)[..., None]
        turned = torch.zeros_like(share)[:, :, None] * at
        for k, up in enumerate(self.ups):
            # an arm is the difference of two places: what is told of the one is summed, the other is the sum's own
            told = up((turned - at * share[:, :, None]).reshape(1, -1, 3 * coarse)).reshape(1, -1, 3, coarse)
            share, at = up(share), self.template(k + 1)[..., None]
            turned = told + at * share[:, :, None]
        return torch.cat([share[:, :, None], turned], 2).reshape(-1, 4 * coarse)


class GraphConv(nn.Module):
    """A linear map of a vertex and of the mean of its neighbours: the first two terms of a Chebyshev filter
    (Defferrard et al., NeurIPS 2016).

    Args:
        in_channels, out_channels: of input and output.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.own = nn.Linear(in_channels, out_channels)
        self.around = nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, x: Tensor, ring: nn.Module) -> Tensor:
        """(B, V, in) -> (B, V, out)."""
        return self.own(x) + self.around(ring(x))
