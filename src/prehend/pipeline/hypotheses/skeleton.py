"""Many poses of one hand's skeleton at once: where their joints are, and a step that turns bones towards wanted places.

The bones are those of one estimate, so that nothing here depends on a hand model or its shape.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import FINGERS, JOINT_PARENTS, JOINTS_FROM_MANO, MANO_PARENTS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.geometry.rotations import hat
from prehend.types import FloatArray

_DRIVEN_BY = np.array([0, *(JOINTS_FROM_MANO[parent] for parent in JOINT_PARENTS[1:])])
"""The one of the 16 joints that turns the bone which ends in each of the 21; the wrist ends none."""
_RAYS = np.arange(1, NUM_JOINTS).reshape(len(FINGERS), 4)
_AT_JOINT = np.array([JOINTS_FROM_MANO.index(bone) for bone in range(NUM_MANO_JOINTS)])


def _moves() -> NDArray[np.float64]:
    """(21, 16) 1 where a joint that rotates moves one of the 21."""
    found = np.zeros((NUM_JOINTS, NUM_MANO_JOINTS))
    for joint in range(1, NUM_JOINTS):
        bone = int(_DRIVEN_BY[joint])
        while bone >= 0:
            found[joint, bone] = 1.0
            bone = MANO_PARENTS[bone]
    return found


_MOVES = _moves()


class WantedJoints(NamedTuple):
    """Where joints should be.

    Attributes:
        places_m: (n, 21, 3) about the wrist [m].
        roots: (21, 3, 3) square roots of the inverse covariances of these places: `roots @ error` has unit variance.
    """

    places_m: FloatArray
    roots: FloatArray


class Looseness(NamedTuple):
    """Standard deviations, about each axis, of what a step may change [rad]: the hand's direction, a finger's joint."""

    hand_rad: float
    finger_rad: float


def spins_of(rotations: FloatArray) -> NDArray[np.float64]:
    """(..., 16, 3, 3) against the parents -> against the camera."""
    spins = np.array(rotations, np.float64)
    for bone, parent in enumerate(MANO_PARENTS[1:], start=1):
        spins[..., bone, :, :] = spins[..., parent, :, :] @ spins[..., bone, :, :]
    return spins


def rotations_of(spins: FloatArray) -> NDArray[np.float64]:
    """(..., 16, 3, 3) against the camera -> against the parents."""
    rotations = np.array(spins, np.float64)
    parents = rotations[..., list(MANO_PARENTS[1:]), :, :]
    rotations[..., 1:, :, :] = np.swapaxes(parents, -1, -2) @ spins[..., 1:, :, :]
    return rotations


def bones_of(joints_m: FloatArray, spins: FloatArray) -> NDArray[np.float64]:
    """(21, 3) the bone that ends in each joint, in the frame of what turns it [m]; the wrist's is 0.

    Args:
        joints_m: (21, 3). spins: (16, 3, 3) against the same frame.
    """
    arms = np.asarray(joints_m, np.float64) - joints_m[[0, *JOINT_PARENTS[1:]]]
    return np.asarray((np.swapaxes(spins[_DRIVEN_BY], 1, 2) @ arms[..., None])[..., 0])


def placed(bones_m: FloatArray, spins: FloatArray) -> NDArray[np.float64]:
    """(n, 21, 3) joints about the wrist of (21, 3) bones turned by (n, 16, 3, 3) [m]."""
    arms = (spins[:, _DRIVEN_BY] @ bones_m[..., None])[..., 0]
    joints = np.zeros_like(arms)
    joints[:, _RAYS] = arms[:, _RAYS].cumsum(2)
    return joints


def pulled(bones_m: FloatArray, spins: FloatArray, wanted: WantedJoints, loose: Looseness) -> NDArray[np.float64]:
    """One Gauss-Newton step of each pose towards where its joints should be.

    Args:
        bones_m: (21, 3). spins: (n, 16, 3, 3) against the camera.
        wanted: for each pose.
        loose: how far the step may go.

    Returns:
        (n, 16, 3, 3) turned.
    """
    joints = placed(bones_m, spins)
    arms = joints[:, :, None] - joints[:, None, _AT_JOINT]
    slope = -hat(arms) * _MOVES[..., None, None]
    slope = np.swapaxes(wanted.roots[:, None] @ slope, 2, 3).reshape(len(spins), 3 * NUM_JOINTS, -1)
    error = (wanted.roots @ (wanted.places_m - joints)[..., None]).reshape(len(spins), -1, 1)
    trust = np.full(3 * NUM_MANO_JOINTS, loose.finger_rad**-2.0)
    trust[:3] = loose.hand_rad**-2.0
    across = np.swapaxes(slope, 1, 2)
    motion = np.linalg.solve(across @ slope + np.diag(trust), across @ error).reshape(-1, NUM_MANO_JOINTS, 3)
    return _turned(spins, motion)


def turns(vectors: FloatArray) -> NDArray[np.float64]:
    """(..., 3) axis times angle -> (..., 3, 3), for small batches in a hurry (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    skew = hat(vectors)
    first, second = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return np.asarray(np.eye(3) + first * skew + second * (skew @ skew))


def _turned(spins: FloatArray, motion: FloatArray) -> NDArray[np.float64]:
    """Every bone turned by its own motion and by those of the bones before it."""
    step = turns(motion)
    for bone, parent in enumerate(MANO_PARENTS[1:], start=1):
        step[:, bone] = step[:, parent] @ step[:, bone]
    return np.asarray(step @ spins)
