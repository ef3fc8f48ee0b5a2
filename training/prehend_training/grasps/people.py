"""Whose hands hold things."""

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS

Array = NDArray[np.floating]


def sample_hands(rng: np.random.Generator, count: int) -> Array:
    """(N, 10) betas of anyone."""
    return rng.standard_normal((count, NUM_BETAS))
