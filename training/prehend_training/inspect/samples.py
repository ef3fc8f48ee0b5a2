"""Samples with their labels drawn over them and beside them, many on one sheet: a wrong label is worse than none."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import BONES
from prehend.errors import UnknownName
from prehend.geometry.camera import project
from prehend.types import FloatArray
from prehend_training.sample import (
    HAND_CODE,
    HAND_PARTS,
    OBJECT_CODE,
    OTHER_CODE,
    HandLabel,
    ObjectLabel,
    Sample,
)

Image = NDArray[Any]
Colour = tuple[int, int, int]

DEFAULT_LABELS = ("skeleton", "objects", "words")

_FINGER_COLOURS = ((255, 80, 80), (255, 190, 40), (80, 220, 80), (60, 180, 255), (200, 110, 255))
_HAND_COLOURS = ((255, 230, 60), (80, 255, 220), (255, 120, 220), (160, 255, 80))
_AXIS_COLOURS = ((255, 60, 60), (60, 230, 60), (80, 120, 255))
_WHITE, _BLACK, _CYAN, _GREEN, _GREY = (255, 255, 255), (0, 0, 0), (0, 255, 255), (60, 210, 60), (70, 70, 70)
_SUB = 4  # cv2 draws at a sixteenth of a pixel
_GAP_PX = 3


def contact_sheet(
    samples: Sequence[Sample], columns: int, scale: int = 2, labels: Sequence[str] = DEFAULT_LABELS
) -> NDArray[np.uint8]:
    """One image of many samples, row by row.

    Args:
        samples: of any sizes; each gets the place of the largest.
        columns: samples in a row.
        scale: enlargement.
        labels: of `OVERLAYS`, drawn over the image, and of `PANELS`, set beside it.

    Raises:
        UnknownName: a label is neither.
    """
    return tile_sheet([draw_labels(sample, scale, labels) for sample in samples], columns)


def tile_sheet(tiles: Sequence[Image], columns: int) -> NDArray[np.uint8]:
    """Images (H, W, 3) row by row, on black."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, tile in enumerate(tiles):
        y, x = k // columns * height, k % columns * width
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def draw_labels(sample: Sample, scale: int = 2, labels: Sequence[str] = DEFAULT_LABELS) -> NDArray[np.uint8]:
    """(scale H, W', 3) the enlarged image with `labels` over it and panels beside it; see `contact_sheet`."""
    for label in labels:
        if label not in OVERLAYS and label not in PANELS:
            raise UnknownName("label", label, [*OVERLAYS, *PANELS])
    picture = _enlarged(sample.image, scale)
    for label in labels:
        if label in OVERLAYS:
            OVERLAYS[label](picture, sample, scale)
    panels = [picture]
    for label in labels:
        if label in PANELS:
            panel = PANELS[label](sample)
            panels.append(_titled(np.zeros_like(picture) if panel is None else _enlarged(panel, scale), label))
    gap = np.zeros((picture.shape[0], _GAP_PX, 3), np.uint8)
    # a narrow gap, so that panels of one sample are told from the next sample
    return np.hstack([part for panel in panels for part in (panel, gap)][:-1]) if len(panels) > 1 else picture


def _enlarged(image: Image, scale: int) -> Image:
    return np.repeat(np.repeat(image, scale, 0), scale, 1)


