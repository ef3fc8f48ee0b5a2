"""Contact sheets of folders, and of batches as the network gets them with their targets drawn back."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.conventions import FINGERS, JOINT_PARENTS, SIDES
from prehend.errors import InvalidInput
from prehend.files import replace_file
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.skinning import skin
from prehend.pipeline.crops.letterbox import cell_centers
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import from_box
from prehend_training.data.stores.open import SingleSource
from prehend_training.data.stores.photographs import PhotoChoice, PhotoDataset
from prehend_training.inspect.samples import DEFAULT_LABELS, contact_sheet, rows_sheet, tile_sheet
from prehend_training.photos.labels import read_labels
from prehend_training.sample import Sample
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.loop.preset import Preset

_COLOURS = ((255, 80, 80), (255, 200, 40), (90, 230, 90), (70, 170, 255), (220, 100, 255))
_ZOOM = 3
_BOX_EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 7), (6, 7), (0, 4), (1, 5), (2, 6), (3, 7))

Image = NDArray[Any]


def folder_sheet(
    path: Path,
    labels: Sequence[str] = DEFAULT_LABELS,
    count: int | None = None,
    columns: int | None = None,
    first: int = 0,
    scale: int = 2,
    view_groups: bool = False,
) -> Image:
    """Samples of a folder of shards, (H, W, 3) uint8 RGB.

    Args:
        path: the folder.
        labels: see `samples.contact_sheet`.
        count: samples (24), or rows (4).
        columns: samples in a row (6); of a sequence as many of its frames, evenly spaced.
        first: number of the first sample or row.
        scale: enlargement.
        view_groups: a row for each instant, with all its cameras. Sequences always have a row of their own.

    Raises:
        InvalidInput: there is nothing to show.
    """
    folder = ShardFolder.open(path)
    if folder.kind != "sequences" and not view_groups:
        samples = [folder[index] for index in range(first, min(first + (count or 24), len(folder)))]
        if not samples:
            raise InvalidInput(f"{path} has {len(folder)} samples: none from number {first} on")
        return contact_sheet(samples, min(columns or 6, len(samples)), scale, labels)
    units = folder.units()[first : first + (count or 4)]
    if not units:
        raise InvalidInput(f"{path} has {len(folder.units())} groups: none from number {first} on")
    rows = [_spread(unit, columns or (6 if folder.kind == "sequences" else len(unit))) for unit in units]
    return rows_sheet(([folder[index] for index in row] for row in rows), scale, labels)


def photo_sheet(
    choice: PhotoChoice,
    labels: Sequence[str] = DEFAULT_LABELS,
    count: int | None = None,
    columns: int | None = None,
    first: int = 0,
    scale: int = 1,
) -> Image:
    """Hands of labelled photographs, spread evenly from number `first` on; arguments as of `folder_sheet`.

    Raises:
        InvalidInput: there is nothing to show.
    """
    dataset = PhotoDataset(read_labels(choice.labels), choice.split)
    if first >= len(dataset.hands):
        raise InvalidInput(f"{choice.labels} has {len(dataset.hands)} hands: none from number {first} on")
    chosen = _spread(range(first, len(dataset.hands)), count or 24)
    samples = [_resized(dataset.sample(index), PHOTO_PX) for index in chosen]
    return contact_sheet(samples, min(columns or 6, len(samples)), scale, labels)


PHOTO_PX = 160
"""Longer side of a photograph's piece on a sheet, before it is enlarged."""


def _resized(sample: Sample, side_px: int) -> Sample:
    """A sample whose longer side is so long; only what is drawn of a photograph is changed."""
    height, width = sample.image.shape[:2]
    factor = side_px / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    image = np.asarray(cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    shift = (factor - 1) / 2
    hands = tuple(
        replace(hand, keypoints_px=hand.keypoints_px * factor + shift, box_px=hand.box_px * factor + shift)
        for hand in sample.hands
    )
    return replace(sample, image=image, hands=hands)


def write_picture(path: Path, image: Image) -> None:
    """Write (H, W, 3) uint8 RGB as .png or .jpg; its folder is made if absent.

    Raises:
        InvalidInput: it ends otherwise, or is a folder.
        OutputError: it cannot be written.
    """
    if path.suffix.lower() not in (".png", ".jpg") or path.is_dir():
        raise InvalidInput(f"{path} cannot be written: does it end with .png or .jpg?")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, cv2.imencode(path.suffix, image[..., ::-1])[1].tobytes())


def _spread(unit: range, count: int) -> list[int]:
    """At most `count` numbers of a range, the first and the last among them."""
    return [unit[round(place)] for place in np.linspace(0, len(unit) - 1, min(count, len(unit)))]


def batch_sheet(preset: Preset, data: SingleSource, count: int, columns: int, augment: bool = True) -> Image:
    """Tiles of `count` samples of a batch, (H, W, 3) uint8 RGB."""
    arrays, tile = preset.samples(data, count, augment), crop_tile if preset.pictures == "crops" else frame_tile
    tiles = [tile({name: value[row] for name, value in arrays.items()}) for row in range(count)]
    return tile_sheet(tiles, columns)


