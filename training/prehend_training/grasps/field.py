"""Signed distances to one solid at several stretches, for many hands at once."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from prehend_training.objects import Solid
from prehend_training.objects.sdf import SdfGrid

Array = NDArray[np.floating]

RESOLUTION = 96


class Field(Protocol):
    """Distances (N, P) [m] at points (N, P, 3) of the object's frame; row k to the solid stretched by scale (N, 3)."""

    def __call__(self, points_m: Array, scale: Array) -> Array: ...  # noqa: D102


class GridField:
    """Read from grids: quick for many points.

    Args:
        solid: at its nominal size.
        filled: as in `Solid.distance`.
    """

    def __init__(self, solid: Solid, *, filled: bool):
        self.grid = SdfGrid.of([solid], RESOLUTION, filled=filled)

    def __call__(self, points_m: Array, scale: Array) -> Array:
        """Distances, see `Field`."""
        with torch.no_grad():
            points = torch.from_numpy(np.ascontiguousarray(points_m, np.float32))
            stretch = torch.from_numpy(np.ascontiguousarray(scale, np.float32))
            which = torch.zeros(len(points), dtype=torch.int64)
            return np.asarray(self.grid.lookup(points, which, stretch)[0].numpy())


class ExactField:
    """Measured on the solid itself, at the size it has: no grid has to be made.

    Args:
        solid: of any size; the scale given in a call is not used, as it is that of the solid already.
        filled: as in `Solid.distance`.
    """

    def __init__(self, solid: Solid, *, filled: bool):
        self.solid, self.filled = solid, filled

    def __call__(self, points_m: Array, scale: Array) -> Array:
        """Distances, see `Field`."""
        return self.solid.distance(points_m, filled=self.filled)
