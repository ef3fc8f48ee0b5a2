"""The distance of what a hand holds, by a depth image: its front is as far away as the image says.

What is known of an object is its box. Its front lies between that of the box and that of the largest ellipsoid in it;
how it is turned the image tells. Each point's depth is set against the front there, so that fingers before it, its hand
and what is behind count as little as they are many.
"""

from dataclasses import replace

import numpy as np

from prehend.geometry.camera import project
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.depth.register import Depth, UnalignedDepth
from prehend.pipeline.depth.skin import measured
from prehend.types import Box, Camera, FloatArray, ObjectEstimate

DISTANCE_LOG_STD, GATE_STDS = 0.12, 3.0
"""How far the distance is off by the image alone, in units of it; depths that are further off are of something else."""

FRONT_M, SENSOR_SHARE = 0.015, 0.01
"""Standard deviations: of the front of an object whose form is not known [m]; of the depth camera in units of the
depth."""

INNER = 0.5
"""Depth is looked at in the middle of the box, in units of its half sides: outside of it there may be none of it."""

LEAST_SHARE = 0.2
"""Share of the points whose depth may be the object's, below which they say nothing."""

_SIDE = np.linspace(-INNER, INNER, 5)
_POINTS = np.stack(np.meshgrid(_SIDE, _SIDE, _SIDE), -1).reshape(-1, 3)[::3]


def refine_object(
    held: ObjectEstimate | None, model: ObjectModel | None, depth: Depth | None, camera: Camera
) -> ObjectEstimate | None:
    """An object moved along the viewing ray of its middle to where the depth image has its front.

    Args:
        held: as one image shows it; None, or one without a pose, stays what it is.
        model: what it is; None where nobody said, then it is a box of the size of `held`.
        depth: (H, W) along the optical axis, aligned to the image, or that of another camera; None changes nothing.
        camera: of the image.

    Returns:
        The same where depth says nothing of it.
    """
    if held is None or depth is None or held.T_camera_object is None or held.extents_m is None:
        return held
    solid = model or ObjectModel(held.object_id, held.object_id, held.extents_m, np.zeros(3))
    T, half = held.T_camera_object, np.asarray(solid.extents_m) / 2
    middle = T[:3, :3] @ solid.center_m + T[:3, 3]
    points = (_POINTS * half) @ T[:3, :3].T + middle
    prior_m = DISTANCE_LOG_STD * float(middle[2])
    gate_m = GATE_STDS * prior_m
    depth_m = depth.around(points, gate_m, camera) if isinstance(depth, UnalignedDepth) else depth
    steps = measured(depth_m, points, camera) - _front(points, middle, T[:3, :3], half)
    usable = steps[np.abs(steps) < gate_m]  # NaN is not
    if len(usable) < LEAST_SHARE * len(steps):
        return held
    share = prior_m**2 / (prior_m**2 + FRONT_M**2 + (SENSOR_SHARE * middle[2]) ** 2)
    factor = 1 + share * float(np.median(usable)) / float(middle[2])
    moved = np.array(T, np.float64)
    moved[:3, 3] += (factor - 1) * middle
    keypoints = project(solid.control_points_m @ moved[:3, :3].T + moved[:3, 3], camera)
    if not np.isfinite(keypoints).all():
        return held
    return replace(held, T_camera_object=moved, keypoints_px=keypoints, box_px=Box.around(keypoints))


def _front(points_m: FloatArray, middle_m: FloatArray, R: FloatArray, half_m: FloatArray) -> FloatArray:
    """(N,) how far the front is along the optical axis on the rays of points (N, 3) inside a box [m]."""
    rays = (points_m / points_m[:, 2:]) @ R / half_m  # the box is a cube from -1 to 1 here, and the ellipsoid a ball
    eye = -middle_m @ R / half_m
    with np.errstate(divide="ignore", invalid="ignore"):
        box = np.minimum((-1 - eye) / rays, (1 - eye) / rays).max(-1)
    a, b, c = (rays**2).sum(-1), rays @ eye, float(eye @ eye) - 1
    ball = (-b - np.sqrt(np.maximum(b * b - a * c, 0))) / a
    return np.asarray((box + ball) / 2)
