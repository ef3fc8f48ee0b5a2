"""From the network's answer for a crop to a hand in metres and an object's pose, in the frame of the camera."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MIRROR, NUM_CONTROL_POINTS
from prehend.geometry.camera import rotation_camera_crop
from prehend.geometry.pnp import MIRRORED_ORDER, solve_pnp
from prehend.geometry.root import fit_root
from prehend.hand_model.asset import HandModel
from prehend.hand_model.skinning import skin
from prehend.pipeline.border import border_trust, is_inside
from prehend.pipeline.crop import CropSpec, from_box
from prehend.pipeline.network import HandAnswer
from prehend.pipeline.objects import ObjectModel
from prehend.types import Box, Camera, FloatArray, ObjectEstimate

TOP_CELLS = 10
"""Grid cells a control point is taken from: the most confident ones (UniHOPE's evaluation does the same)."""

MATCH_CONFIDENCE = 0.5
"""Confidence from which a cell's point takes part in the pose."""

BOX_SCORE = 0.3
"""Mean confidence from which the next frame looks for the object where this one saw it."""

PNP_THRESHOLD_CROP_PX = 3.0
"""Reprojection error of a match that still supports a pose [px of the crop]."""

MAX_HAND_OBJECT_M = 0.5
"""An object further from the hand than this is not held: the pose is wrong [m]."""

MIN_WEIGHT = 0.1
"""Weight of a hidden joint in the metric fit: its keypoint is a guess, but better than none."""

_ROTATION_TOLERANCE = 1e-2


class Rejected(NamedTuple):
    """Why an answer is no hand: "not_finite", "bad_rotation" or "no_position"."""

    reason: str


@dataclass(frozen=True)
class DecodedHand:
    """A hand in the camera frame; fields as in `types.HandEstimate`."""

    keypoints_px: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    rotations: FloatArray
    betas: FloatArray
    visible: NDArray[np.bool_]
    fit_error_px: float
    position_std_m: float

    def moved_away(self, factor: float) -> "DecodedHand":
        """The hand at another distance, along the viewing ray through the middle of its joints."""
        if factor == 1:
            return self
        shift = (factor - 1) * self.joints_m.mean(0)
        vertices = (self.vertices_m + shift).astype(np.float32)
        return replace(self, joints_m=self.joints_m + shift, vertices_m=vertices)


def decode_hand(answer: HandAnswer, spec: CropSpec, camera: Camera, model: HandModel) -> DecodedHand | Rejected:
    """Undo crop and mirror, pose the hand model, and find its place in metres.

    Args:
        answer: of the network, in the crop.
        spec: of the crop.
        camera: of the image.
        model: of the hand's side, without forearm.
    """
    numbers = (answer.keypoints, answer.rotations, answer.betas, answer.visibility, answer.keypoint_std)
    if not all(np.isfinite(array).all() for array in numbers if array is not None):
        return Rejected("not_finite")
    rotations = rotations_in_camera(answer.rotations, spec, camera)
    if np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max() > _ROTATION_TOLERANCE:
        return Rejected("bad_rotation")
    keypoints = spec.to_image(from_box(answer.keypoints, spec.hand_box))
    posed = skin(model, rotations, answer.betas)
    root = posed.joints[0].astype(np.float64)
    size = (camera.width, camera.height)
    weights = np.clip(answer.visibility, MIN_WEIGHT, 1.0) * border_trust(keypoints, size)
    fit = fit_root(posed.joints - root, keypoints, camera, weights, _std_px(answer, spec))
    if fit is None:
        return Rejected("no_position")
    shift = fit.translation_m - root
    return DecodedHand(
        keypoints_px=keypoints,
        joints_m=posed.joints + shift,
        vertices_m=(posed.vertices + shift).astype(np.float32),
        rotations=rotations,
        betas=answer.betas,
        visible=is_inside(keypoints, size) & (answer.visibility > 0.5),
        fit_error_px=fit.residual_px,
        # with an assumed focal length the distance is off by an unknown factor
        position_std_m=float("nan") if camera.estimated else fit.std_m,
    )


def _std_px(answer: HandAnswer, spec: CropSpec) -> FloatArray | None:
    """(21,) standard deviations of the keypoints in the image [px], None where the network does not tell them."""
    if answer.keypoint_std is None:
        return None
    width, height = spec.hand_box[2:] - spec.hand_box[:2]
    return np.asarray(answer.keypoint_std, np.float64) * max(float(width), float(height)) / spec.scale


def rotations_in_camera(rotations: FloatArray, spec: CropSpec, camera: Camera) -> FloatArray:
    """(16, 3, 3) of the network -> (16, 3, 3) float64 of the hand's own side, the first from hand to camera frame.

    A mirrored crop is the crop of the mirrored picture, whose virtual camera is the mirror image of ours; hence the
    mirror is undone first.
    """
    rotations = np.asarray(rotations, np.float64)
    if spec.mirrored:
        rotations = MIRROR @ rotations @ MIRROR
    turned = rotation_camera_crop(spec.center_px, camera, spec.turn_rad) @ rotations[0]
    return np.concatenate([turned[None], rotations[1:]])


def decode_object(
    points: FloatArray, spec: CropSpec, camera: Camera, hand: DecodedHand, model: ObjectModel | None
) -> ObjectEstimate | None:
    """What the hand holds.

    Args:
        points: (21, G, 3) of stage `object`.
        spec: of the crop.
        camera: of the image.
        hand: that holds it.
        model: what it is, None where nobody said: then there is no pose.

    Returns:
        None where the answer is not finite.
    """
    if not np.isfinite(points).all():
        return None
    if spec.mirrored:
        points = points[list(MIRRORED_ORDER)]
    rows = np.argsort(-points[..., 2], axis=1, kind="stable")[:, :TOP_CELLS]
    best = np.take_along_axis(points, rows[..., None], axis=1).astype(np.float64)
    pixels, confidence = spec.to_image(from_box(best[..., :2], spec.object_box)), best[..., 2]
    weight = np.maximum(confidence, 1e-6)
    keypoints = (pixels * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    return ObjectEstimate(
        object_id="unknown" if model is None else model.object_id,
        score=float(np.clip(confidence.mean(), 0, 1)),
        keypoints_px=keypoints,
        box_px=Box.around(keypoints),
        T_camera_object=None if model is None else _pose(pixels, confidence, spec, camera, hand, model),
    )


def _pose(
    pixels: FloatArray, confidence: FloatArray, spec: CropSpec, camera: Camera, hand: DecodedHand, model: ObjectModel
) -> FloatArray | None:
    """(4, 4) from the confident cells (21, k, 2), None where they agree on none that is near the hand."""
    trusted = confidence > MATCH_CONFIDENCE
    known = np.broadcast_to(model.control_points_m[:, None], (NUM_CONTROL_POINTS, trusted.shape[1], 3))
    result = solve_pnp(known[trusted], pixels[trusted], camera, PNP_THRESHOLD_CROP_PX / spec.scale)
    if result is None:
        return None
    T = result.T_camera_object
    center = T[:3, :3] @ model.center_m + T[:3, 3]
    near = np.linalg.norm(hand.joints_m - center, axis=-1).min() < MAX_HAND_OBJECT_M
    return T if near else None
