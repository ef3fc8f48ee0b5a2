"""From what stage `object` says to what a hand holds and its pose, in the frame of the camera."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from prehend.conventions import KIND_UNIT_M, MIRROR, TIP_JOINTS
from prehend.geometry.camera import project, rotation_camera_crop
from prehend.geometry.control_points import MIRRORED_ORDER
from prehend.geometry.placing import DepthCue, place
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.crops.crop import CropSpec, from_box
from prehend.pipeline.networks.base import ThingAnswer
from prehend.pipeline.networks.decode import DecodedHand
from prehend.types import Box, Camera, FloatArray, ObjectEstimate

TOP_CELLS = 10
"""Grid cells a control point is taken from: the most confident ones (UniHOPE's evaluation does the same)."""

BOX_SCORE = 0.3
"""Mean confidence from which the next frame looks for the object where this one saw it."""

FINGERTIP_LOG_STD, MEASURED_LOG_STD = 0.25, 0.08
"""How well the distance of the fingertips tells that of what they hold: 0.16 of it on rendered hands; they err
together with the size in the crop, which is right to 0.11 and counts the more. The second is for hands whose distance a
depth image measured: fingers and the middle of an object are centimetres apart."""

MAX_RESIDUAL = 0.6
"""Distance of the control points from those of the best pose, over their extent, above which they agree on none."""

MIN_SHRINK = 0.15
"""Points that lie closer together than this share of the object's size tell no turn: the network is not sure."""

MAX_HAND_OBJECT_M = 0.35
"""An object further from the hand than this is not held: the pose is wrong [m]."""

UNKNOWN = "unknown"


def decode_object(
    thing: ThingAnswer, spec: CropSpec, camera: Camera, hand: DecodedHand, model: ObjectModel | None
) -> ObjectEstimate | None:
    """What the hand holds.

    Args:
        thing: of stage `object`, told what `model` is.
        spec: of the crop.
        camera: of the image.
        hand: that holds it.
        model: what it is; None where nobody said: then it is a box of the size that the network sees.

    Returns:
        None where the answer is not finite.
    """
    points = thing.points
    if not np.isfinite(points).all():
        return None
    if spec.mirrored:
        points = points[list(MIRRORED_ORDER)]
    rows = np.argsort(-points[..., 2], axis=1, kind="stable")[:, :TOP_CELLS]
    best = np.take_along_axis(points, rows[..., None], axis=1).astype(np.float64)
    pixels, confidence = spec.to_image(from_box(best[..., :2], spec.object_box)), best[..., 2]
    weight = np.maximum(confidence, 1e-6)
    keypoints = (pixels * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    seen = ObjectEstimate(
        object_id=UNKNOWN if model is None else model.object_id,
        score=float(np.clip(confidence.mean(), 0, 1)),
        keypoints_px=keypoints,
        box_px=Box.around(keypoints),
    )
    solid = model if model is not None else _box_of(thing)
    if solid is None:
        return replace(seen, no_pose="unknown_object")
    cues = ObjectCues(confidence.mean(1), _depths(thing, spec, camera, hand), _moments(thing, spec, camera))
    return _with_pose(seen, cues, camera, hand, solid, estimated=model is None)


class ObjectCues(NamedTuple):
    """What a pose is made of beside the control points.

    Attributes:
        confidence: (21,) of the control points.
        depths: how far the object is.
        moments: (3, 3) how its box lies in the camera frame, see `geometry.placing`; None of weights that do not tell.
    """

    confidence: FloatArray
    depths: list[DepthCue]
    moments: FloatArray | None


def choose(things: tuple[ThingAnswer, ...], evidence: FloatArray) -> int:
    """Number of the description that fits best, by this frame and the (K,) log-odds of the frames before."""
    return int(np.argmax(evidence + np.array([thing.match for thing in things])))


def _box_of(thing: ThingAnswer) -> ObjectModel | None:
    """A box of the size that the network sees; None of weights that do not tell."""
    if thing.extents_m is None or not np.isfinite(thing.extents_m).all():
        return None
    return ObjectModel(UNKNOWN, "a box", np.asarray(thing.extents_m, np.float64), np.zeros(3))


def _depths(thing: ThingAnswer, spec: CropSpec, camera: Camera, hand: DecodedHand) -> list[DepthCue]:
    """How far the object is: by the fingertips that hold it, and by its size in the crop."""
    log_std = MEASURED_LOG_STD if hand.measured else FINGERTIP_LOG_STD
    cues = [DepthCue(float(hand.joints_m[list(TIP_JOINTS), 2].mean()), log_std)]
    if thing.scale is not None and np.isfinite(thing.scale).all():
        focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1])) * spec.scale
        log_share, log_std = (float(value) for value in np.clip(thing.scale, -6, 6))
        cues.append(DepthCue(focal * KIND_UNIT_M / (spec.size * np.exp(log_share)), float(np.exp(log_std))))
    return [cue for cue in cues if cue.depth_m > 0]


def _moments(thing: ThingAnswer, spec: CropSpec, camera: Camera) -> FloatArray | None:
    """See `ObjectCues`."""
    if thing.moments is None or not np.isfinite(thing.moments).all():
        return None
    M = np.asarray(thing.moments, np.float64)
    if spec.mirrored:
        M = MIRROR @ M @ MIRROR
    R = rotation_camera_crop(spec.center_px, camera, spec.turn_rad)
    return np.asarray(R @ M @ R.T)


def _with_pose(
    seen: ObjectEstimate, cues: ObjectCues, camera: Camera, hand: DecodedHand, solid: ObjectModel, estimated: bool
) -> ObjectEstimate:
    """The estimate with a pose that its control points agree on, or why there is none."""
    known = replace(seen, extents_m=solid.extents_m, extents_estimated=estimated)
    weights = np.maximum(cues.confidence, 1e-3)
    placed = None
    if cues.depths:
        points = solid.control_points_m
        placed = place(points, seen.keypoints_px, weights, camera, cues.depths, cues.moments)
    if placed is None:
        return replace(known, no_pose="no_fit")
    if placed.shrink < MIN_SHRINK and cues.moments is None:
        return replace(known, no_pose="unsure")
    if placed.residual > MAX_RESIDUAL:
        return replace(known, no_pose="no_fit")
    T = placed.T_camera_object
    center = T[:3, :3] @ solid.center_m + T[:3, 3]
    if np.linalg.norm(hand.joints_m - center, axis=-1).min() > MAX_HAND_OBJECT_M:
        return replace(known, no_pose="far_from_hand")
    # where the network is not sure its points lie too close together; those of the pose have its size
    keypoints = project(solid.control_points_m @ T[:3, :3].T + T[:3, 3], camera)
    if not np.isfinite(keypoints).all():
        return replace(known, no_pose="no_fit")
    return replace(known, T_camera_object=T, keypoints_px=keypoints, box_px=Box.around(keypoints))
