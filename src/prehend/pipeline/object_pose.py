"""From what stage `object` says to what a hand holds and its pose, in the frame of the camera."""

from dataclasses import replace

import numpy as np

from prehend.geometry.pnp import MIRRORED_ORDER, solve_pnp
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.crop import CropSpec, from_box
from prehend.pipeline.decode import DecodedHand
from prehend.pipeline.network import ThingAnswer
from prehend.types import Box, Camera, FloatArray, ObjectEstimate

TOP_CELLS = 10
"""Grid cells a control point is taken from: the most confident ones (UniHOPE's evaluation does the same)."""

POSE_SCORE = 0.3
"""Mean confidence of the control points from which they give a pose."""

BOX_SCORE = 0.3
"""Mean confidence from which the next frame looks for the object where this one saw it."""

PNP_SHARE = 0.08
"""Reprojection error of a control point that still supports a pose, over the diagonal of all of them."""

MIN_SUPPORT = 10
"""Fewer of the 21 control points that agree with a pose than this are none."""

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
    return _with_pose(seen, camera, hand, solid, estimated=model is None)


def choose(things: tuple[ThingAnswer, ...], evidence: FloatArray) -> int:
    """Number of the description that fits best, by this frame and the (K,) log-odds of the frames before."""
    return int(np.argmax(evidence + np.array([thing.match for thing in things])))


def _box_of(thing: ThingAnswer) -> ObjectModel | None:
    """A box of the size that the network sees; None of weights that do not tell."""
    if thing.extents_m is None or not np.isfinite(thing.extents_m).all():
        return None
    return ObjectModel(UNKNOWN, "a box", np.asarray(thing.extents_m, np.float64), np.zeros(3))


def _with_pose(
    seen: ObjectEstimate, camera: Camera, hand: DecodedHand, solid: ObjectModel, estimated: bool
) -> ObjectEstimate:
    """The estimate with a pose that its control points agree on, or why there is none."""
    known = replace(seen, extents_m=solid.extents_m, extents_estimated=estimated)
    if seen.score < POSE_SCORE:
        return replace(known, no_pose="unsure")
    diagonal = float(np.linalg.norm(np.ptp(seen.keypoints_px, axis=0)))
    result = solve_pnp(solid.control_points_m, seen.keypoints_px, camera, max(PNP_SHARE * diagonal, 1.0))
    if result is None or result.inliers.sum() < MIN_SUPPORT:
        return replace(known, no_pose="no_fit")
    T = result.T_camera_object
    center = T[:3, :3] @ solid.center_m + T[:3, 3]
    if np.linalg.norm(hand.joints_m - center, axis=-1).min() > MAX_HAND_OBJECT_M:
        return replace(known, no_pose="far_from_hand")
    return replace(known, T_camera_object=T)
