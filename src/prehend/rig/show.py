"""Fused hands in each camera's image, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.draw.overlay import draw
from prehend.geometry.camera import project
from prehend.geometry.control_points import control_points
from prehend.io.pixels.images import Image
from prehend.rig.views.fusion import in_pixels
from prehend.rig.views.records import RigResult, View
from prehend.types import Box, FloatArray, FrameResult, HandEstimate, ObjectEstimate

Faces = Mapping[Side, NDArray[np.integer]]


def in_camera(result: RigResult, view: View) -> FrameResult:
    """The fused hands in the frame and the pixels of one camera; those that do not lie in front of it are left out."""
    hands = [_moved(hand, view) for hand in result.result.hands]
    return replace(result.result, camera=view.camera, hands=tuple(hand for hand in hands if _is_in_front(hand)))


def side_by_side(images: Sequence[Image], height: int | None = None) -> Image:
    """(H, W, 3) uint8 images in one row, each scaled to `height` [px]; None for that of the lowest."""
    wanted = height or min(image.shape[0] for image in images)
    rows = []
    for image in images:
        width = max(1, round(image.shape[1] * wanted / image.shape[0]))
        rows.append(
            image if image.shape[0] == wanted else cv2.resize(image, (width, wanted), interpolation=cv2.INTER_AREA)
        )
    return np.ascontiguousarray(np.concatenate(rows, axis=1), np.uint8)


def draw_rig(images: Mapping[str, Image], result: RigResult, faces: Faces) -> Image:
    """Every camera's image with the fused hands over it, side by side.

    Args:
        images: (H, W, 3) uint8 RGB by the cameras' names; those without a view are shown as they are.
        result: of these images.
        faces: of the hand model, for each side.
    """
    pictures = [
        draw(image, in_camera(result, result.views[name]), faces) if name in result.views else image
        for name, image in images.items()
    ]
    return side_by_side(pictures)


def _moved(hand: HandEstimate, view: View) -> HandEstimate:
    T = view.T_rig_camera
    R, t = T[:3, :3].T, T[:3, 3]
    seen = in_pixels(hand, view.camera, T)
    return replace(
        seen,
        joints_m=(hand.joints_m - t) @ R.T,
        vertices_m=((hand.vertices_m - t) @ R.T).astype(np.float32),
        rotations=np.concatenate([(R @ hand.rotations[0])[None], hand.rotations[1:]]),
        held_object=None if hand.held_object is None else _moved_object(hand.held_object, view, R, t),
        motion=None,
    )


def _moved_object(held: ObjectEstimate, view: View, R: FloatArray, t: FloatArray) -> ObjectEstimate | None:
    """What is held, where this camera sees its pose; without one only the camera that saw it could say where it is."""
    if held.T_camera_object is None or held.extents_m is None:
        return None
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R @ held.T_camera_object[:3, :3], R @ (held.T_camera_object[:3, 3] - t)
    # of a box about its middle: of objects whose middle is elsewhere only the image is off
    pixels = project(control_points(held.extents_m) @ T[:3, :3].T + T[:3, 3], view.camera)
    if not np.isfinite(pixels).all():
        return None
    return replace(held, T_camera_object=T, keypoints_px=pixels, box_px=Box.around(pixels))


def _is_in_front(hand: HandEstimate) -> bool:
    return bool(np.isfinite(hand.keypoints_px).all())
