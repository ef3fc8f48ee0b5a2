"""One view of one hand as measurements: undistorted pixels with standard deviations, and the way from the rig's frame
to the camera's."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prehend.geometry.camera import focal_projection, plane_from_pixels
from prehend.pipeline.crops.border import border_trust
from prehend.rig.views.records import View
from prehend.types import FloatArray, HandEstimate

UNKNOWN_STD = 0.03
"""Standard deviation of a keypoint of weights that do not tell it, in units of the longer side of the hand's box."""

LEAST_STD = 0.012
"""No keypoint is better than this, in the same units: what networks and calibrations leave."""

HIDDEN = 2.0
"""A joint that is hidden has so many times the standard deviation."""

NEAREST_M = 0.02
"""Joints nearer to a camera's plane than this are not in front of it [m]."""


class Sight(NamedTuple):
    """One hand in one view.

    Attributes:
        view: whose hand it is.
        hand: as its camera sees it, in the camera's frame.
        image: (21, 2) keypoints on the plane z = 1 times the focal lengths [px]; 0 where `std` is infinite.
        std: (21,) their standard deviations [px]; infinite for keypoints that cannot be used.
        focal: (2,) [px].
        R, t: (3, 3) and (3,) from the rig's frame to the camera's.
        joints_m: (21, 3) the view's own joints in the rig's frame.
        rotations: (16, 3, 3) the view's own, the first from hand to rig.
        size_px: longer side of the hand.
    """

    view: View
    hand: HandEstimate
    image: FloatArray
    std: FloatArray
    focal: FloatArray
    R: FloatArray
    t: FloatArray
    joints_m: FloatArray
    rotations: FloatArray
    size_px: float

    @property
    def key(self) -> tuple[str, int]:
        """Name of the camera and number of the hand there."""
        return self.view.name, self.hand.track_id

    @property
    def trust(self) -> float:
        """What the view counts for: its hand's score by how much of it is seen."""
        return float(self.hand.score) * max(float(self.hand.visible.mean()), 0.1)


def sights_of(views: Sequence[View]) -> list[Sight]:
    """Every hand of every view that has a place in metres, by the cameras' names; so that their order is no matter."""
    return [
        _sight(view, hand)
        for view in sorted(views, key=lambda view: view.name)
        for hand in sorted(view.hands, key=lambda hand: hand.track_id)
        if np.isfinite(hand.joints_m).all() and np.isfinite(hand.keypoints_px).all() and hand.state == "tracked"
    ]


def _sight(view: View, hand: HandEstimate) -> Sight:
    camera, T = view.camera, view.T_rig_camera
    focal = np.array([camera.K[0, 0], camera.K[1, 1]])
    plane = plane_from_pixels(hand.keypoints_px, camera)
    size = max(float(np.ptp(hand.keypoints_px, axis=0).max()), 1.0)
    std = np.full(len(plane), UNKNOWN_STD * size) if hand.keypoint_std_px is None else hand.keypoint_std_px
    std = np.maximum(np.asarray(std, np.float64), LEAST_STD * size)
    std = std / np.sqrt(border_trust(hand.keypoints_px, (camera.width, camera.height)))
    std = np.where(hand.visible, std, HIDDEN * std)
    usable = np.isfinite(plane).all(-1) & np.isfinite(std)
    R = T[:3, :3].T
    rotations = np.concatenate([(T[:3, :3] @ hand.rotations[0])[None], hand.rotations[1:]])
    return Sight(
        view,
        hand,
        np.where(usable[:, None], plane * focal, 0.0),
        np.where(usable, std, np.inf),
        focal,
        R,
        -R @ T[:3, 3],
        hand.joints_m @ T[:3, :3].T + T[:3, 3],
        rotations,
        size,
    )


def residuals(sight: Sight, points_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(21, 2) projection of points (21, 3) of the rig's frame minus the keypoints [px], and its (21, 2, 3) derivative
    by the points [px/m]."""
    there = points_m @ sight.R.T + sight.t
    there[:, 2] = np.maximum(there[:, 2], NEAREST_M)
    projected, jacobian = focal_projection(there, sight.focal)
    return projected - sight.image, jacobian @ sight.R


def robust_weight(distance_px: FloatArray, std: FloatArray, limit: float) -> FloatArray:
    """1 / variance, less for residuals of many standard deviations: Geman and McClure's weight, next to nothing for
    what is far beyond `limit` of them.

    Args:
        distance_px: (...) lengths of residuals.
        std: (...) standard deviations along an axis, infinite for none.
        limit: in standard deviations; infinite for plain least squares.
    """
    return np.asarray((1 + (distance_px / (limit * std)) ** 2) ** -2.0 / std**2)
