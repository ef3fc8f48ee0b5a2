"""How fingers are bent by a depth image: as far as skin and keypoints ask for it, and what the network errs allows.

`fit` finds how a hand lies as a whole. From there on place, turns of all joints and size (52 numbers) are found
together by Gauss-Newton from the same measurements, held by what the network's rotations err (`pose_refine`: the
covariance goes with the weights). Its inverse at the end says how sure each joint is.
"""

from typing import NamedTuple

import numpy as np

from prehend.conventions import NUM_MANO_JOINTS
from prehend.geometry.camera import focal_projection
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.model import HandModel
from prehend.hand_model.skinning import skin, spins_of
from prehend.pipeline.depth.fit import Places, WeightedErrors, keypoint_errors, skin_errors
from prehend.pipeline.depth.skin import Skin, cross
from prehend.pipeline.networks.pose_refine import LONGEST_TURN, TURNING, TURNS, PosePrior, joints_by_turns
from prehend.types import Camera, FloatArray

SKIN_STD_M = 0.002
"""How far the skin of a hand is off the model's that lies and is bent as it [m]."""

LIKE_STD = 3.0
"""Keypoints of a hand err together: each counts as if its standard deviation were so many times as large."""

WIDER, ROOT_WIDER = 1.7, 6.0
"""Rotations are off so many times as far as the covariance says, which is a robust one; the second is for the wrist's:
one hand in four is turned wrong by far more."""

SIZE_LOG_STD = 0.2
"""A network tells nothing of the size: hands differ by half of that, children's by more."""

FREE_M = 100.0
"""The hand's place is free: that far off [m]."""

_PLACE, _TURNED, _SIZE = slice(0, 3), slice(3, 3 + TURNS), 3 + TURNS
_UNKNOWNS = _SIZE + 1


class Bent(NamedTuple):
    """A hand that depth bent.

    Attributes:
        rotations: (16, 3, 3) of its joints.
        betas: (10,) its shape.
        joints_m: (21, 3) in the camera frame [m].
        vertices_m: (V, 3) [m].
        wrist_covariance: (3, 3) of the wrist's place [m2].
        joint_variance: (21,) of the joints' places about the wrist, summed over the axes [m2].
    """

    rotations: FloatArray
    betas: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    wrist_covariance: FloatArray
    joint_variance: FloatArray


class HandInDepth(NamedTuple):
    """What is seen of a hand.

    Attributes:
        skin: that the camera sees.
        places: of its joints.
        depth_m: (H, W) aligned to the image [m].
        camera: of the image.
        depth_std: standard deviation of the depth camera, in units of the depth.
    """

    skin: Skin
    places: Places
    depth_m: FloatArray
    camera: Camera
    depth_std: float


class Posed(NamedTuple):
    """A hand on the way: as in `Bent`, and the logarithm of its size in units of the network's."""

    rotations: FloatArray
    log_size: float
    joints_m: FloatArray
    vertices_m: FloatArray


def bend(
    start: Posed,
    betas: FloatArray,
    model: HandModel,
    prior: PosePrior,
    sight: HandInDepth,
    reaches_m: tuple[float, ...],
) -> Bent | None:
    """A hand with its fingers bent as depth has them.

    Args:
        start: as `fit` has it.
        betas: (10,) the network's.
        model: of its side.
        prior: what the network says of the rotations, and how far it errs.
        sight: what is seen of it.
        reaches_m: for each step, see `fit.REACHES_M`.

    Returns:
        None where there is no sound answer.
    """
    now, known = start, _known(prior)
    shares = model.turned_by[sight.skin.corners].mean(1).astype(np.float64)
    about, normal = np.zeros((len(now.joints_m), 3, _UNKNOWNS)), known
    for reach_m in reaches_m:
        spins = spins_of(now.rotations)
        by_all = _joints_by_all(now, spins)
        normal, pull = known, known @ _away(now, prior)
        for J, (error, weight) in (
            _skin_rows(sight, now, spins, shares, reach_m),
            _keypoint_rows(sight.places, now, by_all),
        ):
            weighted = J.T * weight
            normal, pull = normal + weighted @ J, pull + weighted @ error
        if not np.isfinite(normal).all():
            return None
        now, about = _stepped(now, -np.linalg.solve(normal, pull), betas, model), by_all - by_all[:1]
    covariance = np.linalg.inv(normal)
    variance = ((about @ covariance) * about).sum((1, 2))
    if not (np.isfinite(now.vertices_m).all() and (now.joints_m[:, 2] > 0).all() and (variance >= 0).all()):
        return None
    shape = model.grown(betas, float(np.exp(now.log_size)))
    return Bent(now.rotations, shape, now.joints_m, now.vertices_m, covariance[_PLACE, _PLACE], variance)


