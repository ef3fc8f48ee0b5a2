"""Move a shape from one hand model to another, for users who want the mesh of their own model."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.conventions import NUM_BETAS
from prehend.hand_model.model import HandModel


def betas_for_joints(
    target: HandModel, source: HandModel, betas: ArrayLike, ridge_m: float = 2e-4
) -> NDArray[np.float32]:
    """Shape of `target` whose joints in the zero pose lie where those of `source` with `betas` lie.

    The wrists are put on each other first. Both models must be of one side, in one frame.

    Args:
        target: model whose shape is wanted.
        source: model that `betas` belong to.
        betas: (10,) shape of `source`.
        ridge_m: distance [m] that one unit of beta is worth: how strongly the answer is pulled to the mean.

    Returns:
        (10,) betas of `target`: the ridge least squares answer.

    Raises:
        InvalidInput: `betas` has another shape.
    """
    shape = np.asarray(betas, np.float64)
    check_shape("betas", shape, [NUM_BETAS])
    wanted = source.joints_template + source.joints_shapedirs @ shape
    missing = (wanted[1:] - wanted[0]) - (target.joints_template[1:] - target.joints_template[0])
    directions = (target.joints_shapedirs[1:] - target.joints_shapedirs[0]).reshape(-1, NUM_BETAS).astype(np.float64)
    normal = directions.T @ directions + ridge_m**2 * np.eye(NUM_BETAS)
    return np.linalg.solve(normal, directions.T @ missing.ravel()).astype(np.float32)
