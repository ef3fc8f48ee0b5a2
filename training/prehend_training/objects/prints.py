"""Prints and grains made from nothing: brands in invented words, bar codes, tables, fruit, keys, wood, metal, foam.

All are square-root coded (`albedo = colour * texture ** 2`). Prints carry their colours; tones are nearly white and
take the colour of what they lie on.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.print_marks import (
    Canvas,
    Rng,
    bar_code,
    blank,
    brand,
    ink,
    lines_of_text,
    motif,
    put_text,
    ramp,
    rough,
    scene_of_shapes,
    text_colour,
    word,
)

LABEL_LAYERS = 96
_SIZE = 256
_BROAD = (_SIZE, 640)
_WIDE = (_SIZE, 512)
_HIGH = (360, _SIZE)

Maker = Callable[[Rng], Canvas]


def _front(rng: Rng) -> Canvas:
    """The broad side of a carton: a brand across, an image below, small print."""
    canvas = ramp(rng, _HIGH)
    height, width = canvas.shape[:2]
    band = int(rng.uniform(0.2, 0.45) * height)
    if rng.random() < 0.7:
        canvas[: band + 20] = ink(rng)
    brand(rng, canvas, (0, 8, width, band))
    scene_of_shapes(rng, canvas, (int(0.1 * width), band + 30, int(0.9 * width), int(0.82 * height)))
    below = (int(0.08 * width), int(0.84 * height), int(0.92 * width), int(0.97 * height))
    lines_of_text(rng, canvas, below, 2, canvas[-30, 20])
    return canvas


def _strip(rng: Rng, repeats: int) -> Canvas:
    """A label around something: the same face `repeats` times, and what is read by nobody between."""
    canvas = ramp(rng, _WIDE, steep=False)
    height, width = canvas.shape[:2]
    for edge in (0, height - int(rng.uniform(8, 30))):
        if rng.random() < 0.6:
            canvas[edge : edge + int(rng.uniform(8, 30))] = ink(rng)
    seed = int(rng.integers(1 << 30))
    for k in range(repeats):
        same = np.random.default_rng(seed)
        centre = int((k + 0.5) / repeats * width)
        half = int(width / repeats * 0.36)
        box = (centre - half, int(0.1 * height), centre + half, int(0.55 * height))
        if same.random() < 0.6:
            cv2.rectangle(canvas, box[:2], box[2:], ink(same), -1)
        brand(same, canvas, box)
        scene_of_shapes(same, canvas, (centre - half, int(0.58 * height), centre + half, int(0.92 * height)))
    if repeats == 1:
        bar_code(rng, canvas, (6, int(0.3 * height), 60, int(0.8 * height)))
        lines_of_text(rng, canvas, (width - 66, int(0.12 * height), width - 6, int(0.9 * height)), 9, canvas[40, -5])
    return canvas


def _wrap(rng: Rng) -> Canvas:
    return _strip(rng, int(rng.choice([1, 2])))


def _double(rng: Rng) -> Canvas:
    return _strip(rng, 2)


def _table(rng: Rng) -> Canvas:
    """The side of a carton: a table of contents over a bar code."""
    canvas = ramp(rng, _HIGH)
    height, width = canvas.shape[:2]
    left, right, low = int(0.08 * width), int(0.92 * width), int(0.62 * height)
    cv2.rectangle(canvas, (left, 14), (right, low), (246, 246, 246), -1)
    cv2.rectangle(canvas, (left, 14), (right, low), (20, 20, 20), 2)
    put_text(rng, canvas, word(rng), (left + 6, 18, right - 6, 46), (15, 15, 15))
    rows = int(rng.integers(6, 11))
    for y in np.linspace(58, low - 8, rows).astype(int):
        cv2.line(canvas, (left, y + 4), (right, y + 4), (60, 60, 60), 1)
        put_text(rng, canvas, word(rng), (left + 6, y - 12, left + 90, y + 1), (25, 25, 25))
        put_text(rng, canvas, f"{rng.integers(1, 99)}g", (right - 46, y - 12, right - 6, y + 1), (25, 25, 25))
    bar_code(rng, canvas, (int(0.25 * width), int(0.68 * height), int(0.75 * width), int(0.92 * height)))
    return canvas


def _stripe(rng: Rng) -> Canvas:
    """Bands of a few colours and one line of text."""
    canvas = blank(_BROAD, ink(rng))
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        y, thick = int(rng.integers(0, height)), int(rng.uniform(6, 70))
        cv2.rectangle(canvas, (0, y), (width, y + thick), ink(rng), -1)
    if rng.random() < 0.75:
        put_text(rng, canvas, word(rng).upper(), (60, 70, width - 60, 190), text_colour(rng, canvas[128, 320]))
    return canvas


def _mug(rng: Rng) -> Canvas:
    """A motif on each side of white crockery, or a pattern all around."""
    canvas = blank(_WIDE, (252, 252, 252))
    height, width = canvas.shape[:2]
    style = rng.integers(4)
    if style == 0:
        return canvas
    colours = [ink(rng) for _ in range(3)]
    if style == 1:
        for y in np.linspace(0.12, 0.88, int(rng.integers(2, 7))):
            cv2.line(canvas, (0, int(y * height)), (width, int(y * height)), colours[0], int(rng.integers(3, 18)))
    elif style == 2:
        for _ in range(60):
            place = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.circle(canvas, place, int(rng.uniform(4, 12)), colours[int(rng.integers(3))], -1, cv2.LINE_AA)
    else:
        text = word(rng)
        for centre in (width // 4, 3 * width // 4):
            motif(np.random.default_rng(len(text)), canvas, (centre, int(0.42 * height)), 58, colours[0])
            put_text(rng, canvas, text, (centre - 90, int(0.72 * height), centre + 90, int(0.9 * height)), colours[1])
    return canvas


def _ball(rng: Rng) -> Canvas:
    """Panels, stripes or patches of a ball, around white."""
    canvas = blank(_WIDE, (250, 250, 250))
    height, width = canvas.shape[:2]
    style, colour = rng.integers(3), ink(rng)
    if style == 0:
        for k in range(6):
            x = int((k + 0.5) * width / 6)
            cv2.line(canvas, (x, 0), (x, height), (60, 60, 60), 4)
        cv2.line(canvas, (0, height // 2), (width, height // 2), (60, 60, 60), 4)
    elif style == 1:
        for k in range(0, 6, 2):
            cv2.rectangle(canvas, (k * width // 6, 0), ((k + 1) * width // 6, height), colour, -1)
    else:
        for row in range(1, 4):
            for k in range(6):
                place = (int((k + 0.5 * (row % 2)) * width / 6), int(row * height / 4))
                cv2.circle(canvas, place, 22, colour, -1, cv2.LINE_AA)
    return canvas


def _screen(rng: Rng) -> Canvas:
    """A display: dark, or with tiles of programs."""
    canvas = blank(_HIGH, (8, 8, 10))
    height, width = canvas.shape[:2]
    if rng.random() < 0.35:
        return canvas
    canvas[16:-16, 12:-12] = ramp(rng, (height - 32, width - 24))
    for y in range(70, height - 90, 62):
        for x in range(28, width - 50, 54):
            cv2.rectangle(canvas, (x, y), (x + 36, y + 36), ink(rng), -1)
    put_text(rng, canvas, f"{rng.integers(1, 24)}:{rng.integers(10, 60)}", (80, 24, 176, 56), (240, 240, 240))
    return canvas


def _keys(rng: Rng) -> Canvas:
    """Rows of keys of a remote control on dark or light plastic."""
    dark = rng.random() < 0.7
    canvas = blank((640, _SIZE), (30, 30, 32) if dark else (215, 215, 210))
    key = (95, 95, 100) if dark else (90, 95, 100)
    cv2.circle(canvas, (205, 40), 18, (180, 30, 30), -1, cv2.LINE_AA)
    wheel = int(rng.uniform(170, 420))
    cv2.circle(canvas, (128, wheel), 74, key, -1, cv2.LINE_AA)
    cv2.circle(canvas, (128, wheel), 30, canvas[5, 5].tolist(), -1, cv2.LINE_AA)
    for y in range(90, 570, 46):
        for x in (56, 128, 200):
            if abs(y - wheel) > 96:
                colour = ink(rng) if rng.random() < 0.12 else key
                cv2.ellipse(canvas, (x, y), (25, 14), 0, 0, 360, colour, -1, cv2.LINE_AA)
    put_text(rng, canvas, word(rng).upper(), (70, 590, 186, 625), (200, 200, 200) if dark else (40, 40, 40))
    return canvas


def _cover(rng: Rng) -> Canvas:
    """A book's cover: a title, an image, an author."""
    canvas = ramp(rng, _HIGH)
    height, width = canvas.shape[:2]
    scene_of_shapes(rng, canvas, (20, int(0.36 * height), width - 20, int(0.82 * height)))
    tone = text_colour(rng, canvas[30, width // 2])
    for k in range(int(rng.integers(1, 4))):
        put_text(rng, canvas, word(rng).upper(), (24, 18 + 36 * k, width - 24, 50 + 36 * k), tone)
    name = f"{word(rng)} {word(rng)}"
    put_text(rng, canvas, name, (50, int(0.87 * height), width - 50, int(0.95 * height)), tone)
    return canvas


def _wood(rng: Rng) -> Canvas:
    """Rings and grain along the height, in the colours of timber."""
    light = np.array([[205, 165, 115], [185, 135, 85], [225, 195, 150], [140, 90, 55]][rng.integers(4)], float)
    across = np.linspace(-1, 1, _SIZE) * rng.uniform(3, 9)
    bend = 1.6 * rough(rng, 2, 2) + 0.25 * rough(rng, 4, 3)
    ring = 0.5 + 0.5 * np.sin(2 * np.pi * (across[None] + bend))
    grain = cv2.resize(rng.standard_normal((10, _SIZE)).astype(np.float32), (_SIZE, _SIZE))
    tone = 1 - 0.22 * ring**3 + 0.05 * grain
    return np.clip(light * tone[..., None], 0, 255).astype(np.uint8)


def _tone(value: NDArray[np.floating]) -> Canvas:
    """A grey image (H, W, 3) of values in 0..1."""
    return np.repeat(np.clip(255 * value, 0, 255).astype(np.uint8)[..., None], 3, -1)


def _metal(rng: Rng) -> Canvas:
    """Brushed: fine lines around, broad dull places."""
    lines = cv2.resize(rng.standard_normal((_SIZE, 5)).astype(np.float32), (_SIZE, _SIZE))
    return _tone(0.9 + 0.04 * lines + 0.07 * rough(rng, 2, 3))


def _foam(rng: Rng) -> Canvas:
    """Pores of many sizes."""
    canvas = _tone(0.93 + 0.05 * rough(rng, 24, 3))
    for _ in range(int(rng.uniform(150, 700))):
        place = (int(rng.integers(_SIZE)), int(rng.integers(_SIZE)))
        shade = int(rng.uniform(120, 205))
        cv2.circle(canvas, place, int(np.exp(rng.uniform(0, 1.8))), (shade, shade, shade), -1, cv2.LINE_AA)
    return canvas


def _knurl(rng: Rng) -> Canvas:
    """Ribs along the height, or crossed ones."""
    steps = np.arange(_SIZE) / _SIZE * int(rng.integers(14, 34)) * 2 * np.pi
    wave = np.sin(steps[None] + (steps[:, None] if rng.random() < 0.4 else 0)) + 0 * steps[:, None]
    crossed = np.maximum(wave, wave[:, ::-1])
    return _tone(0.82 + 0.18 * np.tanh(2 * crossed))


def _grip(rng: Rng) -> Canvas:
    """Grooves along or around a handle."""
    steps = np.linspace(0, 1, _SIZE, endpoint=False) * int(rng.integers(5, 11)) * 2 * np.pi
    groove = np.tanh(4 * (np.sin(steps) + 0.6))
    ridges = np.tile(groove[None], (_SIZE, 1)) if rng.random() < 0.6 else np.tile(groove[:, None], (1, _SIZE))
    return _tone(0.8 + 0.2 * ridges + 0.03 * rough(rng, 16, 3))


def _scale(rng: Rng) -> Canvas:
    """Graduations with figures and a frosted field, as on laboratory glass."""
    dark = (40, 60, 130) if rng.random() < 0.5 else (45, 45, 45)
    canvas = blank(_WIDE, (248, 250, 250))
    height, width = canvas.shape[:2]
    for start in (width // 4 - 30, 3 * width // 4 - 30):
        steps = int(rng.integers(8, 16))
        for k, y in enumerate(np.linspace(height - 14, 40, steps).astype(int)):
            cv2.line(canvas, (start, y), (start + (44 if k % 2 == 0 else 24), y), dark, 3)
            if k % 2 == 0:
                put_text(rng, canvas, str(10 * k), (start + 50, y - 9, start + 90, y + 9), dark)
        put_text(rng, canvas, "ml", (start, 6, start + 50, 28), dark)
    return canvas


def _fruit(rng: Rng) -> Canvas:
    """The skin of a fruit: streaks from stalk to foot, freckles, a cheek that saw the sun."""
    streak = cv2.resize(rng.standard_normal((3, 90)).astype(np.float32), (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)
    cheek = 0.5 + 0.5 * np.cos(np.linspace(0, 2 * np.pi, _SIZE))[None]
    value = 0.87 + 0.04 * streak + 0.05 * rough(rng, 3, 3)
    colour = np.stack([value, value * (0.86 + 0.14 * cheek), value * (0.85 + 0.1 * cheek)], -1)
    canvas = np.clip(255 * colour, 0, 255).astype(np.uint8)
    for _ in range(int(rng.uniform(20, 160))):
        place = (int(rng.integers(_SIZE)), int(rng.integers(_SIZE)))
        cv2.circle(canvas, place, 1, (235, 225, 190), -1, cv2.LINE_AA)
    return canvas


def _banana(rng: Rng) -> Canvas:
    """Brown spots and edges along the fruit, greenish ends."""
    value = 0.95 + 0.04 * rough(rng, 3, 3)
    ends = np.abs(np.linspace(-1, 1, _SIZE))[:, None] ** 6
    colour = np.stack([value - 0.35 * ends, value - 0.08 * ends, value - 0.1 * ends], -1)
    canvas = np.clip(255 * colour, 0, 255).astype(np.uint8)
    for k in range(5):
        x = int((k + 0.5) * _SIZE / 5)
        cv2.line(canvas, (x, 0), (x, _SIZE), (205, 190, 150), 3, cv2.LINE_AA)
    for _ in range(int(rng.choice([0, 15, 80]))):
        place, size = (
            (int(rng.integers(_SIZE)), int(rng.integers(_SIZE))),
            (int(rng.uniform(1, 4)), int(rng.uniform(2, 12))),
        )
        cv2.ellipse(canvas, place, size, rng.uniform(-20, 20), 0, 360, (110, 75, 45), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(canvas, (0, 0), 1.2).astype(np.uint8)


def _tennis(rng: Rng) -> Canvas:
    """Felt with the white seam of a tennis ball, in longitude and latitude."""
    canvas = _tone(0.86 + 0.1 * rough(rng, 60, 2))
    t = np.linspace(0, 2 * np.pi, 200)
    a = 0.44
    seam = np.stack([a * np.cos(t) + (1 - a) * np.cos(3 * t), a * np.sin(t) - (1 - a) * np.sin(3 * t)], -1)
    z = 2 * np.sqrt(a * (1 - a)) * np.sin(2 * t)
    u = (np.arctan2(seam[:, 1], seam[:, 0]) / (2 * np.pi)) % 1
    v = np.arccos(np.clip(z, -1, 1)) / np.pi
    for x, y in zip(u * _SIZE, v * _SIZE, strict=True):
        cv2.circle(canvas, (int(x), int(y)), 6, (255, 255, 255), -1, cv2.LINE_AA)
    return canvas


def _pages(rng: Rng) -> Canvas:
    """Edges of paper, one beside the other."""
    lines = rng.standard_normal(_SIZE)
    return _tone(np.tile(0.93 + 0.04 * lines[None], (_SIZE, 1)) + 0.01 * rough(rng, 4, 2))


def _paper(rng: Rng) -> Canvas:
    """Paper or board with fibres, without a print."""
    return _tone(0.95 + 0.03 * rough(rng, 3, 2) + 0.02 * rough(rng, 64, 2))


_MAKERS: dict[str, Maker] = {
    "front": _front, "wrap": _wrap, "double": _double, "table": _table, "stripe": _stripe, "mug": _mug, "ball": _ball,
    "screen": _screen, "keys": _keys, "cover": _cover, "wood": _wood, "metal": _metal, "foam": _foam, "knurl": _knurl,
    "grip": _grip, "scale": _scale, "fruit": _fruit, "banana": _banana, "tennis": _tennis, "pages": _pages,
    "paper": _paper,
}  # fmt: skip
KINDS = (
    "front", "wrap", "table", "stripe", "mug", "ball", "screen", "wood", "metal", "foam", "knurl", "scale",
    "front", "wrap", "fruit", "keys", "cover", "tennis", "grip", "banana", "pages", "double", "paper", "wrap",
)  # fmt: skip
"""Kind of layer k is `KINDS[k % len(KINDS)]`; the usual ones come up more than once."""
PRINTS = frozenset({"front", "wrap", "double", "table", "stripe", "screen", "keys", "cover", "wood"})
"""Kinds that carry their own colours."""


def layers_of(kind: str, count: int = LABEL_LAYERS) -> NDArray[np.int64]:
    """Numbers of the layers of one kind among `count` layers."""
    return np.array([k for k in range(count) if KINDS[k % len(KINDS)] == kind], np.int64)


def label_textures(count: int = LABEL_LAYERS, size: int = 128, seed: int = 5) -> Canvas:
    """(count, size, size, 3) uint8 prints and grains, square-root coded; row 0 is the top.

    The same `seed` gives the same images, whatever the `count`.
    """
    pictures = np.zeros((count, size, size, 3), np.uint8)
    for k in range(count):
        canvas = _MAKERS[KINDS[k % len(KINDS)]](np.random.default_rng([seed, k]))
        pictures[k] = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return pictures
