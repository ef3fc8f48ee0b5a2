"""Pose of a held object from cues of different kinds: where its control points seem to be, how its box lies, how far it
is."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.geometry.camera import plane_from_pixels
from prehend.geometry.rotations import HALF_TURNS, hat, rotation_between
from prehend.types import Camera, FloatArray

MIN_POINTS = 6
"""Fewer points than this give no pose."""

MOMENTS_WEIGHT = 3.0
"""What an error of the moments counts for beside one of the points over their extent."""

_FOLLOWED, _STEPS, _LEAST_SHRINK = 3, 7, 0.02
_ROWS, _COLUMNS = np.triu_indices(3)
_AXES = hat(np.eye(3))


class DepthCue(NamedTuple):
    """What something says of the distance of an object's centre along the optical axis.

    Attributes:
        depth_m: the distance [m].
        log_std: standard deviation of its logarithm.
    """

    depth_m: float
    log_std: float


class Placed(NamedTuple):
    """A pose, and how well the cues agree with it.

    Attributes:
        T_camera_object: (4, 4) float64.
        shrink: size of the seen points over that of the object at this distance.
        residual: root mean square distance of the seen points from the pose's, shrunk as they are, over the extent of
            these unshrunk.
    """

    T_camera_object: FloatArray
    shrink: float
    residual: float


class _Cues(NamedTuple):
    """What a turn is fitted to: points about the middle over the depth (N, 3), their own moments (3, 3), where they are
    seen on the plane z = 1, square roots of their weights (N, 1), and the six moments or None."""

    X: FloatArray
    own: FloatArray
    seen: FloatArray
    weight: FloatArray
    moments: FloatArray | None


class _Fits(NamedTuple):
    """S turns, middles on the plane z = 1, shrinks, errors of points (S, 2 N) and moments (S, 6 or 0), and what
    `_shown` says of them."""

    R: FloatArray
    centre: FloatArray
    shrink: FloatArray
    residual: FloatArray
    misses: FloatArray
    turned: FloatArray
    away: FloatArray
    shown: FloatArray

    def cost(self) -> FloatArray:
        return np.asarray((self.residual**2).sum(1) + (self.misses**2).sum(1))

    def rows(self, rows: NDArray[np.int_]) -> "_Fits":
        return _Fits(*(values[rows] for values in self))


def place(
    points_m: FloatArray,
    pixels: FloatArray,
    weights: FloatArray,
    camera: Camera,
    depths: Sequence[DepthCue],
    moments: FloatArray | None = None,
) -> Placed | None:
    """Pose of an object that best agrees with all cues.

    A network that is not sure of a turn answers with the middle of what is possible: its points shrink towards each
    other, and a pose from them alone (PnP) is far too far away. So their size is free here, and the distance comes from
    cues of its own.

    Args:
        points_m: (N, 3) control points in the object frame [m]; their mean is the middle of the box.
        pixels: (N, 2) where they seem to be in the image, distorted as the image is [px].
        weights: (N,) of the points, positive.
        camera: of the image.
        depths: cues of the distance, at least one.
        moments: (3, 3) R diag(extents^2) R^T in the camera frame over its trace; None where nobody knows.

    Returns:
        None where fewer than `MIN_POINTS` points are usable or they lie on a line.
    """
    check_shape("points_m", points_m, ["N", 3])
    check_shape("pixels", pixels, [len(points_m), 2])
    plane = plane_from_pixels(pixels, camera)
    rows = np.flatnonzero(np.isfinite(plane).all(-1) & np.isfinite(points_m).all(-1))
    if len(rows) < MIN_POINTS:
        return None
    middle = points_m[rows].mean(0)
    X = points_m[rows] - middle
    if np.linalg.svd(X, compute_uv=False)[1] <= 1e-6:
        return None
    precision = np.array([cue.log_std**-2.0 for cue in depths])
    depth = float(np.exp(np.average([np.log(cue.depth_m) for cue in depths], weights=precision)))
    told = None if moments is None else np.asarray(moments, np.float64)
    weight = np.sqrt(weights[rows] / weights[rows].sum())[:, None]
    cues = _Cues(X / depth, moments_of(np.eye(3), X), plane[rows], weight, _six(told))
    best = _fitted(cues, np.stack(_starts(cues, told)))
    T = np.eye(4)
    T[:3, :3] = best.R[0]
    T[:3, 3] = np.array([*best.centre[0], 1.0]) * depth - best.R[0] @ middle
    if not np.isfinite(T).all():
        return None
    residual = float(np.sqrt((best.residual[0] ** 2).sum()))
    return Placed(T, float(best.shrink[0]), residual)


def moments_of(R: FloatArray, X: FloatArray) -> FloatArray:
    """(..., 3, 3) moments of points (N, 3) about their middle after turns (..., 3, 3), over their trace."""
    own = X.T @ X
    return np.asarray(R @ (own / np.trace(own)) @ np.swapaxes(R, -1, -2))


def _six(M: FloatArray | None) -> FloatArray | None:
    """(..., 3, 3) symmetric -> (..., 6)."""
    return None if M is None else M[..., _ROWS, _COLUMNS]


def _starts(cues: _Cues, moments: FloatArray | None) -> list[FloatArray]:
    """Rotations to start from: of the best affine camera, and what looks alike with the thinnest side turned round; and
    the four ways in which a box can lie so."""
    X, seen, weight = cues.X, cues.seen, cues.weight
    A = np.linalg.lstsq(np.c_[X, np.ones(len(X))] * weight, seen * weight, rcond=None)[0][:3].T
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    top = U @ Vt
    R = np.stack([*top, np.cross(*top)])
    thin = np.ones(3)
    thin[int(np.argmin(np.ptp(X, axis=0)))] = -1
    # the affine camera looks along the ray of the middle
    ray = np.array([*(seen * weight**2).sum(0), 1.0])
    towards = rotation_between(np.array([0.0, 0, 1]), ray / np.linalg.norm(ray))
    starts = [towards @ R, towards @ (np.diag([1.0, 1, -1]) @ R @ np.diag(thin))]
    if moments is None:
        return starts
    own, lying = np.linalg.eigh(cues.own)[1], np.linalg.eigh(moments)[1]
    turned = lying @ own.T
    turned *= np.sign(np.linalg.det(turned))
    return starts + [turned @ own @ half @ own.T for half in (np.eye(3), *HALF_TURNS.values())]


def _fitted(cues: _Cues, R: FloatArray) -> _Fits:
    """The best fit near some rotations (S, 3, 3), of which the best few are followed (Gauss-Newton); S is then 1."""
    middle = (cues.seen * cues.weight**2).sum(0)
    fits = _errors(cues, R, np.repeat(middle[None], len(R), axis=0))
    fits = fits.rows(np.argsort(fits.cost(), kind="stable")[:_FOLLOWED])
    best, least = fits, fits.cost()
    for _ in range(_STEPS):
        step = _step(cues, fits)
        # OpenCV's takes one vector, and a tenth of the time of SciPy's for so few
        turns = np.stack([cv2.Rodrigues(turn)[0] for turn in np.clip(step[:, :3], -0.5, 0.5)])
        fits = _errors(cues, turns @ fits.R, fits.centre + step[:, 3:])
        cost = fits.cost()
        better = cost < least
        if better.all():
            best, least = fits, cost
        elif better.any():
            best = _Fits(*(np.where(_like(better, new), new, old) for new, old in zip(fits, best, strict=True)))
            least = np.where(better, cost, least)
    return best.rows(np.argsort(best.cost(), kind="stable")[:1])


def _like(rows: NDArray[np.bool_], values: FloatArray) -> NDArray[np.bool_]:
    return rows.reshape(-1, *[1] * (values.ndim - 1))


def _shown(cues: _Cues, R: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Turned points (S, N, 3), 1 + z of each (S, N, 1), and where they are seen from the centre (S, N, 2)."""
    turned = cues.X @ R.transpose(0, 2, 1)
    away = np.maximum(1 + turned[..., 2:], 0.1)
    return turned, away, (centre[:, None] + turned[..., :2]) / away - centre[:, None]


