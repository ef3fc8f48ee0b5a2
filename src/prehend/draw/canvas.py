"""Drawing that stays readable on any background: text, labels, lines with a dark rim. Images are RGB."""

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.io.pixels.images import Image

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
INK: Colour = (16, 18, 24)
"""Rims and label boxes."""

_SHIFT = 4
_FRACTION = 1 << _SHIFT
_FONT = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None  # OpenCV 5; before, the Hershey strokes
_HERSHEY = cv2.FONT_HERSHEY_DUPLEX
_REACH_PX = 8000.0
"""Points farther away are left out: OpenCV's fixed point would overflow."""


def text_size(text: str, size_px: float, bold: bool = False) -> tuple[int, int]:
    """Width and height [px] of a line of text."""
    if _FONT is not None:
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _FONT, round(size_px), _weight(bold))
        return x + width, round(size_px)
    (width, _), _ = cv2.getTextSize(text, _HERSHEY, size_px / 30, _stroke(size_px, bold))
    return width, round(size_px)


def draw_text(
    image: Image, text: str, left: float, baseline: float, size_px: float, colour: Colour, bold: bool = False
) -> None:
    """Write one line of text with its lower left corner at (left, baseline) [px]."""
    corner = (round(left), round(baseline))
    if _FONT is not None:
        cv2.putText(image, text, corner, colour, _FONT, round(size_px), _weight(bold))
    else:
        cv2.putText(image, text, corner, _HERSHEY, size_px / 30, colour, _stroke(size_px, bold), cv2.LINE_AA)


def fill_rounded(image: Image, box: tuple[int, int, int, int], colour: Colour, radius: int, opacity: float) -> None:
    """Fill the rounded rectangle x0, y0, x1, y1 [px], cut at the image's border."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    radius = max(0, min(radius, width // 2, height // 2))
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - 1 - radius, height - 1), 255, cv2.FILLED)
    cv2.rectangle(mask, (0, radius), (width - 1, height - 1 - radius), 255, cv2.FILLED)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA)
    blend(image, x0, y0, np.full((height, width, 3), colour, np.uint8), mask, opacity)


def blend(image: Image, left: int, top: int, layer: Image, mask: NDArray[np.uint8], opacity: float) -> None:
    """Lay a picture over the image at (left, top) [px], in place and cut at the border.

    Args:
        image: (H, W, 3).
        layer: (h, w, 3).
        mask: (h, w) 0 for nothing, 255 for the full `opacity`.
        opacity: 0..1.
    """
    height, width = mask.shape
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    weight = mask[cut].astype(np.float32) * np.float32(opacity / 255)
    region = np.ascontiguousarray(image[y0:y1, x0:x1])
    image[y0:y1, x0:x1] = cv2.blendLinear(np.ascontiguousarray(layer[cut]), region, weight, 1 - weight)


def draw_polyline(
    image: Image, points_px: NDArray[np.floating], colour: Colour, width_px: float, closed: bool = False, rim: float = 0
) -> None:
    """Draw (N, 2) connected points; `rim` [px] of dark on both sides keeps the line visible on its own colour."""
    if not reachable(points_px):
        return
    points = [np.round(np.asarray(points_px) * _FRACTION).astype(np.int32)]
    if rim > 0:
        cv2.polylines(image, points, closed, INK, max(1, round(width_px + 2 * rim)), cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, points, closed, colour, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)


def draw_dot(image: Image, center_px: NDArray[np.floating], radius_px: float, colour: Colour, rim: float = 0) -> None:
    """A filled disc with a rim of dark [px]."""
    if not reachable(center_px):
        return
    center = (round(float(center_px[0]) * _FRACTION), round(float(center_px[1]) * _FRACTION))
    if rim > 0:
        cv2.circle(image, center, round((radius_px + rim) * _FRACTION), INK, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, center, round(radius_px * _FRACTION), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def draw_ring(image: Image, center_px: NDArray[np.floating], radius_px: float, colour: Colour, width_px: float) -> None:
    """An empty circle: a dark line with a coloured one on it."""
    if not reachable(center_px):
        return
    center = (round(float(center_px[0]) * _FRACTION), round(float(center_px[1]) * _FRACTION))
    radius = round(radius_px * _FRACTION)
    cv2.circle(image, center, radius, INK, max(2, round(width_px + 2)), cv2.LINE_AA, _SHIFT)
    cv2.circle(image, center, radius, colour, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)


def reachable(points_px: NDArray[np.floating]) -> bool:
    """Whether points are finite and near enough to be drawn."""
    return bool(np.all(np.abs(points_px) < _REACH_PX))  # NaN compares false


def _weight(bold: bool) -> int:
    return 600 if bold else 400


def _stroke(size_px: float, bold: bool) -> int:
    return max(1, round(size_px / (12 if bold else 20)))
