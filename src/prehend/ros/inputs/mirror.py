"""Images that arrive mirrored, as phones and conference programs show them: a left hand in them is a right one.

The image is turned back before anything looks at it; what belongs to the image's pixels is turned forth again.
"""

from dataclasses import replace

import numpy as np

from prehend.geometry.camera import mirror_camera
from prehend.io.pixels.images import Image
from prehend.pipeline.depth.register import Depth, UnalignedDepth
from prehend.types import Box, FloatArray, FrameResult, HandEstimate, ObjectEstimate


def mirror_image(image: Image) -> Image:
    """(H, W, 3) with left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def mirror_depth(depth: Depth) -> Depth:
    """The depth of the mirrored image: of its own camera, that camera and its place are mirrored, too."""
    if not isinstance(depth, UnalignedDepth):
        return np.ascontiguousarray(depth[:, ::-1])
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    return UnalignedDepth(
        np.ascontiguousarray(depth.depth_m[:, ::-1]),
        mirror_camera(depth.camera),
        mirror @ depth.T_image_depth @ mirror,
    )


def mirror_pixels(result: FrameResult) -> FrameResult:
    """The same result with boxes and keypoints in the pixels of the mirrored image; metres stay as they are."""
    width = result.camera.width
    return replace(result, hands=tuple(_mirror_hand(hand, width) for hand in result.hands))


def _mirror_hand(hand: HandEstimate, width: int) -> HandEstimate:
    held = hand.held_object
    return replace(
        hand,
        box_px=_mirror_box(hand.box_px, width),
        keypoints_px=_mirror_points(hand.keypoints_px, width),
        held_object=None if held is None else _mirror_object(held, width),
    )


def _mirror_object(held: ObjectEstimate, width: int) -> ObjectEstimate:
    return replace(held, box_px=_mirror_box(held.box_px, width), keypoints_px=_mirror_points(held.keypoints_px, width))


def _mirror_points(points: FloatArray, width: int) -> FloatArray:
    return np.stack([width - 1 - points[..., 0], points[..., 1]], axis=-1)


def _mirror_box(box: Box, width: int) -> Box:
    return Box(width - 1 - box.x1, box.y0, width - 1 - box.x0, box.y1)