def _skeletons(image: Image, sample: Sample, scale: int) -> None:
    """Lines of the 2D keypoints; joints that are visible are filled."""
    for hand in (hand for hand in sample.hands if hand.has_keypoints):
        points = _drawn(hand.keypoints_px, scale)
        for parent, joint in BONES:
            _line(image, points[parent], points[joint], _FINGER_COLOURS[(joint - 1) // 4])
        for point, visible in zip(points, hand.visible, strict=True):
            cv2.circle(image, point.tolist(), scale << _SUB, _WHITE, -1 if visible else 1, cv2.LINE_AA, _SUB)


def _meshes(image: Image, sample: Sample, scale: int) -> None:
    """Every fifth vertex of the labelled mesh: the dots fill the hand's outline, or the label is wrong."""
    for k, hand in enumerate(sample.hands):
        seen = hand.vertices_m[hand.vertices_m[:, 2] > 0.01]
        if len(seen):
            for point in _drawn(project(seen[::5], sample.camera), scale):
                cv2.circle(image, point.tolist(), 1 << _SUB - 1, _HAND_COLOURS[k % 4], -1, cv2.LINE_AA, _SUB)


def _boxes(image: Image, sample: Sample, scale: int) -> None:
    for label, colour in [(h, (255, 255, 0)) for h in sample.hands] + [(o, _CYAN) for o in sample.objects]:
        corners = _drawn(np.asarray(label.box_px).reshape(2, 2), scale)
        cv2.rectangle(image, corners[0].tolist(), corners[1].tolist(), colour, 1, cv2.LINE_AA, _SUB)


def _outlines(image: Image, sample: Sample, scale: int) -> None:
    """Amodal outlines: of hands in their colour, of objects in cyan; where there are none the visible ones."""
    masks: list[NDArray[np.bool_]] = []
    things: list[NDArray[np.bool_]] = []
    if sample.segmentation is not None:
        masks = [np.asarray(sample.segmentation == HAND_CODE + k) for k in range(len(sample.hands))]
        things = [np.asarray(sample.segmentation == OBJECT_CODE + k) for k in range(len(sample.objects))]
    if sample.maps is not None:
        masks = list(sample.maps.hand_amodal)
        if sample.maps.object_amodal is not None:
            things = list(sample.maps.object_amodal)
    for mask, colour in [(m, _HAND_COLOURS[k % 4]) for k, m in enumerate(masks)] + [(m, _CYAN) for m in things]:
        large = _enlarged(np.asarray(mask, np.uint8), scale)
        contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, colour, 1)


def _objects(image: Image, sample: Sample, scale: int) -> None:
    """The box of each labelled object and the axes of its frame (x red, y green, z blue)."""
    for thing in sample.objects:
        corners = _drawn(thing.keypoints_px[:8], scale)
        for a in range(8):  # edges join corners that differ in one bit of their number
            for bit in (1, 2, 4):
                if not a & bit:
                    _line(image, corners[a], corners[a | bit], _CYAN)
        _draw_axes(image, sample, thing, scale)


def _draw_axes(image: Image, sample: Sample, thing: ObjectLabel, scale: int) -> None:
    length = 0.6 * float(np.max(thing.extents_m))
    ends = np.concatenate([np.zeros((1, 3)), length * np.eye(3)]) + thing.center_m
    points = ends @ thing.T_camera_object[:3, :3].T + thing.T_camera_object[:3, 3]
    if points[:, 2].min() > 0.01:
        pixels = _drawn(project(points, sample.camera), scale)
        for end, colour in zip(pixels[1:], _AXIS_COLOURS, strict=True):
            cv2.arrowedLine(image, pixels[0].tolist(), end.tolist(), colour, 1, cv2.LINE_AA, _SUB)


def _parts(image: Image, sample: Sample, scale: int) -> None:
    """For each hand a row of bars, thumb to little finger and palm: green is the share of vertices seen, a red frame
    means occluded (the papers' rule), a white dot contact. Nothing where it is unknown."""
    side = 5 * scale
    for row, hand in enumerate(hand for hand in sample.hands if hand.part_vertices.any()):
        y = image.shape[0] - (row + 1) * (side + 4)
        occluded = hand.occluded_parts("paper")
        shares = hand.part_visible / np.maximum(hand.part_vertices, 1)
        for k in range(len(HAND_PARTS)):
            x = 3 + k * (side + 3)
            cv2.rectangle(image, (x, y), (x + side, y + side), _GREY, -1)
            if shares[k] > 0:
                cv2.rectangle(image, (x, y + round(side * (1 - shares[k]))), (x + side, y + side), _GREEN, -1)
            cv2.rectangle(image, (x, y), (x + side, y + side), (255, 40, 40) if occluded[k] else _BLACK, 1)
            if hand.contact is not None and hand.contact[k]:
                cv2.circle(image, (x + side // 2, y + side // 2), max(1, side // 6), _WHITE, -1, cv2.LINE_AA)


def _words(image: Image, sample: Sample, scale: int) -> None:
    for hand in sample.hands:
        corner = _drawn(np.asarray(hand.box_px).reshape(2, 2), scale)[0] // 16
        place = np.clip(corner - [0, 4], [2, 10], [image.shape[1] - 60, image.shape[0] - 4])
        _text(image, _described(sample, hand), place.tolist())


def _described(sample: Sample, hand: HandLabel) -> str:
    touch = hand.contact is not None and hand.contact.any()
    state = "grasp" if hand.grasp else "displaced" if hand.displaced else "touch" if touch else "free"
    words = f"{hand.side if hand.side_known else '?'} {'?' if hand.grasp is None else state}"
    if not np.isnan(hand.visible_ratio):
        words += f" {hand.visible_ratio:.2f}"
    if hand.object_index is not None:
        words += f" {sample.objects[hand.object_index].object_id}"
    return words


OVERLAYS: dict[str, Callable[[Image, Sample, int], None]] = {
    "masks": _outlines,
    "mesh": _meshes,
    "boxes": _boxes,
    "objects": _objects,
    "skeleton": _skeletons,
    "parts": _parts,
    "words": _words,
}
"""Labels that are drawn over the image."""


def _twin(sample: Sample) -> Image | None:
    return None if sample.maps is None else sample.maps.deoccluded


def _segments(sample: Sample) -> Image | None:
    """Hands in their colours, labelled objects cyan, other objects grey."""
    if sample.segmentation is None:
        return None
    colours = np.zeros((256, 3), np.uint8)
    colours[HAND_CODE:OBJECT_CODE] = np.resize(np.array(_HAND_COLOURS), (OBJECT_CODE - HAND_CODE, 3))
    shades = np.linspace(1, 0.4, OTHER_CODE - OBJECT_CODE)[:, None]
    colours[OBJECT_CODE:OTHER_CODE] = shades * _CYAN
    colours[OTHER_CODE] = 128
    return colours[sample.segmentation]


def _depth_panel(sample: Sample) -> Image | None:
    return None if sample.maps is None else _depth_colours(sample.maps.depth_m)


def _sensor_panel(sample: Sample) -> Image | None:
    """Coloured over the range of the true depth, so that the two compare."""
    if sample.maps is None or sample.maps.sensor_depth_mm is None:
        return None
    return _depth_colours(sample.maps.sensor_depth_mm / np.float32(1000), sample.maps.depth_m)


def _depth_colours(depth_m: FloatArray | None, over: FloatArray | None = None) -> Image | None:
    """Near is red, far is blue, nothing is black."""
    if depth_m is None:
        return None
    known = over if over is not None and over.any() else depth_m
    low, high = np.percentile(known[known > 0], [1, 99]) if known.any() else (0.0, 1.0)
    share = 1 - np.clip((depth_m - low) / max(high - low, 1e-6), 0, 1)
    colours = np.array(cv2.applyColorMap(np.asarray(255 * share, np.uint8), cv2.COLORMAP_TURBO)[..., ::-1])
    colours[depth_m <= 0] = 0
    return colours


def _normals_panel(sample: Sample) -> Image | None:
    """Right red, down green, towards the camera blue."""
    if sample.maps is None or sample.maps.normals is None:
        return None
    colours = sample.maps.normals.astype(np.int16) * np.array([1, 1, -1], np.int16) + 128
    colours[~sample.maps.normals.any(-1)] = 0
    return colours.clip(0, 255).astype(np.uint8)


def _albedo_panel(sample: Sample) -> Image | None:
    return None if sample.maps is None else sample.maps.albedo


def _plain_panel(sample: Sample) -> Image | None:
    return sample.image


PANELS: dict[str, Callable[[Sample], Image | None]] = {
    "plain": _plain_panel,
    "twin": _twin,
    "segmentation": _segments,
    "depth": _depth_panel,
    "sensor": _sensor_panel,
    "normals": _normals_panel,
    "albedo": _albedo_panel,
}
"""Images that are set beside it; black where a sample has none."""


def _titled(image: Image, title: str) -> Image:
    _text(image, title, [4, 12])
    return image


def _text(image: Image, text: str, place: Sequence[int]) -> None:
    for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, thickness, cv2.LINE_AA)


def _line(image: Image, a: NDArray[np.int64], b: NDArray[np.int64], colour: Colour) -> None:
    cv2.line(image, a.tolist(), b.tolist(), colour, 1, cv2.LINE_AA, _SUB)


def _drawn(points_px: FloatArray, scale: int) -> NDArray[np.int64]:
    """Places in the enlarged image, in sixteenths of a pixel."""
    return np.round(np.clip((np.asarray(points_px) + 0.5) * scale - 0.5, -4000, 4000) * 16).astype(np.int64)


def rows_sheet(rows: Iterable[Sequence[Sample]], scale: int, labels: Sequence[str]) -> NDArray[np.uint8]:
    """Each row the samples that belong together: the cameras of an instant, or frames of a sequence."""
    tiles = [[draw_labels(sample, scale, labels) for sample in row] for row in rows]
    columns = max(len(row) for row in tiles)
    height, width = (max(tile.shape[axis] for row in tiles for tile in row) for axis in (0, 1))
    empty = np.zeros((height, width, 3), np.uint8)
    return tile_sheet([tile for row in tiles for tile in (*row, *[empty] * (columns - len(row)))], columns)
