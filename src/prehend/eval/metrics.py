"""Measures of hands and of what they hold, as the papers define them (UniHOPE, CVPR 2025, section 4.1).

Pure functions on numpy arrays: metres, pixels and shares in, the same out; reports turn them into millimetres and
percent. Every function takes any number of leading axes unless it says otherwise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prehend.check import check_shape
from prehend.errors import InvalidInput
from prehend.geometry.align import procrustes
from prehend.types import FloatArray

Scores = NDArray[np.float64]

PCK_THRESHOLDS_M: Scores = np.linspace(0, 0.05, 100)
"""Distances at which the curves are sampled [m]: 0 to 50 mm."""

F_THRESHOLDS_M = (0.005, 0.015)
"""Of F@5 and F@15 [m]."""


def root_relative(points_m: FloatArray, root_m: FloatArray) -> Scores:
    """Points seen from the wrist.

    Args:
        points_m: (..., N, 3) joints or vertices [m].
        root_m: (..., 3) wrist of the same hand (joint 0) [m].

    Returns:
        (..., N, 3): the same points with the wrist at the origin.
    """
    points, root = _points("points_m", points_m), np.asarray(root_m, np.float64)
    check_shape("root_m", root, ["...", 3])
    return points - root[..., None, :]


def point_errors(predicted_m: FloatArray, truth_m: FloatArray) -> Scores:
    """(..., N) Euclidean distances [m] of corresponding points (..., N, 3).

    The mean over N of root-relative points is J-PE (joints) or V-PE (vertices); of points in the camera frame it is the
    absolute error.
    """
    predicted, truth = _pair(predicted_m, truth_m)
    return np.asarray(np.linalg.norm(predicted - truth, axis=-1))


def aligned(predicted_m: FloatArray, truth_m: FloatArray) -> Scores:
    """Predicted points after Procrustes alignment (PA) to the true ones: rotation, translation and scale.

    Joints and vertices are aligned each on their own, as the papers do. Reflections are never used. The released
    evaluation scripts of FreiHAND, HO-3D and what builds on them centre both sets, scale them to unit norm and take
    scipy's orthogonal Procrustes, which may reflect: there a mirrored hand scores 0, here it does not. Both agree
    wherever the best orthogonal matrix is a rotation, which holds for any hand that is roughly right; their scale is
    the least-squares scale too.

    Args:
        predicted_m, truth_m: (..., N, 3) corresponding points, N >= 3 [m].

    Returns:
        (..., N, 3) in the frame of the truth [m]; NaN for a set with a point that is not finite.
    """
    predicted, truth = _pair(predicted_m, truth_m)
    where = np.isfinite(predicted).all((-2, -1), keepdims=True) & np.isfinite(truth).all((-2, -1), keepdims=True)
    said, true = np.where(where, predicted, 0.0), np.where(where, truth, 0.0)
    return np.where(where, procrustes(said, true).apply(said), np.nan)


def pck(errors_m: FloatArray, thresholds_m: ArrayLike = PCK_THRESHOLDS_M) -> Scores:
    """Share of correct keypoints at each threshold.

    Args:
        errors_m: (..., N) from `point_errors` [m].
        thresholds_m: (T,) [m].

    Returns:
        (..., T) share of the N points whose error is at most the threshold. As every point counts once in every
        sample, the mean over samples of these is also the mean over keypoints of the papers' curves.
    """
    errors, thresholds = np.sort(np.asarray(errors_m, np.float64), -1), np.asarray(thresholds_m, np.float64)
    check_shape("errors_m", errors, ["...", "N"])
    flat = errors.reshape(-1, errors.shape[-1])
    counts = np.array([np.searchsorted(row, thresholds, side="right") for row in flat])
    return counts.reshape(*errors.shape[:-1], len(thresholds)) / errors.shape[-1]


def auc(curve: FloatArray, thresholds_m: ArrayLike = PCK_THRESHOLDS_M) -> Scores:
    """Area under a curve (..., T) of `pck` by the trapezoid rule, over the range of thresholds: (...) in [0, 1]."""
    values, thresholds = np.asarray(curve, np.float64), np.asarray(thresholds_m, np.float64)
    check_shape("curve", values, ["...", len(thresholds)])
    steps = np.diff(thresholds)
    return np.asarray(((values[..., 1:] + values[..., :-1]) / 2 * steps).sum(-1) / steps.sum())


def f_scores(predicted_m: FloatArray, truth_m: FloatArray, thresholds_m: ArrayLike = F_THRESHOLDS_M) -> Scores:
    """F-score of a mesh: harmonic mean of how much of it is right and how much of the truth it covers.

    Args:
        predicted_m: (..., V, 3) vertices [m]; either root-relative or aligned.
        truth_m: (..., W, 3) vertices in the same frame [m]; the meshes need not have the same vertices.
        thresholds_m: (T,) distance to the nearest vertex of the other mesh below which (`<`) a vertex is right [m].

    Returns:
        (..., T) in [0, 1]; 0 where nothing is right. Distances are exact to about a micrometre.
    """
    predicted, truth = _points("predicted_m", predicted_m), _points("truth_m", truth_m)
    if predicted.shape[:-2] != truth.shape[:-2]:
        raise InvalidInput(f"predicted_m {predicted.shape} and truth_m {truth.shape} differ in their leading axes")
    thresholds = np.asarray(thresholds_m, np.float64)
    lead = predicted.shape[:-2]
    rows = zip(predicted.reshape(-1, *predicted.shape[-2:]), truth.reshape(-1, *truth.shape[-2:]), strict=True)
    scores = [_f_score(*_nearest(one, other), thresholds) for one, other in rows]
    return np.array(scores).reshape(*lead, len(thresholds))


class Found(NamedTuple):
    """How a pose compares with the true one.

    Attributes:
        add_m: () mean distance of the object's points in both poses (ADD).
        adds_m: () mean distance of each true point to the nearest predicted one (ADD-S), never above `add_m`.
        reprojection_px: () mean distance of the points' projections; inf where a point lies behind the camera.
    """

    add_m: float
    adds_m: float
    reprojection_px: float


def pose_errors(predicted: FloatArray, truth: FloatArray, points_m: FloatArray, K: FloatArray) -> Found:
    """Errors of one pose of an object (Hinterstoisser et al., ACCV 2012; Hodan et al., ECCVW 2016).

    Args:
        predicted, truth: (4, 4) T_camera_object.
        points_m: (P, 3) points of its surface in the object frame [m].
        K: (3, 3) intrinsics of the image [px]; distortion is left out, as it is the same for both.
    """
    for name, T in (("predicted", predicted), ("truth", truth)):
        check_shape(name, np.asarray(T), [4, 4])
    points = _points("points_m", points_m)
    said, true = (points @ np.asarray(T)[:3, :3].T + np.asarray(T)[:3, 3] for T in (predicted, truth))
    to_said = _nearest(said, true)[1]
    reprojection = float("inf")
    if (said[:, 2] > 0).all() and (true[:, 2] > 0).all():
        pixels = [(part @ np.asarray(K, np.float64).T) for part in (said, true)]
        reprojection = float(np.linalg.norm(np.subtract(*(p[:, :2] / p[:, 2:] for p in pixels)), axis=-1).mean())
    # rounding may push the nearest point a hair beyond the corresponding one
    add = float(np.linalg.norm(said - true, axis=-1).mean())
    return Found(add, min(float(to_said.mean()), add), reprojection)


def diameter(points_m: FloatArray) -> Scores:
    """(...) diagonal of the axis-aligned box of (..., P, 3) points [m]: what the papers' scripts call the diameter."""
    points = _points("points_m", points_m)
    return np.asarray(np.linalg.norm(points.max(-2) - points.min(-2), axis=-1))


