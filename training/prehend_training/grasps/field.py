"""Signed distances to one solid at several stretches, for many hands at once."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects import Solid

Array = NDArray[np.floating]


class Field(Protocol):
    """Distances (N, P) [m] at points (N, P, 3) of the object's frame; row k to the solid stretched by scale (N, 3)."""

    def __call__(self, points_m: Array, scale: Array) -> Array: ...  # noqa: D102


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
