"""The pose that goes best with the keypoints: joints hang on bones of known length, so where they are seen in the image
says how a hand is turned and bent, beside what the network says of that itself.

The network reads rotations and keypoints from the same crop, and its rotations err by more: with the keypoints as
further measurements a Kalman update moves the rotations by what their errors on held-out hands allow; further steps,
linearised anew, change nothing that could be measured. Those go with the weights: `rotations` of the manifest's
`calibration`, which `prehend-train calibrate` fits. docs/DEVIATIONS.md has what it brings.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from prehend.conventions import JOINTS_FROM_MANO, NUM_MANO_JOINTS, Side
from prehend.errors import WeightsMismatch, one_line
from prehend.geometry.camera import focal_projection, plane_from_pixels
from prehend.geometry.root import MIN_DEPTH_M, MIN_JOINTS
from prehend.geometry.rotations import hat, matrix_from_axis_angle
from prehend.hand_model.skeleton import MOVES, Posture
from prehend.hand_model.skinning import spins_of
from prehend.types import Camera, FloatArray

TURNS = 3 * NUM_MANO_JOINTS

ROTATIONS = "rotations"
"""Of the manifest's `calibration`."""

LEAST_STD = 0.01
"""No keypoint is better than this, in units of the hand's longer side in the image."""

CORRELATED_JOINTS = 2
"""Joints of a finger err together: so many keypoints count as one measurement."""

DISTANCE_STD = 0.01
"""The middle of the joints stays as far away as it was, to this share: size and distance are `geometry.root`'s task."""

PLACE_STD_M = 1.0
"""The wrist's place beside that: free."""

LONGEST_TURN = 0.6
"""No joint is turned by more than this [rad]: an answer that is so far off is no matter of measurement."""

LEAST_EIGENVALUE = 1e-3
"""Of the correlations, which the manifest rounds."""

TURNING = np.argsort(JOINTS_FROM_MANO)[:NUM_MANO_JOINTS]
"""MANO's joints among the 21."""

_MIRROR = np.tile([1.0, -1.0, -1.0], NUM_MANO_JOINTS)
"""Turns of a left hand as those of its mirror image, a right one."""


class PosePrior(NamedTuple):
    """What a network says of a hand's rotations: (16, 3, 3), the first to the camera frame, and the (48, 48) covariance
    of its errors, for this side [rad2]."""

    rotations: FloatArray
    covariance: FloatArray


def pose_covariance(manifest: Mapping[str, Any]) -> FloatArray | None:
    """(48, 48) covariance of the errors of the network's rotations [rad^2], None of weights that do not tell.

    An error is the turn of a joint, about its own axes, from the network's rotation to the true one, of right hands.

    Raises:
        WeightsMismatch: the manifest's `calibration` of the rotations is garbled.
    """
    told = manifest.get("calibration", {}).get(ROTATIONS)
    if told is None:
        return None
    try:
        std = np.asarray(told["std_rad"], np.float64).reshape(TURNS)
        upper = np.asarray(told["correlation_percent"], np.float64).reshape(TURNS * (TURNS - 1) // 2) / 100
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsMismatch(f"the weights' calibration of rotations is garbled: {one_line(error, 80)}") from error
    sound = np.isfinite(std).all() and (std > 0).all() and (std < np.pi).all()
    if not (sound and np.isfinite(upper).all() and (np.abs(upper) <= 1).all()):
        raise WeightsMismatch("the weights' calibration of rotations has numbers that are no standard deviations [rad]")
    correlation = np.eye(TURNS)
    correlation[np.triu_indices(TURNS, 1)] = upper
    values, vectors = np.linalg.eigh(correlation, "U")
    correlation = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    return np.asarray(correlation * np.outer(std, std))


def refine_pose(
    start: Posture,
    joints_m: FloatArray,
    keypoints_px: FloatArray,
    std_px: FloatArray,
    camera: Camera,
    side: Side,
    covariance: FloatArray,
) -> Posture | None:
    """A hand's rotations and place after its keypoints are taken for measurements; its shape stays.

    Args:
        start: what the network says, where `geometry.root.fit_root` puts it in the camera frame.
        joints_m: (21, 3) its joints in the camera frame [m].
        keypoints_px: (21, 2) in the image [px].
        std_px: (21,) standard deviations along an axis [px]; infinite for those that shall not count.
        camera: of the image.
        side: of the hand.
        covariance: of `pose_covariance`.

    Returns:
        None where nothing can be said: too few keypoints, or a hand that lies behind the camera.
    """
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    image = plane_from_pixels(keypoints_px, camera) * focal
    usable = np.isfinite(image).all(-1) & np.isfinite(std_px)
    if usable.sum() < MIN_JOINTS or not joints_m[:, 2].min() > MIN_DEPTH_M:
        return None
    seen, points = image[usable], joints_m[usable]
    variance = CORRELATED_JOINTS * np.maximum(std_px[usable], LEAST_STD * (seen.max(0) - seen.min(0)).max()) ** 2
    derivative = _derivative(joints_m, start.rotations)
    projected, jacobian = focal_projection(points, focal)
    rows = np.empty((2 * len(points) + 1, TURNS + 3))
    rows[:-1] = (jacobian @ derivative[usable]).reshape(-1, TURNS + 3)
    rows[-1] = derivative[:, 2].mean(0)
    noise = np.append(np.repeat(variance, 2), (DISTANCE_STD * joints_m[:, 2].mean()) ** 2)
    off = np.append((seen - projected).ravel(), 0.0)
    pull = np.concatenate([of_side(covariance, side) @ rows[:, :TURNS].T, PLACE_STD_M**2 * rows[:, TURNS:].T])
    return _moved(start, pull @ np.linalg.solve(rows @ pull + np.diag(noise), off))


def of_side(covariance: FloatArray, side: Side) -> FloatArray:
    """(48, 48) of right hands, for a side."""
    return covariance if side == "right" else covariance * np.outer(_MIRROR, _MIRROR)


def _derivative(joints_m: FloatArray, rotations: FloatArray) -> FloatArray:
    """(21, 3, 51) derivative of the joints by turns about each joint's own axes and by the place; pose corrections of
    the tips are taken as fixed."""
    derivative = np.empty((len(joints_m), 3, TURNS + 3))
    derivative[..., :TURNS] = joints_by_turns(joints_m, spins_of(rotations))
    derivative[..., TURNS:] = np.eye(3)
    return derivative


def joints_by_turns(joints_m: FloatArray, spins: FloatArray) -> FloatArray:
    """(21, 3, 48) derivative of joints (21, 3) by turns about each joint's own axes; (16, 3, 3) of `spins_of`."""
    arms = joints_m[:, None] - joints_m[TURNING][None]
    turns = -(hat(arms) @ spins) * MOVES[..., None, None]
    return np.asarray(turns.transpose(0, 2, 1, 3).reshape(len(joints_m), 3, TURNS))


def _moved(start: Posture, step: FloatArray) -> Posture:
    turns = step[:TURNS].reshape(NUM_MANO_JOINTS, 3)
    length = np.linalg.norm(turns, axis=-1, keepdims=True)
    turns = turns * np.minimum(1.0, LONGEST_TURN / np.maximum(length, 1e-9))
    rotations = start.rotations @ matrix_from_axis_angle(turns)
    return Posture(rotations, start.betas, start.translation_m + step[TURNS:])
