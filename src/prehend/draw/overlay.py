"""Pictures of results: mesh, skeleton, held object and a label with the numbers, over the image."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.check import check_image
from prehend.conventions import BONES, FINGERS, Side
from prehend.draw.canvas import WHITE, Colour, blend, draw_dot, draw_polyline, draw_ring, reachable
from prehend.draw.labels import SIDE_COLOUR, draw_footer, draw_label
from prehend.draw.mesh import render_mesh
from prehend.geometry.camera import project
from prehend.io.pixels.images import Image
from prehend.types import Box, Camera, FloatArray, FrameResult, HandEstimate, ObjectEstimate

FINGER_COLOUR: dict[str, Colour] = {
    "thumb": (255, 99, 105),
    "index": (255, 190, 60),
    "middle": (96, 214, 108),
    "ring": (72, 170, 255),
    "little": (196, 126, 255),
}
OBJECT_COLOUR: Colour = (64, 224, 208)
AXIS_COLOUR: tuple[Colour, Colour, Colour] = ((255, 82, 82), (88, 214, 96), (80, 150, 255))

_AXIS_M = 0.05
_BOX_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
"""Edges between the 8 corners, whose number is one bit an axis, x lowest (see `control_points.control_points`)."""


@dataclass(frozen=True)
class OverlayOptions:
    """What is drawn, and how large.

    Attributes:
        mesh, skeleton, objects, labels: what is drawn.
        mesh_opacity: 0..1.
        min_side_px: an image whose longer side is shorter is enlarged by a whole number to at least this.
        max_side_px: a larger image is reduced to this.
    """

    mesh: bool = True
    skeleton: bool = True
    objects: bool = True
    labels: bool = True
    mesh_opacity: float = 0.62
    min_side_px: int = 640
    max_side_px: int = 1920


def draw(
    image_rgb: Image,
    result: FrameResult,
    faces: Mapping[Side, NDArray[np.integer]],
    options: OverlayOptions | None = None,
) -> Image:
    """Draw a result over its image.

    Args:
        image_rgb: (H, W, 3) uint8, not changed.
        result: of this image.
        faces: (F, 3) of the hand model, for each side.
        options: what and how large.

    Returns:
        (H', W', 3) uint8 RGB; of another size than the image where the options say so.
    """
    check_image("image_rgb", image_rgb)
    options = options or OverlayOptions()
    canvas, scale = _canvas(image_rgb, options)
    view = _View(canvas, scale, result.camera)
    hands = sorted(result.hands, key=lambda hand: -float(hand.joints_m[0, 2]))  # far hands first
    if options.mesh:
        for hand in hands:
            _draw_mesh(view, hand, faces[hand.side], options.mesh_opacity)
    for hand in hands:
        if options.objects and hand.held_object is not None:
            _draw_object(view, hand.held_object)
        if options.skeleton:
            _draw_skeleton(view, hand)
    if options.labels:
        boxes = [Box.around(points) for hand in hands if len(points := _finite(view.pixels(hand.keypoints_px)))]
        taken: list[Box] = []
        for hand in hands:
            draw_label(canvas, hand, view.pixels(hand.keypoints_px), result.camera.estimated, boxes, taken)
        draw_footer(canvas, result)
    return canvas


@dataclass(frozen=True)
class _View:
    """The picture that is drawn on, and how pixels of the image lie in it."""

    canvas: Image
    scale: float
    camera: Camera

    def pixels(self, points_px: FloatArray) -> FloatArray:
        """(..., 2) in the image -> in the picture; centres of pixels are whole numbers in both."""
        return (np.asarray(points_px, np.float64) + 0.5) * self.scale - 0.5

    def project(self, points_m: FloatArray) -> FloatArray:
        """(..., 3) [m] -> (..., 2) in the image."""
        return self.pixels(project(points_m, self.camera))


def _canvas(image: Image, options: OverlayOptions) -> tuple[Image, float]:
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer < options.min_side_px:
        scale = float(-(-options.min_side_px // longer))
    else:
        scale = min(1.0, options.max_side_px / longer)
    if scale == 1.0:
        return image.copy(), scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8), scale


def _draw_mesh(view: _View, hand: HandEstimate, faces: NDArray[np.integer], opacity: float) -> None:
    height, width = view.canvas.shape[:2]
    colour = SIDE_COLOUR[hand.side]
    mesh = render_mesh(hand.vertices_m, view.project(hand.vertices_m), faces, colour, (width, height))
    if mesh is None:
        return
    blend(view.canvas, mesh.left, mesh.top, mesh.colour, mesh.mask, opacity)
    outlines, _ = cv2.findContours(
        cv2.threshold(mesh.mask, 127, 255, cv2.THRESH_BINARY)[1],
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_NONE,
        offset=(mesh.left, mesh.top),
    )
    bright = (min(255, colour[0] + 60), min(255, colour[1] + 60), min(255, colour[2] + 60))
    cv2.drawContours(view.canvas, outlines, -1, bright, 1, cv2.LINE_AA)


def _draw_skeleton(view: _View, hand: HandEstimate) -> None:
    points = view.pixels(hand.keypoints_px)
    width = _line_width(points)
    radius, rim = 0.95 * width + 0.6, max(1.0, 0.22 * width)
    depth = np.nan_to_num(hand.joints_m[:, 2])
    for parent, joint in sorted(BONES, key=lambda bone: -(depth[bone[0]] + depth[bone[1]])):
        shown = bool(hand.visible[parent] and hand.visible[joint])
        ends = _between_joints(points[[parent, joint]], radius, hand.visible[[parent, joint]])
        draw_polyline(view.canvas, ends, _joint_colour(joint), width if shown else 0.55 * width, rim=rim)
    for joint in np.argsort(-depth, kind="stable"):
        if hand.visible[joint]:
            draw_dot(view.canvas, points[joint], radius, _joint_colour(joint), rim)
            draw_dot(view.canvas, points[joint], 0.42 * radius, WHITE)
        else:
            draw_ring(view.canvas, points[joint], 1.1 * radius, _joint_colour(joint), max(1.0, 0.25 * width))


def _between_joints(ends_px: FloatArray, radius_px: float, visible: NDArray[np.bool_]) -> FloatArray:
    """A bone's (2, 2) ends, drawn back to the ring where a joint is hidden, so that the ring stays empty."""
    along = ends_px[1] - ends_px[0]
    length = float(np.linalg.norm(along))
    if not length > 2 * radius_px:
        return ends_px
    step = along / length * radius_px
    return np.stack([ends_px[0] + step * (not visible[0]), ends_px[1] - step * (not visible[1])])


