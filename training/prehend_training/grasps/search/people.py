"""Whose hands hold objects."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS

Array = NDArray[np.floating]

_CHILDREN = 0.2
_CHILD_SIZE = (-3.0, -1.0)
"""The first beta is the hand's size, 9 % a unit."""


def sample_hands(rng: np.random.Generator, count: int) -> Array:
    """(N, 10) betas of anyone; one in five is a child, with hands of 73 to 91 % of the mean length.

    Sizes are spread wider than among people (`people.gestures.sample_betas`), so that each object has grasps of small
    and of large hands to choose from.
    """
    betas = rng.standard_normal((count, NUM_BETAS)).clip(-3, 3)
    child = rng.random(count) < _CHILDREN
    betas[child, 0] = rng.uniform(*_CHILD_SIZE, int(child.sum()))
    return betas
