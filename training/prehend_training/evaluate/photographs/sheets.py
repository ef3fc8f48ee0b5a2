"""Contact sheets of what was found in photographs and clips: what no number tells is seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

from prehend.conventions import BONES, Side
from prehend.draw.canvas import INK, WHITE, draw_polyline, draw_text, fill_rounded, text_size
from prehend.draw.overlay import OverlayOptions, draw
from prehend.errors import InvalidInput
from prehend.eval.photographs.measures import PhotoAnswer
from prehend.hand_model import HandModel
from prehend.io.pixels.images import Image, read_image
from prehend.types import Box, FloatArray, FrameResult
from prehend_training.evaluate.photographs.measure import PhotoRun
from prehend_training.evaluate.photographs.report import ScoredLabel
from prehend_training.inspect.batches import write_picture
from prehend_training.inspect.samples import tile_sheet

TILE_PX = 320
COLUMNS = 6
TILES_A_SHEET = 36
MAX_SIDE_PX = 1920
NAME_LENGTH = 18

_MARGIN = 0.3
"""Of a label's box, around it."""


def hands_tile(models: Mapping[Side, HandModel], image: Image, result: FrameResult, name: str) -> Image:
    """An image with the hands that were found, its name, and their tracks, sides and scores."""
    options = OverlayOptions(labels=False, min_side_px=1, max_side_px=TILE_PX)
    picture = draw(image, result, {side: model.faces for side, model in models.items()}, options)
    short = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 2]}.."  # so that the scores are seen
    told = "  ".join(f"#{hand.track_id} {hand.side[0].upper()} {hand.score:.2f}" for hand in result.hands)
    return _titled(picture, f"{short}  {told}")


def write_sheets(tiles: Sequence[Image], folder: Path, name: str) -> list[Path]:
    """Tiles as `NAME_01.jpg`, `NAME_02.jpg`, ...; their paths.

    Raises:
        InvalidInput: one cannot be written.
    """
    paths = []
    for start in range(0, len(tiles), TILES_A_SHEET):
        paths.append(folder / f"{name}_{start // TILES_A_SHEET + 1:02d}.jpg")
        write_picture(paths[-1], tile_sheet(tiles[start : start + TILES_A_SHEET], COLUMNS))
    return paths


def worst_sheet(labels: Sequence[ScoredLabel], models: Mapping[Side, HandModel], path: Path) -> Path:
    """Labels (white) and what was said about them, cut out of their images, on one sheet.

    Raises:
        InvalidInput: it cannot be written.
    """
    write_picture(path, tile_sheet([_label_tile(one, models) for one in labels], COLUMNS))
    return path


def false_sheet(false: Sequence[tuple[PhotoRun, PhotoAnswer]], models: Mapping[Side, HandModel], path: Path) -> Path:
    """Answers that are no hand, cut out of their images, on one sheet.

    Raises:
        InvalidInput: it cannot be written.
    """
    tiles = []
    for run, answer in false:
        picture, scale = _overlay(run, models)
        cut, _ = _cut(picture, Box.around(np.asarray(answer.keypoints_px)), scale)
        tiles.append(_titled(cut, f"{Path(run.photo.name).name}  score {answer.score:.2f}"))
    write_picture(path, tile_sheet(tiles, COLUMNS))
    return path


def _overlay(run: PhotoRun, models: Mapping[Side, HandModel]) -> tuple[Image, float]:
    """The image of a run with what our own detector found, at most `MAX_SIDE_PX` large, and its scale."""
    if run.path is None or run.result is None:
        raise InvalidInput(f"{run.photo.name}: there is no image to draw on")
    image = read_image(run.path)
    options = OverlayOptions(labels=False, min_side_px=1, max_side_px=MAX_SIDE_PX)
    picture = draw(image, run.result, {side: model.faces for side, model in models.items()}, options)
    return picture, min(1.0, MAX_SIDE_PX / max(image.shape[:2]))


def _label_tile(one: ScoredLabel, models: Mapping[Side, HandModel]) -> Image:
    picture, scale = _overlay(one.run, models)
    tile, affine = _cut(picture, one.label.box, scale)
    _draw_label(tile, one, affine @ _to_picture(scale))
    told = f"nme {one.scores.nme:.2f}" if one.scores.found else "not found"
    return _titled(tile, f"{Path(one.run.photo.name).name}  {told}")


def _draw_label(tile: Image, one: ScoredLabel, affine: FloatArray) -> None:
    """The labelled skeleton, or the box where there is none; `affine` (2, 3) maps the photograph to the tile."""
    label, box = one.label, one.label.box

    def place(points: ArrayLike) -> FloatArray:
        return np.asarray(points, np.float64) @ affine[:, :2].T + affine[:, 2]

    if label.keypoints_px is not None and label.has_keypoints:
        points = place(label.keypoints_px)
        for parent, joint in BONES:
            if label.mask[joint] and label.mask[parent]:
                draw_polyline(tile, points[[parent, joint]], WHITE, 1.5, rim=1)
    elif box is not None:
        corners = [[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]]
        draw_polyline(tile, place(corners), WHITE, 1.5, closed=True, rim=1)


def _to_picture(scale: float) -> FloatArray:
    """(3, 3) from a photograph to the image that was drawn; centres of pixels are whole numbers in both."""
    return np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5], [0, 0, 1.0]])


def _cut(picture: Image, box: Box | None, scale: float) -> tuple[Image, FloatArray]:
    """(TILE_PX, TILE_PX, 3) a box and what is around it, and the map (2, 3) from the image."""
    height, width = picture.shape[:2]
    if box is None:
        box = Box(0, 0, width / scale, height / scale)
    half = max(scale * max(box.width, box.height) * (0.5 + _MARGIN), 16.0)
    x, y = (scale * value for value in box.center)
    enlarge = TILE_PX / (2 * half)
    affine = np.array([[enlarge, 0, (half - x) * enlarge], [0, enlarge, (half - y) * enlarge]])
    tile = cv2.warpAffine(picture, affine, (TILE_PX, TILE_PX), flags=cv2.INTER_AREA)
    return np.asarray(tile, np.uint8), affine


def _titled(picture: Image, text: str) -> Image:
    """The image with a line of text in its upper left corner, on a copy."""
    titled = np.ascontiguousarray(picture).copy()
    width, height = text_size(text, 13)
    fill_rounded(titled, (2, 2, width + 10, height + 10), INK, 3, 0.75)
    draw_text(titled, text, 6, height + 4, 13, WHITE)
    return titled
