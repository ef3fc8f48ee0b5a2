"""Rooms, desks, shelves and screens drawn from nothing, to stand behind hands; square-root coded.

A room is a box seen from inside: its back wall is a rectangle in the image, the other walls run from its corners to
the image's edges. All is lit by a bright spot that fades, and the corners between walls are darker.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.appearance.surface_patterns import clouds, colour, noise, skin_like, stripes, wood

Picture = NDArray[np.uint8]
Array = NDArray[np.floating]
Rng = np.random.Generator


def room(rng: Rng, height: int, width: int) -> Picture:
    """A room with what stands and hangs in it, and often a table in front."""
    picture = np.zeros((height, width, 3), np.uint8)
    x0, x1 = rng.uniform(-0.2, 0.35) * width, rng.uniform(0.65, 1.2) * width
    y0, y1 = rng.uniform(-0.3, 0.25) * height, rng.uniform(0.45, 0.85) * height
    back = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    front = middle + (back - middle) * 6
    paint = _wall_paint(rng)
    shades = rng.uniform(0.55, 1.1, 4)
    for side in (0, 1, 3):  # ceiling, right, left
        following = (side + 1) % 4
        quad = np.array([back[side], front[side], front[following], back[following]])
        _fill(picture, quad, np.minimum(paint * (1.15 if side == 0 else shades[side]), 255))
    _pave(rng, picture, np.array([back[3], back[2], front[2], front[3]]))
    _fill(picture, back, paint * shades[2])
    _corners(picture, back, front)
    for _ in range(int(rng.integers(1, 6))):
        _hang(rng, picture, back)
    for _ in range(int(rng.integers(0, 4))):
        _stand(rng, picture, x0, x1, y1)
    if rng.random() < 0.55:
        _put_desk(rng, picture)
    return lit(rng, picture)


def desk(rng: Rng, height: int, width: int) -> Picture:
    """A table top seen from above at a slant, with papers, books, cups and a keyboard."""
    picture = np.zeros((height, width, 3), np.uint8)
    top = rng.uniform(-0.5, 0.15) * height
    spread = rng.uniform(0.0, 0.9) * width
    quad = np.array([[0, top], [width, top], [width + spread, 1.1 * height], [-spread, 1.1 * height]])
    picture[:] = _wall_paint(rng) * rng.uniform(0.3, 0.9)
    _warp(picture, _board(rng), quad)
    turn = cv2.getPerspectiveTransform(_UNIT, quad.astype(np.float32))
    for _ in range(int(rng.integers(2, 10))):
        place, size = rng.uniform(0, 1, 2), np.exp(rng.uniform(np.log(0.04), np.log(0.3), 2))
        angle = rng.normal(0, 0.5)
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * size[:, None] / 2
        corners = place + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ axes
        seen = cv2.perspectiveTransform(corners[None].astype(np.float32), turn)[0]
        _shadow(picture, seen + np.array([0.012, 0.02]) * width * rng.uniform(0.3, 1.2))
        _put_flat(rng, picture, seen)
    return lit(rng, picture)


def shelf(rng: Rng, height: int, width: int) -> Picture:
    """Boards with books, boxes and bottles, dark behind."""
    picture = np.empty((height, width, 3), np.uint8)
    board = skin_like(rng) if rng.random() < 0.6 else colour(rng)
    picture[:] = board * rng.uniform(0.25, 0.6)
    rows = int(rng.integers(1, 6))
    tall = height / rows
    for row in range(rows):
        bottom = int((row + 0.93) * tall)
        x, shared, usual = -rng.uniform(0, 20), colour(rng), rng.uniform(0.5, 0.9)
        while x < width:
            w = np.exp(rng.uniform(np.log(4), np.log(max(6.0, width / 9)))) + 1
            h = tall * np.clip(rng.normal(usual, 0.1), 0.2, 0.9)
            if rng.random() < 0.88:
                shade = colour(rng) if rng.random() < 0.6 else shared
                _upright(rng, picture, x, bottom - h, x + w, bottom, shade)
            x += w + rng.uniform(0, 3)
        cv2.rectangle(picture, (0, bottom), (width, int(bottom + 0.05 * tall) + 1), (board * 0.95).tolist(), -1)
        shade = np.linspace(0.45, 1, max(int(0.25 * tall), 1))[:, None, None]
        under = picture[int(row * tall) : int(row * tall) + len(shade)]
        under[:] = under * shade[: len(under)]
    return lit(rng, picture)


def screen(rng: Rng, height: int, width: int) -> Picture:
    """A monitor in front of a wall: windows with lines like text."""
    picture = room(rng, height, width)
    x0, y0 = rng.uniform(-0.1, 0.3, 2) * (width, height)
    x1, y1 = rng.uniform(0.7, 1.1, 2) * (width, height)
    _fill(picture, _rectangle(x0 - 6, y0 - 6, x1 + 6, y1 + 10), np.full(3, rng.uniform(5, 60)))
    dark = rng.random() < 0.4
    _fill(picture, _rectangle(x0, y0, x1, y1), np.full(3, 25.0) if dark else colour(rng) * 0.3 + 150)
    for _ in range(int(rng.integers(1, 4))):
        a = rng.uniform(0, 0.5, 2) * (x1 - x0, y1 - y0) + (x0, y0)
        b = a + rng.uniform(0.3, 0.6, 2) * (x1 - x0, y1 - y0)
        _fill(picture, _rectangle(*a, *b), np.full(3, 40.0) if dark else np.full(3, 245.0))
        line = rng.uniform(4, 9)
        for y in np.arange(a[1] + line, b[1] - line, line):
            end = a[0] + (b[0] - a[0]) * rng.uniform(0.2, 0.95)
            ink = (colour(rng) if rng.random() < 0.2 else np.full(3, 190.0 if dark else 70.0)).tolist()
            cv2.line(picture, (int(a[0]) + 4, int(y)), (int(end), int(y)), ink, max(int(line / 4), 1), cv2.LINE_AA)
    return picture


def lit(rng: Rng, picture: Picture) -> Picture:
    """The image under a light that is bright in one place and fades, with the fine grain of real surfaces."""
    height, width = picture.shape[:2]
    centre, spread = rng.uniform(-0.2, 1.2, 2), rng.uniform(0.4, 1.5)
    x = (np.arange(width, dtype=np.float32) / width - centre[0]) ** 2
    y = (np.arange(height, dtype=np.float32) / height - centre[1])[:, None] ** 2
    light = rng.uniform(0.35, 0.8) + rng.uniform(0.3, 0.8) * np.exp(-(x + y) / spread**2)
    tint = np.exp(rng.normal(0, 0.06) * np.array([1.0, 0.1, -1.0])).astype(np.float32)
    grain = 1 + 0.05 * noise(rng, height, width, 6, 5)
    shade = cv2.merge([(light * grain * share).astype(np.float32) for share in tint])
    return np.asarray(cv2.multiply(picture, shade, dtype=cv2.CV_8U), np.uint8)


_UNIT = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def _rectangle(x0: float, y0: float, x1: float, y1: float) -> Array:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _fill(picture: Picture, corners: Array, shade: Array) -> None:
    points = np.clip(corners * 16, -(2**19), 2**19).astype(np.int32)
    cv2.fillPoly(picture, [points], np.asarray(shade, np.float64).tolist(), cv2.LINE_AA, 4)


def _wall_paint(rng: Rng) -> Array:
    """(3,) mostly white, cream and grey; sometimes any colour."""
    if rng.random() < 0.7:
        return rng.uniform(120, 245) * np.array([1.0, rng.uniform(0.95, 1.0), rng.uniform(0.85, 1.02)])
    return colour(rng)


def _board(rng: Rng) -> Picture:
    makers: Sequence[Callable[[Rng, int, int], Picture]] = (wood, wood, clouds, stripes)
    if rng.random() < 0.35:
        return np.full((8, 8, 3), _wall_paint(rng), np.uint8)
    return makers[int(rng.integers(len(makers)))](rng, 128, 128)


def _warp(picture: Picture, texture: Picture, quad: Array) -> None:
    """Lay a texture over a quad of the image (order as `_UNIT`)."""
    height, width = picture.shape[:2]
    size = np.array([texture.shape[1], texture.shape[0]], np.float32)
    turn = cv2.getPerspectiveTransform(_UNIT * size, quad.astype(np.float32))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.clip(quad, -(2**14), 2**14).astype(np.int32)], 255)
    laid = cv2.warpPerspective(texture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    cv2.copyTo(laid, mask, picture)


def _pave(rng: Rng, picture: Picture, quad: Array) -> None:
    _warp(picture, _board(rng), quad)


def _corners(picture: Picture, back: Array, front: Array) -> None:
    """Less light gets into the corners between walls."""
    shade = np.full(picture.shape[:2], 255, np.uint8)
    width = max(picture.shape[1] // 40, 2)
    for k in range(4):
        ends = np.clip(np.stack([back[k], back[(k + 1) % 4], front[k]]), -(2**14), 2**14).astype(int).tolist()
        cv2.line(shade, ends[0], ends[1], 150, width, cv2.LINE_AA)
        cv2.line(shade, ends[0], ends[2], 150, width, cv2.LINE_AA)
    soft = cv2.GaussianBlur(shade, (0, 0), 1.5 * width).astype(np.float32) / 255
    picture[:] = (picture * soft[..., None]).astype(np.uint8)


def _hang(rng: Rng, picture: Picture, back: Array) -> None:
    """A window, an image, a cupboard on the back wall."""
    size = back[2] - back[0]
    a = back[0] + size * rng.uniform(-0.1, 0.8, 2)
    b = a + size * rng.uniform(0.08, 0.4, 2)
    frame = rng.uniform(0.005, 0.02) * picture.shape[1]
    kind = rng.random()
    if kind < 0.35:  # a window burns out
        _fill(picture, _rectangle(*(a - frame), *(b + frame)), np.full(3, rng.uniform(120, 250)))
        sky = np.array([235.0, 243, 255]) if rng.random() < 0.7 else colour(rng)
        _fill(picture, _rectangle(*a, *b), sky)
        if rng.random() < 0.5:
            x = (a[0] + b[0]) / 2
            _fill(picture, _rectangle(x - frame / 2, a[1], x + frame / 2, b[1]), np.full(3, 200.0))
        return
    _shadow(picture, _rectangle(*(a + frame), *(b + 2 * frame)))
    _fill(picture, _rectangle(*(a - frame), *(b + frame)), colour(rng) * 0.6)
    _fill(picture, _rectangle(*a, *b), colour(rng))
    if kind < 0.7:
        _fill(picture, _rectangle(*(a + 0.2 * (b - a)), *(b - 0.3 * (b - a))), colour(rng))


def _stand(rng: Rng, picture: Picture, x0: float, x1: float, floor: float) -> None:
    """A cupboard, a chair's back, a bin on the floor."""
    w, h = rng.uniform(0.08, 0.35) * picture.shape[1], rng.uniform(0.1, 0.6) * picture.shape[0]
    x, y = rng.uniform(x0 - w, x1), floor + rng.uniform(0, 0.12) * picture.shape[0]
    _shadow(picture, _rectangle(x - 0.05 * w, y - 0.03 * h, x + 1.15 * w, y + 0.06 * h))
    _upright(rng, picture, x, y - h, x + w, y, skin_like(rng) if rng.random() < 0.4 else colour(rng))


