"""The pixel work of a sample, decided before any pixel is touched: what `opencv` does at once and a device later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.types import FloatArray
from prehend_training.data.pixels.draws import PixelChanges

Source = Mapping[str, NDArray[Any]]
"""The pixels of a record: `image`, `segmentation` and, where there is a twin, `deoccluded` and `deoccluded_front`; in a
device's memory in place of them `slot`, their number there, and `mirrored`, whether their mirror image is meant."""

IMAGES = ("image", "segmentation", "deoccluded", "deoccluded_front")
"""Arrays of a record that are as large as its image."""
IN_MEMORY = ("slot", "image_size", "mirrored")
"""What a record has in place of `IMAGES` where those are in a device's memory."""

MAP_STRIDE = 4
"""Pixels of the crop per cell of the maps that training supervises densely."""

ALL, HELD_ALONE, NOTHING = range(3)
"""What of the foreground a crop shows."""

PENDING = "pending"
"""Name beside the arrays of a batch under which its `CropPixels` or `FramePixels` wait for the device."""


@dataclass(frozen=True)
class Background:
    """A square piece of another sample in place of the background.

    Attributes:
        source: its image and segmentation, or where it lies in memory.
        corner: first row and column. side_px: of the square. quarters: turns by 90 degrees.
    """

    source: Source
    side_px: int
    corner: tuple[int, int]
    quarters: int


@dataclass(frozen=True)
class CropPixels:
    """The pixel work of a crop.

    Attributes:
        source: where its pixels are. front: what of the foreground is shown: `ALL`, `HELD_ALONE` or `NOTHING`.
        affine: (2, 3) from the stored image to the crop.
        size_px: side of the crop.
        twin: give the twin without objects too. own_twin: it is not the image itself, if the source has one.
        smear: the image's edge goes on where it ends, instead of black.
        background: in place of what is behind the foreground, None for none.
        changes: None for none.
        unlabelled: nothing in it is told apart: `segments` are 0.
        object_box: (4,) of the crop, whose cells `object_mask` tells of; None where it is 0. grid: cells along a side.
    """

    source: Source
    front: int
    affine: FloatArray
    size_px: int
    twin: bool
    own_twin: bool
    smear: bool
    background: Background | None
    changes: PixelChanges | None
    unlabelled: bool
    object_box: FloatArray | None
    grid: int


@dataclass(frozen=True)
class FramePixels:
    """The pixel work of a frame.

    Attributes:
        source: where its pixels are.
        affine: (2, 3) from the stored image to the input, any mirroring in it.
        window: x0, y0, x1, y1, ends excluded, of what is not black.
        size_px, stride_px: side of the input, and pixels a cell.
        changes: None for none.
    """

    source: Source
    affine: FloatArray
    window: tuple[int, int, int, int]
    size_px: int
    stride_px: int
    changes: PixelChanges | None


def source_of(record: Source) -> Source:
    """The entries of a record that tell of its pixels."""
    return {name: record[name] for name in (*IMAGES, *IN_MEMORY) if name in record}


def later(pixels: CropPixels | FramePixels) -> dict[str, Any]:
    """The work is left for the device that trains."""
    return {PENDING: pixels}


def cell_places(
    box_px: FloatArray, grid: int, size_px: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Where the centres of a box's cells lie in a crop of a side: (grid,) columns and rows, clipped to it, and
    (grid, grid) which centres are in it."""
    centers = (np.arange(grid) + 0.5) / grid
    x = np.rint(box_px[0] + centers * (box_px[2] - box_px[0])).astype(int)
    y = np.rint(box_px[1] + centers * (box_px[3] - box_px[1])).astype(int)
    inside_x, inside_y = (x >= 0) & (x < size_px), (y >= 0) & (y < size_px)
    return x.clip(0, size_px - 1), y.clip(0, size_px - 1), inside_y[:, None] & inside_x