def _away(now: Posed, prior: PosePrior) -> FloatArray:
    """(52,) how far a hand is from what is known without depth."""
    turned = prior.rotations.swapaxes(-1, -2) @ now.rotations
    angle = np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1))
    sines = np.stack([turned[:, 2, 1] - turned[:, 1, 2], turned[:, 0, 2] - turned[:, 2, 0]], -1) / 2
    sines = np.concatenate([sines, (turned[:, 1, 0] - turned[:, 0, 1])[:, None] / 2], -1)
    turns = sines / np.maximum(np.sinc(angle / np.pi), 0.05)[:, None]  # half a turn has no axis: there it pulls less
    return np.concatenate([np.zeros(3), turns.ravel(), [now.log_size]])


def _posed(rotations: FloatArray, log_size: float, wrist_m: FloatArray, betas: FloatArray, model: HandModel) -> Posed:
    posed = skin(model, rotations, model.grown(betas, float(np.exp(log_size))))
    shift = np.asarray(wrist_m, np.float64) - posed.joints[0]
    return Posed(rotations, log_size, posed.joints + shift, posed.vertices + shift.astype(np.float32))


def _stepped(now: Posed, step: FloatArray, betas: FloatArray, model: HandModel) -> Posed:
    turns = step[_TURNED].reshape(NUM_MANO_JOINTS, 3)
    length = np.linalg.norm(turns, axis=-1, keepdims=True)
    turns = turns * np.minimum(1.0, LONGEST_TURN / np.maximum(length, 1e-9))
    rotations = now.rotations @ matrix_from_axis_angle(turns)
    log_size = now.log_size + float(np.clip(step[_SIZE], -1, 1))
    return _posed(rotations, log_size, now.joints_m[0] + step[_PLACE], betas, model)


def _known(prior: PosePrior) -> FloatArray:
    """(52, 52) inverse covariance of what is known without depth."""
    wider = np.full(TURNS, WIDER)
    wider[:3] = ROOT_WIDER
    known = np.zeros((_UNKNOWNS, _UNKNOWNS))
    known[_PLACE, _PLACE] = np.eye(3) * FREE_M**-2
    known[_TURNED, _TURNED] = np.linalg.inv(prior.covariance * np.outer(wider, wider))
    known[_SIZE, _SIZE] = SIZE_LOG_STD**-2
    return known


def _joints_by_all(now: Posed, spins: FloatArray) -> FloatArray:
    """(21, 3, 52) derivative of the joints."""
    J = np.empty((len(now.joints_m), 3, _UNKNOWNS))
    J[..., _PLACE] = np.eye(3)
    J[..., _TURNED] = joints_by_turns(now.joints_m, spins)
    J[..., _SIZE] = now.joints_m - now.joints_m[0]
    return J


def _skin_rows(
    sight: HandInDepth, now: Posed, spins: FloatArray, shares: FloatArray, reach_m: float
) -> tuple[FloatArray, WeightedErrors]:
    """Derivatives (N, 52) and errors of the skin: a turn about the axis a of a joint moves a point by a x arm."""
    lying = sight.skin.of(now.vertices_m)
    points, normals = lying.points_m, lying.normals
    count = len(points)
    arms = points[None] - now.joints_m[TURNING][:, None]
    levers = cross(arms.reshape(-1, 3), np.tile(normals, (NUM_MANO_JOINTS, 1))).reshape(NUM_MANO_JOINTS, count, 3)
    J = np.empty((count, _UNKNOWNS))
    J[:, _PLACE] = normals
    J[:, _TURNED] = (levers @ spins * shares.T[..., None]).swapaxes(0, 1).reshape(count, TURNS)
    J[:, _SIZE] = (normals * (points - now.joints_m[0])).sum(-1)
    std_m = np.hypot(SKIN_STD_M, sight.depth_std * points[:, 2])
    return J, skin_errors(lying, sight.depth_m, sight.camera, reach_m, std_m)


def _keypoint_rows(places: Places, now: Posed, by_all: FloatArray) -> tuple[FloatArray, WeightedErrors]:
    """Derivatives (42, 52) and errors of the joints in the image."""
    shown, by_place = focal_projection(now.joints_m, places.focal)
    return (by_place @ by_all).reshape(-1, _UNKNOWNS), keypoint_errors(places, shown, LIKE_STD * places.std_px)
