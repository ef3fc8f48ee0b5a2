"""Signed distances of many solids at once: sampled on grids, read by trilinear interpolation on any device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend_training.objects.solid import Solid

Array = NDArray[np.floating]

MARGIN_M = 0.03


@dataclass(frozen=True, eq=False)
class SdfGrid:
    """Distances of S solids on R x R x R grids, each over the solid's box and a margin.

    Beyond its grid the distance is that at the nearest point of the grid and the way there: never too small, too large
    by a few centimetres at most, and growing with the way.

    Attributes:
        values: (S, R, R, R) float32 [m], axes x, y, z.
        low_m: (S, 3) float32, the grid's first point.
        step_m: (S, 3) float32, between its points.
    """

    values: Tensor
    low_m: Tensor
    step_m: Tensor

    @classmethod
    def of(
        cls, solids: Sequence[Solid], resolution: int = 56, margin_m: float = MARGIN_M, *, filled: bool = False
    ) -> "SdfGrid":
        """Sample solids at the size they have.

        Args:
            solids: S of them.
            resolution: points along each side of the grid.
            margin_m: around the solid's box.
            filled: hollows count as inside, see `Solid.distance`.
        """
        low = np.stack([solid.center_m - solid.extents_m / 2 - margin_m for solid in solids])
        step = np.stack([(solid.extents_m + 2 * margin_m) / (resolution - 1) for solid in solids])
        index = np.moveaxis(np.indices((resolution,) * 3), 0, -1)
        values = [solid.distance(low[k] + index * step[k], filled=filled) for k, solid in enumerate(solids)]
        tensors = (torch.from_numpy(np.asarray(part, np.float32)) for part in (np.stack(values), low, step))
        return cls(*tensors)

    def to(self, device: torch.device | str) -> "SdfGrid":
        """The same grids on another device."""
        return SdfGrid(self.values.to(device), self.low_m.to(device), self.step_m.to(device))

    def lookup(self, points_m: Tensor, which: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Distances (B, N) and their gradients (B, N, 3) at points (B, N, 3) in the object frames.

        The distances pass gradients on to the points; the second result is the same gradient as a value.

        Args:
            points_m: B sets of points.
            which: (B,) int64 number of the solid of each set.
            scale: (B, 3) stretch of the solid of each set, None for none. Where it differs between the axes the
                distance is right to first order, at the surface and near it.
        """
        low, step = self.low_m[which][:, None], self.step_m[which][:, None]
        stretch = torch.ones_like(low) if scale is None else scale[:, None]
        size = self.values.shape[1]
        place = (points_m / stretch - low) / step
        inside = place.clamp(0, size - 1)
        cell = inside.detach().floor().clamp(max=size - 2)
        value, slope = self._trilinear(inside - cell, cell.long(), which)
        within = (place >= 0) & (place <= size - 1)
        beyond = (place - inside) * step
        away = torch.sqrt((beyond**2).sum(-1) + 1e-16)
        unit_slope = slope.detach() * within / step + beyond.detach() / away.detach()[..., None]
        object_slope = unit_slope / stretch
        # a distance in the stretched frame grows by one along its gradient too
        steepness = object_slope.norm(dim=-1) / unit_slope.norm(dim=-1).clamp(min=1e-9)
        steepness = torch.maximum(steepness, (1 / stretch).amin(-1))
        return (value + away) / steepness, object_slope / steepness[..., None]

    def _trilinear(self, share: Tensor, cell: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Value (B, N) in cells at shares (B, N, 3) of their sides, and its slope (B, N, 3) per cell."""
        size = self.values.shape[1]
        first = ((which[:, None] * size + cell[..., 0]) * size + cell[..., 1]) * size + cell[..., 2]
        flat = self.values.reshape(-1)
        offsets = torch.tensor([(x * size + y) * size + z for x, y, z in np.ndindex(2, 2, 2)], device=flat.device)
        corner = flat[first[..., None] + offsets].reshape(*first.shape, 2, 2, 2)
        x, y, z = (share[..., k] for k in range(3))
        along_z = corner[..., 0] + z[..., None, None] * (corner[..., 1] - corner[..., 0])
        along_y = along_z[..., 0] + y[..., None] * (along_z[..., 1] - along_z[..., 0])
        value = along_y[..., 0] + x * (along_y[..., 1] - along_y[..., 0])
        slope_x = along_y[..., 1] - along_y[..., 0]
        step_y = along_z[..., 1] - along_z[..., 0]
        slope_y = step_y[..., 0] + x * (step_y[..., 1] - step_y[..., 0])
        step_z = corner[..., 1] - corner[..., 0]
        step_z = step_z[..., 0] + y[..., None] * (step_z[..., 1] - step_z[..., 0])
        slope_z = step_z[..., 0] + x * (step_z[..., 1] - step_z[..., 0])
        return value, torch.stack([slope_x, slope_y, slope_z], -1)

    def distance(self, points_m: Array, number: int = 0, scale: Array | None = None) -> tuple[Array, Array]:
        """Distances (...) and gradients (..., 3) at points (..., 3) of one solid, in numpy; see `lookup`."""
        points = np.asarray(points_m, np.float32)
        stretch = None if scale is None else torch.as_tensor(np.asarray(scale, np.float32))[None]
        value, slope = self.lookup(torch.from_numpy(points.reshape(1, -1, 3)), torch.tensor([number]), stretch)
        return value[0].numpy().reshape(points.shape[:-1]), slope[0].numpy().reshape(points.shape)
