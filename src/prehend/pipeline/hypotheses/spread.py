"""How far a hand may be off: the errors that hypotheses begin with, and the covariances that they end as.

The two scales were fitted by `prehend-train hhmr hypotheses` on 1,024 crops that the networks were not trained on (the
run `u6` of training/RUNS.md); with the weights of `u7` 70 % of seen joints and 67 % of hidden ones are within, see
docs/HHMR.md.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, NUM_JOINTS
from prehend.geometry.rotations import nearest_rotation
from prehend.pipeline.hypotheses.skeleton import WantedJoints, bones_of, spins_of, turns
from prehend.pipeline.networks.uncertainty import SAID_M, joint_std, metres_per_pixel
from prehend.types import FloatArray, HandEstimate

UNTOLD_PX = 4.0
"""Standard deviation of a keypoint of weights that do not tell it [px]."""

TURN_RAD = 0.2
"""About each axis, of the hand's direction where the network says `SAID_M` of its keypoints on average; it grows with
that."""

ACROSS, ALONG = 1.0, 1.5
"""Standard deviation of a joint across the viewing ray and along it, over what the network says of its keypoint."""

LEAST_M = 0.003
"""A place is never taken to be better than this [m]."""

OWN_SHARE = 0.3
"""What the hypotheses' own covariance counts for; the rest is the isotropic one that the network's word gives. Of so
few samples a covariance is too rough to stand alone (Ledoit and Wolf, 2004)."""

SCALE = {"seen": 0.88, "hidden": 0.96}
"""Of the standard deviations, so that .68 of the true joints are within the ellipsoid that holds .68 of a Gaussian."""

ELLIPSOID = 1.873
"""Radius of that ellipsoid in three dimensions, in standard deviations: the root of chi squared's quantile."""

_FLIP = MIRROR.diagonal()


class Told(NamedTuple):
    """What an estimate says of a hand, as of a right one: a left one is mirrored.

    Attributes:
        joints_m: (21, 3) about the wrist, in the camera's directions [m].
        spins: (16, 3, 3) against the camera.
        bones_m: (21, 3), see `skeleton.bones_of`.
        std_m: (21, 3, 3) root of the covariance of each joint's place.
        roots: (21, 3, 3) root of its inverse.
        turn_rad: standard deviation of the hand's direction about each axis.
        seen: (21,) which joints are seen.
    """

    joints_m: FloatArray
    spins: FloatArray
    bones_m: FloatArray
    std_m: FloatArray
    roots: FloatArray
    turn_rad: float
    seen: NDArray[np.bool_]


class Draws(NamedTuple):
    """The errors of n hypotheses of one hand, which stay as long as it is followed: (n, 21, 3) of joints, (n, 3) of the
    hand's direction, both with mean 0 and variance 1 over the hypotheses, and (n, V, 3) noise of the mesh."""

    joints: FloatArray
    turn: FloatArray
    noise: FloatArray


def told_by(hand: HandEstimate) -> Told:
    """What an estimate says of a hand."""
    flip = hand.side == "left"
    joints = np.asarray(hand.joints_m, np.float64) * (_FLIP if flip else 1.0)
    rotations = nearest_rotation(hand.rotations)  # networks' are only about, and offsets are multiplied on and on
    spins = spins_of(MIRROR @ rotations @ MIRROR if flip else rotations)
    said = keypoint_std_m(hand)
    ray = joints / np.maximum(np.linalg.norm(joints, axis=1, keepdims=True), 1e-9)
    along = ray[:, :, None] * ray[:, None]
    across, far = (np.maximum(factor * said, LEAST_M)[:, None, None] for factor in (ACROSS, ALONG))
    about = joints - joints[0]
    return Told(
        joints_m=about,
        spins=spins,
        bones_m=bones_of(about, spins),
        std_m=across * (np.eye(3) - along) + far * along,
        roots=(np.eye(3) - along) / across + along / far,
        turn_rad=TURN_RAD * float(said[1:].mean()) / SAID_M,
        seen=np.asarray(hand.visible, np.bool_),
    )


def keypoint_std_m(hand: HandEstimate) -> FloatArray:
    """(21,) standard deviation of the keypoints along an axis, as a distance at the hand [m]."""
    said = np.full(NUM_JOINTS, UNTOLD_PX) if hand.keypoint_std_px is None else np.asarray(hand.keypoint_std_px)
    return np.asarray(said * metres_per_pixel(hand.joints_m, hand.keypoints_px), np.float64)


def drawn(count: int, noise_shape: tuple[int, int], seed: int) -> Draws:
    """The errors of a hand that is followed for the first time."""
    rng = np.random.default_rng(seed)
    joints, turn = (_even(rng.normal(size=(count, *shape))) for shape in ((NUM_JOINTS, 3), (3,)))
    return Draws(joints, turn, rng.normal(size=(count, *noise_shape)))


def _even(values: FloatArray) -> FloatArray:
    """Values whose mean over the first axis is 0 and whose variance is 1, as those of many would be."""
    off = values - values.mean(0)
    return np.asarray(off / np.sqrt((off**2).mean(0)))


def wanted_of(told: Told, draws: Draws) -> tuple[WantedJoints, FloatArray]:
    """Where the joints of each hypothesis are drawn to, and the (n, 3, 3) turn of its hand."""
    turn = turns(draws.turn * told.turn_rad)
    off = (told.std_m @ draws.joints[..., None])[..., 0]
    places = ((told.joints_m + off)[:, :, None] * turn[:, None]).sum(3)
    return WantedJoints(places, told.roots), turn


def covariances(joints_m: FloatArray, hand: HandEstimate) -> NDArray[np.float64]:
    """(21, 3, 3) covariances of a hand's joints about the wrist, in the camera's directions [m2].

    Args:
        joints_m: (n, 21, 3) of its hypotheses. hand: the estimate.
    """
    about = np.asarray(joints_m - joints_m[:, :1], np.float64)
    off = about - about.mean(0)
    own = np.einsum("njk,njl->jkl", off, off) / len(off)
    told = hand if hand.keypoint_std_px is not None else None
    whole = None if told is None else joint_std(told)
    std = np.asarray(ACROSS * keypoint_std_m(hand) if whole is None else whole / ELLIPSOID)
    std[0] = 0.0
    mixed = OWN_SHARE * own + (1 - OWN_SHARE) * std[:, None, None] ** 2 * np.eye(3)
    scale = np.where(hand.visible, SCALE["seen"], SCALE["hidden"])
    return np.asarray(scale[:, None, None] ** 2 * mixed)