def _upright(rng: Rng, picture: Picture, x0: float, y0: float, x1: float, y1: float, shade: Array) -> None:
    """A box or a round object seen from the side, with a label sometimes."""
    if rng.random() < 0.4:
        for k, light in enumerate((0.55, 0.85, 1.0, 0.9, 0.7)):
            w = (x1 - x0) / 5
            _fill(picture, _rectangle(x0 + k * w, y0, x0 + (k + 1) * w, y1), shade * light)
    else:
        _fill(picture, _rectangle(x0, y0, x1, y1), shade)
    if rng.random() < 0.4:
        a, b = sorted(rng.uniform(0.1, 0.9, 2))
        _fill(picture, _rectangle(x0, y0 + a * (y1 - y0), x1, y0 + b * (y1 - y0)), colour(rng))


def _shadow(picture: Picture, corners: Array) -> None:
    """Darken what lies under a quad, softly."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.clip(corners, -(2**14), 2**14).astype(np.int32)], 120)
    soft = cv2.GaussianBlur(mask, (0, 0), max(width / 90, 1)).astype(np.float32) / 255
    picture[:] = (picture * (1 - soft[..., None])).astype(np.uint8)


def _put_desk(rng: Rng, picture: Picture) -> None:
    """The edge of a table in front."""
    height, width = picture.shape[:2]
    y, spread = rng.uniform(0.6, 0.92) * height, rng.uniform(0.1, 0.6) * width
    tilt = rng.normal(0, 0.03) * height
    quad = np.array([[-0.02 * width, y + tilt], [1.02 * width, y - tilt], [width + spread, 1.5 * height]])
    _warp(picture, _board(rng), np.concatenate([quad, [[-spread, 1.5 * height]]]))


def _put_flat(rng: Rng, picture: Picture, corners: Array) -> None:
    """Paper, a book, a plate, a telephone lying on a table."""
    kind = rng.random()
    if kind < 0.25:
        middle, size = corners.mean(0), np.abs(corners - corners.mean(0)).max(0)
        shade = colour(rng).tolist()
        radii = (size * 0.8 + 1).astype(int).tolist()
        cv2.ellipse(picture, middle.astype(int).tolist(), radii, 0, 0, 360, shade, -1, cv2.LINE_AA)
        return
    _fill(picture, corners, np.full(3, rng.uniform(200, 250)) if kind < 0.5 else colour(rng))
    if kind > 0.7:
        middle = corners.mean(0)
        _fill(picture, middle + 0.8 * (corners - middle), colour(rng))
    elif kind < 0.5:
        for share in np.arange(0.15, 0.9, 0.12):
            a = corners[0] + share * (corners[3] - corners[0]) + 0.1 * (corners[1] - corners[0])
            b = a + rng.uniform(0.4, 0.8) * (corners[1] - corners[0])
            cv2.line(picture, a.astype(int).tolist(), b.astype(int).tolist(), (90, 90, 95), 1, cv2.LINE_AA)
