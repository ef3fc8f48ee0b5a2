"""The pose, shape and place of one hand that agree best with its keypoints in all views at once.

Bundle adjustment with one object, the hand model, whose bones keep their lengths; where the views say little (a joint
that none sees, a bone's own turn) the pose stays with what the views' networks say.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prehend.conventions import MANO_PARENTS, NUM_MANO_JOINTS
from prehend.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from prehend.hand_model.model import HandModel
from prehend.hand_model.skeleton import NUM_PARAMETERS, Posture, Skeleton, moved
from prehend.rig.views.sights import Sight, residuals, robust_weight
from prehend.types import FloatArray

LIMITS = (np.inf, 8.0, 4.0, 3.0, 3.0, 3.0)
"""Limits of `robust_weight` in the steps, in standard deviations."""

CORRELATED_JOINTS = 4
"""Joints that err together: so many keypoints count as one measurement in the covariance."""

_LONGEST_TURN = 0.6
_LEAST_WEIGHT = 0.25


class Prior(NamedTuple):
    """What is known of a hand before its keypoints are looked at.

    Attributes:
        posture: where the fit begins, and what it is drawn to but for the place.
        rotation_std: (16,) standard deviations of the rotations [rad].
        betas_std: (10,).
    """

    posture: Posture
    rotation_std: FloatArray
    betas_std: FloatArray


class PoseFit(NamedTuple):
    """A hand in the rig's frame.

    Attributes:
        posture: of the hand model.
        joints_m: (21, 3).
        covariance_m2: (21, 3, 3) of the joints.
        distance_px: (V, 21) of the projected joints from each view's keypoints.
        used: (V, 21) bool, keypoints that count.
    """

    posture: Posture
    joints_m: FloatArray
    covariance_m2: FloatArray
    distance_px: FloatArray
    used: FloatArray


def fit_pose(sights: Sequence[Sight], prior: Prior, model: HandModel, limits: Sequence[float] = LIMITS) -> PoseFit:
    """Fit the hand model to the keypoints of its views (Gauss-Newton, robust).

    Args:
        sights: of one hand, in at least one view.
        prior: as good as the views' own answers.
        model: of the hand's side, without forearm.
        limits: of `robust_weight`, one a step.
    """
    skeleton = Skeleton(model)
    posture = prior.posture
    skeleton.settle(posture)
    for limit in limits:
        joints, derivative, spins = skeleton.with_derivative(posture)
        normal, gradient = _measured(sights, joints, derivative, limit)
        _add_prior(normal, gradient, posture, prior, spins)
        step = -np.linalg.solve(normal, gradient)
        turns = step[3 : 3 + 3 * NUM_MANO_JOINTS].reshape(-1, 3)
        turns = turns * np.minimum(1.0, _LONGEST_TURN / np.maximum(np.linalg.norm(turns, axis=-1), 1e-9))[:, None]
        posture = moved(posture, step, spins, matrix_from_axis_angle(turns))
    skeleton.settle(posture)
    joints, derivative, spins = skeleton.with_derivative(posture)
    distance = np.stack([np.linalg.norm(residuals(sight, joints)[0], axis=-1) for sight in sights])
    std = np.stack([sight.std for sight in sights])
    weight = robust_weight(distance, std, limits[-1]) * np.where(np.isfinite(std), std, 0.0) ** 2
    normal, gradient = _measured(sights, joints, derivative, limits[-1])
    _add_prior(normal, gradient, posture, prior, spins)
    # of residuals that are larger than they should be, the standard deviations are too
    inliers = weight > _LEAST_WEIGHT
    scale = max(float(np.mean((distance[inliers] / std[inliers]) ** 2)) / 2, 1.0) if inliers.any() else 1.0
    spread = np.linalg.inv(normal) * scale * CORRELATED_JOINTS
    covariance = derivative @ spread @ np.swapaxes(derivative, -1, -2)
    return PoseFit(posture, joints, covariance, distance, inliers)


def _measured(
    sights: Sequence[Sight], joints: FloatArray, derivative: FloatArray, limit: float
) -> tuple[FloatArray, FloatArray]:
    """(61, 61) and (61,) of the normal equations, from the keypoints."""
    information, pull = np.zeros((len(joints), 3, 3)), np.zeros((len(joints), 3))
    for sight in sights:
        residual, jacobian = residuals(sight, joints)
        weight = robust_weight(np.linalg.norm(residual, axis=-1), sight.std, limit)
        information += np.einsum("n,nij,nik->njk", weight, jacobian, jacobian)
        pull += np.einsum("n,nij,ni->nj", weight, jacobian, residual)
    flat = derivative.reshape(-1, NUM_PARAMETERS)
    return flat.T @ (information @ derivative).reshape(-1, NUM_PARAMETERS), flat.T @ pull.ravel()


def _add_prior(normal: FloatArray, gradient: FloatArray, posture: Posture, prior: Prior, spins: FloatArray) -> None:
    """The pull towards the prior's rotations and betas; the place has next to none."""
    outer = np.concatenate([np.eye(3)[None], spins[list(MANO_PARENTS[1:])]])
    off = axis_angle_from_matrix(posture.rotations @ np.swapaxes(prior.posture.rotations, -1, -2))
    off = (outer @ off[..., None])[..., 0]
    weight = np.concatenate([np.full(3, 1e-6), np.repeat(prior.rotation_std**-2.0, 3), prior.betas_std**-2.0])
    error = np.concatenate([np.zeros(3), off.ravel(), posture.betas - prior.posture.betas])
    normal[np.diag_indices(NUM_PARAMETERS)] += weight
    gradient += weight * error


def start_translation(points_m: FloatArray, model: HandModel, posture: Posture) -> FloatArray:
    """(3,) translation that puts a pose's joints on points (21, 3), by the median over the joints."""
    joints = Skeleton(model).joints(posture._replace(translation_m=np.zeros(3)))
    return np.asarray(np.median(points_m - joints, axis=0))
