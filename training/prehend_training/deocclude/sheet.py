"""A contact sheet of twins: the image, the depth map, the candidates with their J-PE, the chosen one in its place."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from prehend_training.deocclude.choose import MadeTwin
from prehend_training.deocclude.region import Image
from prehend_training.inspect.batches import write_picture
from prehend_training.inspect.samples import tile_sheet

TILE_PX = 192

_MASK_COLOUR, _HAND_COLOUR, _CHOSEN_COLOUR = (255, 230, 60), (80, 255, 220), (60, 210, 60)


def write_sheet(path: Path, twins: Sequence[MadeTwin], strengths: Sequence[float]) -> None:
    """Write a row for each twin: original with M in yellow and the bare hand in cyan, depth map, the candidates (the
    chosen one framed), the twin, and the rendered twin where the frame has one.

    Args:
        path: .png or .jpg.
        twins: one or more.
        strengths: of the candidates.

    Raises:
        InvalidInput: it cannot be written.
    """
    rows = [_row(made, strengths) for made in twins]
    columns = max(len(row) for row in rows)
    black = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    write_picture(path, tile_sheet([tile for row in rows for tile in (*row, *[black] * (columns - len(row)))], columns))


def _row(made: MadeTwin, strengths: Sequence[float]) -> list[Image]:
    region = made.region
    original = _tile(region.image)
    for mask, colour in ((region.mask, _MASK_COLOUR), (region.depth > 0, _HAND_COLOUR)):
        _outline(original, mask, colour)
    depth = np.repeat((255 * region.depth).astype(np.uint8)[..., None], 3, 2)
    tiles = [_named(original, f"hidden {region.hidden:.2f}"), _named(_tile(depth), "depth")]
    for number, (painted, strength) in enumerate(zip(made.painted, strengths, strict=True)):
        tile = _tile(painted)
        if number == made.best:
            cv2.rectangle(tile, (1, 1), (TILE_PX - 2, TILE_PX - 2), _CHOSEN_COLOUR, 3)
        tiles.append(_named(tile, f"s {strength:g}: {1000 * made.j_pe_m[number]:.1f} mm"))
    tiles.append(_named(_tile(region.seen_in(made.pictures[made.best])), "twin"))
    if made.sample.maps is not None:
        rendered = _tile(region.seen_in(made.sample.maps.deoccluded))
        _outline(rendered, region.depth > 0, _HAND_COLOUR)
        tiles.append(_named(rendered, "rendered twin"))
    return tiles


def _tile(image: Image) -> Image:
    return np.array(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _outline(tile: Image, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    small = cv2.resize(mask.astype(np.uint8), (TILE_PX, TILE_PX), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, contours, -1, colour, 1)


def _named(tile: Image, text: str) -> Image:
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
    return tile
