"""Contact sheets: conditions, and what was made for them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError
from prehend_training.boost.folders import read_units
from prehend_training.boost.generator.conditions import Condition, at_size, draw_condition, why_unmapped
from prehend_training.boost.generator.data import open_crops
from prehend_training.inspect.batches import write_picture
from prehend_training.inspect.samples import tile_sheet

TILE_PX = 128
_COLOURS = {True: (80, 220, 90), False: (240, 80, 70)}


def write_sheet(path: Path, made: Path, conditions: Path, rows: int) -> None:
    """Write a row for each of the first conditions: its rendering, texture, normals, and the pictures that were made.

    Args:
        path: .png or .jpg.
        made: folder of `boost sample`.
        conditions: folder that it was made for.
        rows: how many.

    Raises:
        AssetError: a folder cannot be read.
        InvalidInput: the picture cannot be written.
    """
    pictures, drawn = open_crops(made), open_crops(conditions)
    numbers = {unit["unit"]: unit["samples"] for unit in read_units(made)}
    tiles: list[NDArray[np.uint8]] = []
    row, width = 0, 3 + max(numbers.values())
    for unit, count in list(numbers.items())[:rows]:
        rendered = at_size(drawn.sample(unit, "none"), TILE_PX)
        own = [pictures.sample(row + k, "none").image for k in range(count)]
        row += count
        tiles += [rendered.image, *maps_shown(draw_condition(rendered, TILE_PX)), *map(_tile, own)]
        tiles += [np.zeros((TILE_PX, TILE_PX, 3), np.uint8)] * (width - 3 - count)
    write_picture(path, tile_sheet(tiles, width))


def write_conditions(path: Path, folder: Path, rows: int) -> None:
    """Write crops of a folder, spread over it, each with its maps of texture and normals; three in a row.

    Args:
        path: .png or .jpg.
        folder: of `boost create`, `boost fit`, or any with hands in metres.
        rows: how many.

    Raises:
        AssetError: the folder cannot be read, or has no crop with a hand in metres.
        InvalidInput: the picture cannot be written.
    """
    crops = open_crops(folder)
    tiles: list[NDArray[np.uint8]] = []
    for number in np.unique(np.linspace(0, len(crops) - 1, min(3 * rows, len(crops))).round().astype(int)):
        sample = crops.sample(int(number), "none")
        if why_unmapped(sample) is None:
            small = at_size(sample, TILE_PX)
            tiles += [small.image, *maps_shown(draw_condition(small, TILE_PX))]
    if not tiles:
        raise AssetError(f"{folder}: no crop has a hand in metres")
    write_picture(path, tile_sheet(tiles, 9))


def write_judged(path: Path, made: Path, kept: Path, rows: int) -> None:
    """Write made pictures from the smallest to the largest error, framed green where they were kept and red where not.

    Args:
        path: .png or .jpg.
        made: folder of `boost sample`.
        kept: what `boost filter` made of it.
        rows: of eight pictures.

    Raises:
        AssetError: a folder cannot be read.
        InvalidInput: the picture cannot be written.
    """
    folder, units = open_crops(made), read_units(kept)
    worst = [(max(unit["errors_mm"][:2]), max(unit["errors_mm"][2:])) for unit in units]
    order = np.argsort([error for error, _ in worst])
    tiles = []
    for place in np.unique(np.linspace(0, len(order) - 1, min(8 * rows, len(order))).round().astype(int)):
        number = int(order[place])
        tile = _tile(folder.sample(number, "none").image)
        cv2.rectangle(tile, (1, 1), (TILE_PX - 2, TILE_PX - 2), _COLOURS[bool(units[number]["samples"])], 2)
        text = "{:.0f} / {:.0f} mm".format(*worst[number])
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(tile, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
        tiles.append(tile)
    write_picture(path, tile_sheet(tiles, 8))


def maps_shown(condition: Condition) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(S, S, 3) texture and normals of a condition as pictures, mirrored back."""
    normals = np.where(condition.front[..., None], condition.normals.astype(np.int16) + 128, 0).astype(np.uint8)
    texture = condition.texture
    return (texture[:, ::-1], normals[:, ::-1]) if condition.mirrored else (texture, normals)


def _tile(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC), np.uint8)