def _draw_object(view: _View, held: ObjectEstimate) -> None:
    points = view.pixels(held.keypoints_px)
    finite = _finite(points)
    if len(finite) < 3 or not reachable(finite):
        return
    width = max(1.5, 0.6 * _line_width(finite))
    rim = max(1.0, 0.3 * width)
    hull: FloatArray = np.asarray(cv2.convexHull(finite.astype(np.float32))[:, 0], np.float32)
    _fill(view.canvas, hull, OBJECT_COLOUR, 0.16)
    if held.T_camera_object is None:
        draw_polyline(view.canvas, hull, OBJECT_COLOUR, width, closed=True, rim=rim)
        for point in finite:
            draw_dot(view.canvas, point, 1.2 * width, OBJECT_COLOUR, rim)
        return
    for a, b in _BOX_EDGES:
        draw_polyline(view.canvas, points[[a, b]], OBJECT_COLOUR, width, rim=rim)
    origin, *tips = view.project(_axes_m(held.T_camera_object))
    for tip, colour in zip(tips, AXIS_COLOUR, strict=True):
        draw_polyline(view.canvas, np.stack([origin, tip]), colour, 1.3 * width, rim=rim)
        draw_dot(view.canvas, tip, 1.3 * width, colour, rim)


def _axes_m(pose: FloatArray) -> FloatArray:
    """(4, 3) origin and ends of the axes of a frame [m]."""
    return np.concatenate([pose[None, :3, 3], pose[:3, 3] + _AXIS_M * pose[:3, :3].T])


def _fill(canvas: Image, polygon: FloatArray, colour: Colour, opacity: float) -> None:
    height, width = canvas.shape[:2]
    low = np.clip(np.floor(polygon.min(0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(polygon.max(0)) + 1, 0, (width, height)).astype(int)
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.round((polygon - low) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    blend(canvas, int(low[0]), int(low[1]), np.full((*mask.shape, 3), colour, np.uint8), mask, opacity)


def _line_width(points_px: FloatArray) -> float:
    """Width of a bone [px]: a share of the size of what is drawn."""
    finite = _finite(points_px)
    extent = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    return float(np.clip(0.013 * extent, 1.6, 9.0))


def _joint_colour(joint: int) -> Colour:
    return WHITE if joint == 0 else FINGER_COLOUR[FINGERS[(joint - 1) // 4]]


def _finite(points: FloatArray) -> FloatArray:
    return points[np.isfinite(points).all(-1)]
