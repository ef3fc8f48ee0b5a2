"""The points of an object that the network places in the image."""

import numpy as np
from numpy.typing import ArrayLike

from prehend.check import check_shape
from prehend.types import FloatArray

_SIGNS = np.array(
    # 8 corners, x fastest, then y, then z
    [[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
    # middles of the 4 edges at the low z, then at the high z: on the sides -x, +x, +y, -y
    + [[x, y, z] for z in (-1, 1) for x, y in ((-1, 0), (1, 0), (0, 1), (0, -1))]
    # middles of the 4 edges along z
    + [[-1, 1, 0], [-1, -1, 0], [1, 1, 0], [1, -1, 0]]
    + [[0, 0, 0]],
    np.float64,
)

MIRRORED_ORDER: tuple[int, ...] = tuple(
    int(np.flatnonzero((sign * [1, -1, 1] == _SIGNS).all(-1))[0]) for sign in _SIGNS
)
"""Order of the control points after a reflection: what the network sees of an object beside a mirrored (left) hand is
again a right-handed box, that of the object reflected in its own xz plane (every solid of the catalogue is its own
reflection there). So `mirrored_px = mirror(points_px)[MIRRORED_ORDER]`, and the same again takes them back."""


def control_points(extents_m: ArrayLike, center_m: ArrayLike = (0.0, 0.0, 0.0)) -> FloatArray:
    """The 21 points of an object's axis-aligned box whose pixels the network gives.

    Args:
        extents_m: (..., 3) side lengths of the box [m].
        center_m: (..., 3) its centre in the object frame [m].

    Returns:
        (..., 21, 3) float64 in the object frame [m]: 8 corners (x changes fastest, then y, then z, low before
        high); the middles of the 4 edges at low z (on the sides -x, +x, +y, -y), of the 4 at high z (same
        order), of the 4 along z (-x+y, -x-y, +x+y, +x-y); the centre.
    """
    extents, center = np.asarray(extents_m, np.float64), np.asarray(center_m, np.float64)
    check_shape("extents_m", extents, ["...", 3])
    check_shape("center_m", center, ["...", 3])
    return center[..., None, :] + extents[..., None, :] / 2 * _SIGNS
