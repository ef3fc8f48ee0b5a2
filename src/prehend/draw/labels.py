"""The labels of an overlay: one label a hand, and a footer for the frame."""

import math

import numpy as np

from prehend.conventions import Side
from prehend.draw.canvas import INK, WHITE, Colour, draw_text, fill_rounded, text_size
from prehend.io.pixels.images import Image
from prehend.types import Box, FloatArray, FrameResult, GraspState, HandEstimate

SIDE_COLOUR: dict[Side, Colour] = {"left": (92, 178, 255), "right": (255, 168, 96)}
STATE_TEXT: dict[GraspState, str] = {"grasping": "grasping", "not_grasping": "not grasping", "unknown": "grasp unknown"}
STATE_COLOUR: dict[GraspState, Colour] = {
    "grasping": (255, 186, 66),
    "not_grasping": (148, 163, 184),
    "unknown": (148, 163, 184),
}

_QUIET: Colour = (176, 186, 200)
_TROUGH: Colour = (62, 68, 80)
_OPACITY = 0.8


def font_px(image: Image) -> float:
    """Size of the text for an image [px]."""
    height, width = image.shape[:2]
    return float(np.clip(4 + 0.0155 * math.sqrt(width * height), 12, 40))


def distance_text(hand: HandEstimate, estimated_camera: bool) -> str:
    """How far the wrist is from the camera; marked where the camera, and so the distance, is assumed."""
    distance = float(np.linalg.norm(hand.joints_m[0]))
    if not math.isfinite(distance):
        return "distance unknown"
    return f"{distance:.2f} m (size assumed)" if estimated_camera else f"{distance:.2f} m"


def draw_label(
    canvas: Image, hand: HandEstimate, points_px: FloatArray, estimated_camera: bool, avoid: list[Box], taken: list[Box]
) -> None:
    """Draw a hand's label beside it: side, track, distance, grasp with its probability, what is held.

    Args:
        canvas: drawn on.
        hand: whose label it is.
        points_px: (21, 2) joints in the canvas.
        estimated_camera: mark the distance as assumed.
        avoid: boxes of all hands in the canvas.
        taken: boxes of labels; the new one is added.
    """
    finite = points_px[np.isfinite(points_px).all(-1)]
    if len(finite) == 0:
        return
    size = font_px(canvas)
    title, distance = f"{hand.side.capitalize()} {hand.track_id}", distance_text(hand, estimated_camera)
    state = STATE_TEXT[hand.grasp.state]
    held = f"holds {hand.held_object.object_id}" if hand.held_object is not None else None
    pad, line, bar = round(0.55 * size), round(1.32 * size), round(3.4 * size)
    first = text_size(title, size, True)[0] + 0.8 * size + text_size(distance, 0.86 * size)[0]
    second = text_size(state, 0.86 * size)[0] + 0.7 * size + bar + text_size(" 100%", 0.86 * size)[0]
    third = text_size(held, 0.86 * size)[0] if held else 0
    width = round(max(first, second, third) + 2.6 * pad)
    height = line * (3 if held else 2) + round(1.1 * pad)
    box = _place(Box.around(finite), width, height, canvas.shape[1], canvas.shape[0], avoid, taken)
    taken.append(box)
    x0, y0 = round(box.x0), round(box.y0)
    radius = round(0.4 * size)
    fill_rounded(canvas, (x0, y0, x0 + width, y0 + height), INK, radius, _OPACITY)
    stripe = max(2, round(0.22 * size))
    inset = round(0.4 * size)
    fill_rounded(
        canvas, (x0 + inset, y0 + inset, x0 + inset + stripe, y0 + height - inset), SIDE_COLOUR[hand.side], stripe, 1
    )
    left, right, baseline = x0 + 1.6 * pad, x0 + width - pad, y0 + round(0.45 * pad) + size
    draw_text(canvas, title, left, baseline, size, WHITE, bold=True)
    draw_text(canvas, distance, right - text_size(distance, 0.86 * size)[0], baseline, 0.86 * size, _QUIET)
    baseline += line
    draw_text(canvas, state, left, baseline, 0.86 * size, STATE_COLOUR[hand.grasp.state])
    _draw_probability(canvas, hand, right, baseline, size, bar)
    if held:
        draw_text(canvas, held, left, baseline + line, 0.86 * size, _QUIET)


def _draw_probability(canvas: Image, hand: HandEstimate, right: float, baseline: float, size: float, bar: int) -> None:
    probability = hand.grasp.probability
    if not math.isfinite(probability):
        return
    number = f"{100 * probability:.0f}%"
    draw_text(canvas, number, right - text_size(number, 0.86 * size)[0], baseline, 0.86 * size, _QUIET)
    x1 = round(right - text_size(" 100%", 0.86 * size)[0])
    thick = max(3, round(0.34 * size))
    y0 = round(baseline - 0.3 * size - thick / 2)
    fill_rounded(canvas, (x1 - bar, y0, x1, y0 + thick), _TROUGH, thick // 2, 1)
    filled = round(bar * min(max(probability, 0), 1))
    if filled >= 2:
        fill_rounded(
            canvas, (x1 - bar, y0, x1 - bar + filled, y0 + thick), STATE_COLOUR[hand.grasp.state], thick // 2, 1
        )


def draw_footer(canvas: Image, result: FrameResult) -> None:
    """Number of hands and time the frame took, in the lower left corner."""
    size = 0.86 * font_px(canvas)
    count = len(result.hands)
    text = "no hand" if count == 0 else f"{count} hand{'s' if count > 1 else ''}"
    total = result.timing_ms.get("total", math.nan)
    if math.isfinite(total):
        text += f"   {total:.0f} ms" if total >= 10 else f"   {total:.1f} ms"
    pad, margin = round(0.6 * size), round(0.6 * size)
    width, height = text_size(text, size)[0] + 2 * pad, round(1.7 * size)
    y1 = canvas.shape[0] - margin
    fill_rounded(canvas, (margin, y1 - height, margin + width, y1), INK, round(0.5 * size), 0.66)
    draw_text(canvas, text, margin + pad, y1 - 0.52 * size, size, _QUIET)


def _place(
    hand: Box, width: int, height: int, canvas_width: int, canvas_height: int, avoid: list[Box], taken: list[Box]
) -> Box:
    """The place for a label above, below or beside its hand, inside the canvas, that hides least."""
    gap = 0.06 * max(hand.width, hand.height) + 6
    middle_x, middle_y = hand.center[0] - width / 2, hand.center[1] - height / 2
    corners = [
        (middle_x, hand.y0 - gap - height),
        (middle_x, hand.y1 + gap),
        (hand.x1 + gap, middle_y),
        (hand.x0 - gap - width, middle_y),
        (4, 4),
        (canvas_width - width - 4, 4),
    ]
    best, least = Box(0, 0, width, height), math.inf
    for preference, (x, y) in enumerate(corners):
        x0 = min(max(x, 4), max(4, canvas_width - width - 4))
        y0 = min(max(y, 4), max(4, canvas_height - height - 4))
        box = Box(x0, y0, x0 + width, y0 + height)
        cost = 0.02 * preference + 3 * sum(map(box.iou, taken)) + _covered(box, avoid)
        if cost < least:
            best, least = box, cost
    return best


def _covered(box: Box, others: list[Box]) -> float:
    """Share of a box that lies on others."""
    overlap = 0.0
    for other in others:
        width = min(box.x1, other.x1) - max(box.x0, other.x0)
        height = min(box.y1, other.y1) - max(box.y0, other.y0)
        overlap += max(width, 0.0) * max(height, 0.0)
    return overlap / box.area
