"""A hand's pose, shape and place moved until its joints fall on labelled ones: what a network saw is the prior.

One image tells no depth, so what is found is a hand that looks right from the camera, near to what the network said.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, Side
from prehend.geometry.camera import plane_from_pixels, project
from prehend.geometry.root import MIN_DEPTH_M, fit_root
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import skin
from prehend.hand_model.asset import load_hand_model
from prehend.types import Camera, FloatArray
from prehend_training.grasps.hand import probe

TURN_STD_RAD, FINGER_STD_RAD, SHAPE_STD = 0.25, 0.2, 0.7
"""How far the network may be off: the hand's rotation and each joint's, about each axis, and each shape number."""
LEAST_STD = 0.01
"""A labelled joint is never taken to be better than this, over the longer side of the hand."""
_STEPS, _DELTA, _DAMPING = 8, 1e-3, 1e-3
_HUBER = 2.0
_ANGLES, _BETAS = 48, 10
_PRIOR = np.array([TURN_STD_RAD] * 3 + [FINGER_STD_RAD] * 45 + [SHAPE_STD] * _BETAS)


class Refined(NamedTuple):
    """A hand on its labelled joints, in the camera frame: (16, 3, 3), (10,), and (3,) where its wrist is [m]."""

    rotations: FloatArray
    betas: FloatArray
    wrist_m: FloatArray


class Fit(NamedTuple):
    """A hand on its labelled joints, and how well it lies there.

    Attributes:
        rotations, betas: (16, 3, 3), (10,), in the camera frame.
        joints_m, vertices_m: (21, 3), (V, 3), likewise.
        camera: of the photograph, assumed.
        residual, worst, bent: see `whole.WholeRule`.
    """

    rotations: FloatArray
    betas: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    camera: Camera
    residual: float
    worst: float
    bent: float


class _Problem(NamedTuple):
    """A right hand (a left one mirrored): what the network said, and where the joints are labelled.

    Attributes:
        rotations, betas: (16, 3, 3), (10,).
        target: (21, 2) labelled joints in the plane at depth 1.
        std: (21,) of them, likewise.
    """

    rotations: FloatArray
    betas: FloatArray
    target: FloatArray
    std: FloatArray


def refine_hand(
    rotations: FloatArray,
    betas: FloatArray,
    side: Side,
    keypoints_px: FloatArray,
    camera: Camera,
    std_px: FloatArray | None = None,
) -> Refined | None:
    """Fit a hand of the shipped model to labelled joints, by Gauss and Newton with a prior at what a network said.

    Args:
        rotations: (16, 3, 3) of that side, the first from the hand to the camera frame.
        betas: (10,).
        side: of the hand.
        keypoints_px: (21, 2) labelled joints.
        camera: of the image.
        std_px: (21,) noise of the labels, None where unknown.

    Returns:
        The hand; None where there is no sound answer (see `fit_root`).
    """
    keypoints = np.asarray(keypoints_px, np.float64)
    longer = float(np.ptp(keypoints, 0).max())
    std = np.maximum(np.zeros(len(keypoints)) if std_px is None else std_px, LEAST_STD * longer)
    flip = side == "left"
    R = np.asarray(rotations, np.float64)
    R, target = (MIRROR @ R @ MIRROR if flip else R), plane_from_pixels(keypoints, camera)
    focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
    target = target * np.array([-1.0, 1.0]) if flip else target
    problem = _Problem(R, np.asarray(betas, np.float64), target, std / focal)
    joints = _joints(problem, np.zeros((1, _ANGLES + _BETAS)))[0]
    straight = Camera(np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1]]), camera.width, camera.height)
    root = fit_root(joints, target * focal, straight, std_px=std)
    if root is None or not np.isfinite(target).all():
        return None
    found = _solve(problem, np.concatenate([np.zeros(_ANGLES + _BETAS), root.translation_m]))
    if found is None:
        return None
    turned, wrist = _turned(problem, found[None, :_ANGLES])[0], found[-3:]
    shape = problem.betas + found[_ANGLES:-3]
    return Refined(MIRROR @ turned @ MIRROR, shape, MIRROR @ wrist) if flip else Refined(turned, shape, wrist)


def _turned(problem: _Problem, angles: FloatArray) -> NDArray[np.float64]:
    """(N, 16, 3, 3) the network's rotations, each turned in its own frame by (N, 48) [rad]."""
    return np.asarray(problem.rotations @ matrix_from_axis_angle(angles.reshape(-1, 16, 3)))


def _joints(problem: _Problem, changes: FloatArray) -> NDArray[np.float64]:
    """(N, 21, 3) joints relative to the wrist after changes (N, 58) of angles and shape."""
    posed = skin(probe().model, _turned(problem, changes[:, :_ANGLES]), problem.betas + changes[:, _ANGLES:])
    joints = np.asarray(posed.joints, np.float64)
    return joints - joints[:, :1]


def _solve(problem: _Problem, x: FloatArray) -> FloatArray | None:
    """(61,) changes of angles and shape, and the wrist's place; None where the hand would be behind the camera."""
    for _ in range(_STEPS):
        step = np.concatenate([np.zeros((1, len(_PRIOR))), _DELTA * np.eye(len(_PRIOR))])
        joints = _joints(problem, x[:-3] + step) + x[-3:]
        if not np.isfinite(joints).all() or joints[0, :, 2].min() < MIN_DEPTH_M:
            return None
        plane = joints[..., :2] / joints[..., 2:]
        jacobian = np.zeros((len(problem.target), 2, len(x)))
        jacobian[..., :-3] = np.moveaxis(plane[1:] - plane[0], 0, -1) / _DELTA
        jacobian[:, 0, -3] = jacobian[:, 1, -2] = 1 / joints[0, :, 2]
        jacobian[:, :, -1] = -plane[0] / joints[0, :, 2:]
        residual = (plane[0] - problem.target) / problem.std[:, None]
        weight = np.minimum(1, _HUBER / np.maximum(np.linalg.norm(residual, axis=1), 1e-9))
        rows = jacobian / problem.std[:, None, None]
        normal = np.einsum("n,nij,nik->jk", weight, rows, rows)
        gradient = np.einsum("n,nij,ni->j", weight, rows, residual)
        normal[np.arange(len(_PRIOR)), np.arange(len(_PRIOR))] += 1 / _PRIOR**2
        gradient[: len(_PRIOR)] += x[:-3] / _PRIOR**2
        normal += _DAMPING * np.diag(normal.diagonal())
        x = x - np.linalg.solve(normal, gradient)
    return x


def judged(
    refined: Refined, side: Side, said: FloatArray, keypoints_px: FloatArray, longer: float, camera: Camera
) -> Fit:
    """A refined hand with its mesh, compared with what it was made of.

    Args:
        refined: the hand. side: of it.
        said: (16, 3, 3) the network's rotations.
        keypoints_px: (21, 2) labelled joints.
        longer: longer side of the hand's box [px].
        camera: of the image.
    """
    posed = skin(load_hand_model(side=side), refined.rotations, refined.betas)
    move = refined.wrist_m - posed.joints[0]
    joints = posed.joints + move
    away = np.linalg.norm(project(joints, camera) - keypoints_px, axis=1) / longer
    angle = geodesic_angle(refined.rotations, said)
    numbers = float(np.sqrt((away**2).mean())), float(away.max()), float(np.sqrt((angle**2).mean()))
    return Fit(refined.rotations, refined.betas, joints, posed.vertices + move, camera, *numbers)
