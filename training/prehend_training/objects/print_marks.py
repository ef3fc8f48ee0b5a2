"""What prints are made of: words that mean nothing, logos, bar codes, images of objects, noise."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom [px]."""

_STARTS = ("b", "br", "c", "d", "f", "fl", "g", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v", "z", "")
_MIDDLES = ("a", "e", "i", "o", "u", "oo", "ea", "ai", "y")
_ENDS = ("", "n", "l", "r", "x", "m", "s", "nt", "ck", "to")
_FONTS = (
    cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)  # fmt: skip


def word(rng: Rng) -> str:
    """An invented word of one to three syllables."""
    parts = [f"{rng.choice(_STARTS)}{rng.choice(_MIDDLES)}" for _ in range(int(rng.integers(1, 4)))]
    return ("".join(parts) + str(rng.choice(_ENDS))).capitalize()


def ink(rng: Rng) -> Colour:
    """A colour of printing ink 0..255: mostly strong, sometimes pale or dark."""
    hue, kind = int(rng.integers(180)), rng.random()
    low, high = (
        ((150, 255), (120, 245)) if kind < 0.6 else ((0, 60), (190, 255)) if kind < 0.82 else ((30, 200), (15, 90))
    )
    hsv = np.array([[[hue, rng.integers(*low), rng.integers(*high)]]], np.uint8)
    red, green, blue = (int(value) for value in cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def text_colour(rng: Rng, ground: Sequence[int] | Canvas) -> Colour:
    """Black, white or a strong colour that can be read on `ground` (3,)."""
    brightness = float(np.dot(np.asarray(ground, float), (0.3, 0.59, 0.11)))
    if rng.random() < 0.3:
        for _ in range(4):
            colour = ink(rng)
            if abs(float(np.dot(colour, (0.3, 0.59, 0.11))) - brightness) > 90:
                return colour
    return (18, 18, 20) if brightness > 120 else (250, 250, 246)


def blank(shape: tuple[int, int], colour: Colour) -> Canvas:
    """(height, width, 3) of one colour."""
    return np.full((*shape, 3), colour, np.uint8)


def rough(rng: Rng, cells: int, octaves: int, size: int = 256) -> NDArray[np.floating]:
    """(size, size) smooth noise in about -1..1, `cells` bumps across in its coarsest octave."""
    total, strength = np.zeros((size, size), np.float32), 1.0
    for _ in range(octaves):
        grid = rng.standard_normal((min(cells + 1, size), min(cells + 1, size))).astype(np.float32)
        total += strength * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        strength, cells = 0.5 * strength, 2 * cells
    return total / (np.abs(total).max() + 1e-6)


def ramp(rng: Rng, shape: tuple[int, int], *, steep: bool = True) -> Canvas:
    """(height, width, 3): one ink, or two that run into each other."""
    first, second = np.array(ink(rng), float), np.array(ink(rng), float)
    if rng.random() < 0.55 or not steep:
        second = first * rng.uniform(0.75, 1.0)
    share = np.linspace(0, 1, shape[0])[:, None, None] * np.ones((1, shape[1], 1))
    return np.clip(first + share * (second - first), 0, 255).astype(np.uint8)


def put_text(rng: Rng, canvas: Canvas, text: str, box: Box, colour: Colour) -> None:
    """Write one line as large as a box allows, in its middle."""
    font = int(rng.choice(_FONTS))
    (wide, high), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min((box[2] - box[0]) / max(wide, 1), (box[3] - box[1]) / max(high, 1))
    thick = max(1, round(scale * rng.uniform(1.2, 4.5)))
    left = (box[0] + box[2] - wide * scale) / 2
    base = (box[1] + box[3] + high * scale) / 2
    cv2.putText(canvas, text, (int(left), int(base)), font, scale, colour, thick, cv2.LINE_AA)


def brand(rng: Rng, canvas: Canvas, box: Box) -> None:
    """A name across a box, sometimes on a plate, with a shadow or a second line."""
    left, top, right, low = box
    middle = ((left + right) // 2, (top + low) // 2)
    half = ((right - left) * 47 // 100, (low - top) * 46 // 100)
    if rng.random() < 0.45:
        cv2.ellipse(canvas, middle, half, 0, 0, 360, ink(rng), -1, cv2.LINE_AA)
    colour = text_colour(rng, canvas[min(max(top + 6, middle[1]), canvas.shape[0] - 1), middle[0]])
    split = low - (low - top) // 3 if rng.random() < 0.5 else low
    name = word(rng)
    inner = (left + (right - left) // 10, top + 8, right - (right - left) // 10, split - 8)
    put_text(rng, canvas, name.upper() if rng.random() < 0.5 else name, inner, colour)
    if split < low:
        put_text(
            rng, canvas, f"{word(rng)} {word(rng).lower()}", (inner[0] + 12, split, inner[2] - 12, low - 10), colour
        )


def lines_of_text(rng: Rng, canvas: Canvas, box: Box, count: int, ground: Sequence[int] | Canvas) -> None:
    """Small print that nobody reads: lines of words."""
    colour = text_colour(rng, ground)
    step = (box[3] - box[1]) / count
    for k in range(count):
        top = int(box[1] + k * step)
        text = " ".join(word(rng).lower() for _ in range(3))
        put_text(rng, canvas, text, (box[0], top, box[2], int(top + 0.7 * step)), colour)


def bar_code(rng: Rng, canvas: Canvas, box: Box) -> None:
    """Bars of random widths on white."""
    left, top, right, low = box
    cv2.rectangle(canvas, (left, top), (right, low), (250, 250, 250), -1)
    x = left + 5
    while x < right - 5:
        wide = int(rng.integers(1, 5))
        cv2.rectangle(canvas, (x, top + 5), (min(x + wide, right - 5), low - 12), (15, 15, 15), -1)
        x += wide + int(rng.integers(2, 6))
    put_text(rng, canvas, str(rng.integers(10**8, 10**9)), (left + 4, low - 10, right - 4, low - 2), (15, 15, 15))


def motif(rng: Rng, canvas: Canvas, middle: tuple[int, int], radius: int, colour: Colour) -> None:
    """A logo: a star, a flower, rings, a heart or a leaf."""
    style = rng.integers(4)
    x, y = middle
    if style == 0:
        points = int(rng.integers(4, 9))
        angle = np.arange(2 * points) * np.pi / points - np.pi / 2
        reach = radius * np.where(np.arange(2 * points) % 2 == 0, 1, rng.uniform(0.4, 0.7))
        outline = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], -1)
        cv2.fillPoly(canvas, [outline.astype(np.int32)], colour, cv2.LINE_AA)
    elif style == 1:
        for angle in np.arange(6) * np.pi / 3:
            petal = (int(x + 0.55 * radius * np.cos(angle)), int(y + 0.55 * radius * np.sin(angle)))
            cv2.circle(canvas, petal, int(0.38 * radius), colour, -1, cv2.LINE_AA)
        cv2.circle(canvas, middle, int(0.3 * radius), ink(rng), -1, cv2.LINE_AA)
    elif style == 2:
        for share in (1.0, 0.7, 0.4):
            cv2.circle(canvas, middle, int(share * radius), colour, max(2, radius // 7), cv2.LINE_AA)
    else:
        angle = np.linspace(0, 2 * np.pi, 60)
        heart = np.stack(
            [16 * np.sin(angle) ** 3, -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle))], -1
        )
        cv2.fillPoly(canvas, [(heart * radius / 17 + [x, y]).astype(np.int32)], colour, cv2.LINE_AA)


def scene_of_shapes(rng: Rng, canvas: Canvas, box: Box) -> None:
    """An image that sells: fruits, a bowl or a logo inside a box."""
    left, top, right, low = box
    middle, size = ((left + right) // 2, (top + low) // 2), min(right - left, low - top)
    if size < 12:
        return
    style = rng.integers(4)
    if style == 0:
        motif(rng, canvas, middle, size // 2, ink(rng))
    elif style == 1:
        _fruits(rng, canvas, box)
    elif style == 2:
        cv2.ellipse(
            canvas, middle, ((right - left) * 45 // 100, size * 45 // 100), 0, 0, 360, ink(rng), -1, cv2.LINE_AA
        )
        _fruits(rng, canvas, (left + size // 4, top + size // 5, right - size // 4, low - size // 5))
    else:
        motif(rng, canvas, (left + size // 2, middle[1]), size // 3, ink(rng))
        lines_of_text(
            rng, canvas, (left + size, top + size // 4, right, low - size // 4), 3, canvas[middle[1], right - 1]
        )


def _fruits(rng: Rng, canvas: Canvas, box: Box) -> None:
    """Round objects with a light side and a leaf, one over the other."""
    left, top, right, low = box
    radius = max(5, min(right - left, low - top) // int(rng.integers(3, 6)))
    colour = ink(rng)
    for _ in range(int(rng.integers(3, 9))):
        x = int(rng.uniform(left + radius, max(left + radius + 1, right - radius)))
        y = int(rng.uniform(top + radius, max(top + radius + 1, low - radius)))
        for share in np.linspace(1, 0.15, 6):
            light = np.clip(np.array(colour) * (0.55 + 0.75 * (1 - share)) + 60 * (1 - share) ** 2, 0, 255)
            place = (int(x - 0.3 * (1 - share) * radius), int(y - 0.35 * (1 - share) * radius))
            cv2.circle(canvas, place, int(share * radius), tuple(light.astype(int).tolist()), -1, cv2.LINE_AA)
        leaf = (int(x + 0.3 * radius), int(y - radius))
        cv2.ellipse(
            canvas, leaf, (max(2, radius // 3), max(1, radius // 7)), -30, 0, 360, (60, 130, 50), -1, cv2.LINE_AA
        )
