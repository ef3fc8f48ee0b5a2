"""Rigid transforms as 4 x 4 matrices, named `T_target_source`."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def rigid(R: Array, t: Array) -> NDArray[np.float64]:
    """(4, 4) of a rotation (3, 3) and a translation of three numbers."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, np.ravel(t)
    return T


def inverse(T: Array) -> NDArray[np.float64]:
    """Inverse of a rigid (4, 4)."""
    return rigid(T[:3, :3].T, -T[:3, :3].T @ T[:3, 3])