def _errors(cues: _Cues, R: FloatArray, centre: FloatArray) -> _Fits:
    """Errors of poses, with the best shrink of each."""
    turned, away, seen_at = _shown(cues, R, centre)
    shown = seen_at * cues.weight
    wanted = (cues.seen - centre[:, None]) * cues.weight
    squares = (shown**2).sum((1, 2)).clip(1e-18)
    shrink = np.maximum((shown * wanted).sum((1, 2)) / squares, _LEAST_SHRINK)
    # points that lie close together say little of the turn
    residual = (wanted - shrink[:, None, None] * shown) / np.sqrt(squares)[:, None, None]
    misses: FloatArray = np.zeros((len(R), 0))
    if cues.moments is not None:
        misses = MOMENTS_WEIGHT * (np.asarray(_six(R @ cues.own @ R.transpose(0, 2, 1))) - cues.moments)
    return _Fits(R, centre, shrink, residual.reshape(len(R), -1), misses, turned, away, seen_at)


def _step(cues: _Cues, fits: _Fits) -> FloatArray:
    """(S, 5) turn about the three axes of the camera [rad] and shift of the middle that make the errors smallest."""
    away = fits.away[..., 0]
    extent = np.sqrt(((fits.shown * cues.weight) ** 2).sum((1, 2)).clip(1e-18))[:, None]
    scaled, shrink = cues.weight[:, 0] / extent, fits.shrink[:, None]
    x, y, z = fits.turned[..., 0], fits.turned[..., 1], fits.turned[..., 2]
    at = fits.shown + fits.centre[:, None]
    u, v = at[..., 0], at[..., 1]
    # a turn w moves a point p by w x p, and what is seen of it by (dx - u dz, dy - v dz) over its depth
    J: FloatArray = np.zeros((*away.shape, 2, 5))
    J[..., 0, 0], J[..., 1, 0] = -u * y, -z - v * y
    J[..., 0, 1], J[..., 1, 1] = z + u * x, v * x
    J[..., 0, 2], J[..., 1, 2] = -y, x
    J[..., :3] *= (-shrink * scaled / away)[..., None, None]
    J[..., 0, 3] = J[..., 1, 4] = -(1 + shrink * (1 / away - 1)) * scaled
    J, errors = J.reshape(len(away), -1, 5), fits.residual
    if cues.moments is not None:
        turns = _AXES @ (fits.R @ cues.own @ fits.R.transpose(0, 2, 1))[:, None]
        rows = MOMENTS_WEIGHT * np.asarray(_six(turns + np.swapaxes(turns, -1, -2)))
        J = np.concatenate([J, np.pad(rows.transpose(0, 2, 1), ((0, 0), (0, 0), (0, 2)))], axis=1)
        errors = np.concatenate([errors, fits.misses], axis=1)
    normal = J.transpose(0, 2, 1) @ J
    normal += 1e-6 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(5)
    return -np.linalg.solve(normal, J.transpose(0, 2, 1) @ errors[..., None])[..., 0]