def hit(errors_m: ArrayLike, diameters_m: ArrayLike, factor: float) -> NDArray[np.bool_]:
    """(...) whether a pose counts as right: its ADD(-S) is at most (`<=`) `factor` times the diameter. NaN does not."""
    return np.asarray(np.asarray(errors_m, np.float64) <= factor * np.asarray(diameters_m, np.float64))


def classification(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, float | None]:
    """Accuracy, precision, recall and F1 of yes/no answers (N,); None where nothing is there to be right about."""
    truth, said = np.asarray(truth, bool), np.asarray(said, bool)
    check_shape("said", said, list(truth.shape))
    hits = int((truth & said).sum())
    return {
        "accuracy": float((truth == said).mean()) if len(truth) else None,
        "precision": hits / int(said.sum()) if said.any() else None,
        "recall": hits / int(truth.sum()) if truth.any() else None,
        "f1": 2 * hits / int(truth.sum() + said.sum()) if truth.any() or said.any() else None,
    }


def _points(name: str, points: FloatArray) -> Scores:
    array = np.asarray(points, np.float64)
    check_shape(name, array, ["...", "N", 3])
    return array


def _pair(predicted_m: FloatArray, truth_m: FloatArray) -> tuple[Scores, Scores]:
    predicted, truth = _points("predicted_m", predicted_m), _points("truth_m", truth_m)
    check_shape("truth_m", truth, list(predicted.shape))
    return predicted, truth


def _nearest(one_m: FloatArray, other_m: FloatArray) -> tuple[Scores, Scores]:
    """(V,) distance of each point of (V, 3) to the nearest of (W, 3), and (W,) the other way round [m].

    Which point is nearest is told by squared distances from one matrix product in float32, row by row (a column's
    smallest takes numpy ten times as long); how far it is, by float64.
    """
    center = other_m.mean(0)
    one, other = (np.asarray(points - center, np.float32) for points in (one_m, other_m))
    forth, back = _nearest_rows(one, other), _nearest_rows(other, one)
    return np.linalg.norm(one_m - other_m[forth], axis=1), np.linalg.norm(other_m - one_m[back], axis=1)


def _nearest_rows(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.intp]:
    """(V,) number of the point of (W, 3) that is nearest to each of (V, 3)."""
    # |a - b|^2 without |a|^2, which is the same for all b
    lifted = np.column_stack([-2 * one, np.ones(len(one), np.float32)])
    return (lifted @ np.column_stack([other, (other * other).sum(1)]).T).argmin(1)


def _f_score(forth_m: Scores, back_m: Scores, thresholds_m: Scores) -> Scores:
    precision, recall = ((part[:, None] < thresholds_m).mean(0) for part in (forth_m, back_m))
    both = precision + recall
    return np.asarray(2 * precision * recall / np.where(both > 0, both, 1.0))
