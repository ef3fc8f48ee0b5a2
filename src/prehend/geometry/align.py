"""Least-squares alignment of point sets, never with a reflection."""

from typing import NamedTuple

import numpy as np

from prehend.check import check_shape
from prehend.geometry.rotations import nearest_rotation
from prehend.types import FloatArray


class Similarity(NamedTuple):
    """`p_target = scale * R @ p_source + t`.

    Attributes:
        scale: (...) without unit.
        R: (..., 3, 3).
        t: (..., 3) in the unit of the points.
    """

    scale: FloatArray
    R: FloatArray
    t: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """(..., N, 3) in the source frame -> (..., N, 3) in the target frame."""
        turned = points @ np.swapaxes(self.R, -1, -2)
        return self.scale[..., None, None] * turned + self.t[..., None, :]


def procrustes(
    source: FloatArray, target: FloatArray, weights: FloatArray | None = None, with_scale: bool = True
) -> Similarity:
    """The similarity or rigid motion that takes one point set closest to another (Umeyama, PAMI 1991).

    Args:
        source, target: (..., N, 3) corresponding points, N >= 3.
        weights: (..., N) >= 0, not all zero; None weighs all the same.
        with_scale: False fixes the scale to 1.

    Returns:
        The transform with the smallest weighted sum of squared distances among those that are no reflection.
        Where all source points coincide the scale is 1.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    check_shape("source", source, ["...", "N", 3])
    check_shape("target", target, ["...", source.shape[-2], 3])
    w = np.ones(source.shape[:-1]) if weights is None else np.asarray(weights, np.float64)
    w = (w / w.sum(-1, keepdims=True))[..., None]
    mean_source, mean_target = (w * source).sum(-2), (w * target).sum(-2)
    centred_source = source - mean_source[..., None, :]
    centred_target = target - mean_target[..., None, :]
    covariance = np.swapaxes(w * centred_target, -1, -2) @ centred_source
    R = nearest_rotation(covariance)
    scale = np.ones(R.shape[:-2])
    if with_scale:
        variance = (w * centred_source**2).sum((-1, -2))
        gain = np.trace(np.swapaxes(R, -1, -2) @ covariance, axis1=-2, axis2=-1)
        scale = np.where(variance > 0, gain / np.where(variance > 0, variance, 1.0), 1.0)
    t = mean_target - scale[..., None] * (R @ mean_source[..., None])[..., 0]
    return Similarity(scale, R, t)