def crop_tile(sample: ArrayDict) -> Image:
    """One crop: lines are the 2D keypoints (dotted where hidden), crosses the hand model of the labelled rotations and
    shape, boxes those given to the network; if lines and crosses part, a label is wrong. In the corner the twin."""
    tile = cv2.resize(sample["image"], None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST)
    if sample["has_twin"] and not np.array_equal(sample["image"], sample["image_deoccluded"]):
        small = sample["image_deoccluded"]
        tile[-len(small) :, -small.shape[1] :] = small
    _rectangle(tile, sample["hand_box"], (255, 255, 255))
    if not sample["presence"]:
        return _label(tile, "no hand")
    if sample["has_keypoints"]:
        _draw_skeleton(tile, sample)
    if sample["has_pose"] and sample["has_joints"]:
        _draw_mesh(tile, sample)
    text = ("grasp" if sample["grasp"] else "free") if sample["has_grasp"] else "?"
    if not sample["has_side"]:
        text += ", any side"
    elif not sample["right"]:
        text += ", left"
    if sample["has_points"]:
        _draw_object(tile, sample)
    if sample["grasp_gate"] != sample["grasp"]:
        text += " (told otherwise)"
    return _label(tile, text)


def _draw_skeleton(tile: Image, sample: ArrayDict) -> None:
    points = from_box(sample["keypoints"], sample["hand_box"])
    for joint, parent in enumerate(JOINT_PARENTS):
        colour = _COLOURS[min((joint - 1) // 4, len(FINGERS) - 1)] if joint else (255, 255, 255)
        if parent >= 0:
            cv2.line(tile, _at(points[joint]), _at(points[parent]), colour, 2 if sample["visible"][joint] else 1)
        cv2.circle(tile, _at(points[joint]), 4 if sample["visible"][joint] else 2, colour, -1)


def _draw_mesh(tile: Image, sample: ArrayDict) -> None:
    posed = skin(load_hand_model(), sample["rotations"], sample["betas"])
    seen = (posed.vertices - posed.joints[0] + sample["root"]) @ sample["projection"].T
    for pixel in (seen[:, :2] / seen[:, 2:])[::7]:
        cv2.drawMarker(tile, _at(pixel), (0, 255, 255), cv2.MARKER_CROSS, 3)


def _draw_object(tile: Image, sample: ArrayDict) -> None:
    _rectangle(tile, sample["object_box"], (255, 160, 0))
    corners = from_box(sample["object_points"][0], sample["object_box"])
    for a, b in _BOX_EDGES:
        cv2.line(tile, _at(corners[a]), _at(corners[b]), (255, 160, 0), 1)
    cv2.circle(tile, _at(corners[0]), 5, (255, 0, 0), 1)
    cells = int(np.sqrt(sample["object_mask"].size))
    places = (np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).reshape(-1, 2) + 0.5) / cells
    for place in from_box(places, sample["object_box"])[sample["object_mask"] > 0]:
        cv2.circle(tile, _at(place), 1, (255, 160, 0), -1)


def frame_tile(sample: ArrayDict) -> Image:
    """One frame: at each centre of heat the box, side and object that the maps tell."""
    tile = cv2.resize(sample["image"], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    centers = cell_centers(sample["held"].shape[0], len(sample["image"]))
    grey = np.argwhere(sample["heat_weight"] == 0)
    for row, column in grey:
        cv2.circle(tile, _at(np.array([centers[column], centers[row]]), 2), 3, (128, 128, 128), -1)
    for row, column in np.argwhere(sample["heat"] > 0.999):
        side = int(sample["side"][row, column])
        center = np.array([centers[column], centers[row]])
        box = sample["hand_box"][:, row, column]
        colour = ((255, 90, 90), (90, 200, 255))[side]
        _rectangle(tile, np.concatenate([center - box[:2], center + box[2:]]), colour, 2)
        cv2.circle(tile, _at(center, 2), 5, colour, -1)
        name = SIDES[side] + (" grasp" if sample["held"][row, column] else "")
        cv2.putText(tile, name, _at(center - box[:2], 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
        if sample["object_weight"][row, column]:
            _rectangle(tile, sample["object_box"][:, row, column] + np.tile(center, 2), (255, 160, 0), 2)
    return tile


def _at(pixel: NDArray[np.floating], zoom: int = _ZOOM) -> tuple[int, int]:
    """A pixel's centre in an image enlarged `zoom` times."""
    x, y = np.rint(np.clip((np.asarray(pixel) + 0.5) * zoom - 0.5, -9999, 9999)).astype(int)
    return int(x), int(y)


def _rectangle(tile: Image, box: NDArray[np.floating], colour: tuple[int, int, int], zoom: int = _ZOOM) -> None:
    cv2.rectangle(tile, _at(box[:2], zoom), _at(box[2:], zoom), colour, 1)


def _label(tile: Image, text: str) -> Image:
    cv2.putText(tile, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3)
    cv2.putText(tile, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return tile
