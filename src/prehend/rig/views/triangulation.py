"""Joints from their places in several images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prehend.rig.views.sights import Sight, residuals, robust_weight
from prehend.types import FloatArray

LIMITS = (np.inf, 6.0, 3.0, 3.0)
"""Limits of `robust_weight` in the steps, in standard deviations: the first look is no judge of outliers."""

OWN_STD = 0.25
"""How well one view knows where a joint is, in units of its distance: what keeps joints in place that only one view
sees. Far more than its true error, so that it is no measurement beside a second view."""


class Triangulated(NamedTuple):
    """Points and how well they are known.

    Attributes:
        points_m: (21, 3) in the rig's frame.
        covariance_m2: (21, 3, 3).
        distance_px: (V, 21) from each view's keypoints.
        weight: (V, 21) 0..1, what each counted for beside what it would without its residual.
    """

    points_m: FloatArray
    covariance_m2: FloatArray
    distance_px: FloatArray
    weight: FloatArray


def triangulate(sights: Sequence[Sight], limits: Sequence[float] = LIMITS) -> Triangulated:
    """The points whose projections lie nearest to the keypoints of all views (Hartley and Sturm's optimal
    triangulation with known variances), robust: a view whose keypoint is off drops out for that joint.

    Args:
        sights: of one hand.
        limits: of `robust_weight`, one for each step of Gauss-Newton.
    """
    points, information = _rays(sights)
    own = np.average([sight.joints_m for sight in sights], axis=0, weights=[sight.trust + 1e-6 for sight in sights])
    for limit in limits:
        points, information = _step(sights, points, own, limit)
    distance = np.stack([np.linalg.norm(residuals(sight, points)[0], axis=-1) for sight in sights])
    std = np.stack([sight.std for sight in sights])
    weight = robust_weight(distance, std, limits[-1]) * np.where(np.isfinite(std), std, 0.0) ** 2
    return Triangulated(points, np.linalg.inv(information), distance, np.nan_to_num(weight))


def _rays(sights: Sequence[Sight]) -> tuple[FloatArray, FloatArray]:
    """(21, 3) points nearest to the viewing rays of all views, by the views' own distances, and (21, 3, 3) of that."""
    normal, right = np.zeros((21, 3, 3)), np.zeros((21, 3))
    for sight in sights:
        center = -sight.R.T @ sight.t
        rays = np.column_stack([sight.image / sight.focal, np.ones(len(sight.image))])
        rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True) @ sight.R
        depth = np.linalg.norm(sight.joints_m - center, axis=-1)
        weight = (sight.focal.mean() / (sight.std * depth)) ** 2
        across = weight[:, None, None] * (np.eye(3) - rays[:, :, None] * rays[:, None])
        along = (OWN_STD * depth) ** -2.0
        normal += across + along[:, None, None] * np.eye(3)
        right += across @ center + along[:, None] * sight.joints_m
    return np.linalg.solve(normal, right[..., None])[..., 0], normal


def _step(sights: Sequence[Sight], points: FloatArray, own: FloatArray, limit: float) -> tuple[FloatArray, FloatArray]:
    """One step of Gauss-Newton; `own` is where the views themselves put the joints."""
    away = np.linalg.norm(points - np.stack([-s.R.T @ s.t for s in sights])[:, None], axis=-1).min(0)
    loose = (OWN_STD * np.maximum(away, 0.1)) ** -2.0
    normal = loose[:, None, None] * np.eye(3)
    gradient = loose[:, None] * (points - own)
    for sight in sights:
        residual, jacobian = residuals(sight, points)
        weight = robust_weight(np.linalg.norm(residual, axis=-1), sight.std, limit)
        normal = normal + np.einsum("n,nij,nik->njk", weight, jacobian, jacobian)
        gradient = gradient + np.einsum("n,nij,ni->nj", weight, jacobian, residual)
    return points - np.linalg.solve(normal, gradient[..., None])[..., 0], normal
