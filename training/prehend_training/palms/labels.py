"""Palms of photographs and what else is known of their hands.

schema     `prehend.palm_labels/1`
folder     where the photographs are
about      who labelled, and what was kept of each folder
photos     path, size, split; hands: points (7, 2), region [x, y, width, height, turn] or null, side, held, score

`ignore` of a photograph are boxes in which nobody knows whether there are hands. Everywhere else there are none.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from prehend.conventions import SIDES, Side
from prehend.errors import SourceError
from prehend.files import replace_text
from prehend.types import Box, FloatArray, Region

SCHEMA = "prehend.palm_labels/1"


@dataclass(frozen=True)
class PalmHand:
    """A hand of a photograph; what is not known is None.

    Attributes:
        points_px: (7, 2) of the palm, see `prehend.pipeline.detection.palms.POINTS`.
        region: of all joints, turned as the palm.
        side, held: see `FoundHand`. score: how sure the detector was.
    """

    points_px: FloatArray
    region: Region | None = None
    side: Side | None = None
    held: bool | None = None
    score: float = 1.0


@dataclass(frozen=True)
class PalmPhoto:
    """A photograph: its hands, boxes [px] that teach nothing, and whether it is for training or `validation`."""

    path: str
    size: tuple[int, int]
    split: str
    hands: tuple[PalmHand, ...]
    ignore: tuple[Box, ...] = ()


@dataclass(frozen=True)
class PalmLabels:
    """A file of labels; `about` says who labelled."""

    folder: Path
    photos: tuple[PalmPhoto, ...]
    about: dict[str, Any] = field(default_factory=dict)


def write_palm_labels(path: Path, labels: PalmLabels) -> None:
    """Write a file of labels, all of it or nothing."""
    head = {"schema": SCHEMA, "folder": str(labels.folder.resolve()), "about": labels.about}
    photos = ",\n".join(json.dumps(_entry(photo), separators=(",", ":")) for photo in labels.photos)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(head, indent=1)[:-2] + f',\n "photos": [\n{photos}\n]}}\n')


def read_palm_labels(path: Path) -> PalmLabels:
    """A file of labels.

    Raises:
        SourceError: it cannot be read, is of another kind or garbled, or its photographs are not there.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: no labels can be read from it ({error}); make it with `palms label`") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise SourceError(f"{path}: is not {SCHEMA}; make it with `palms label`")
    folder = Path(str(content.get("folder", ".")))
    if not folder.is_dir():
        raise SourceError(f"{path}: its photographs' folder {folder} is missing; correct `folder` at its beginning")
    try:
        photos = tuple(_photo(entry) for entry in content["photos"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{path}: an entry is garbled ({error}); make it with `palms label`") from error
    return PalmLabels(folder, photos, content.get("about", {}))


def _entry(photo: PalmPhoto) -> dict[str, Any]:
    return {
        "path": photo.path,
        "size": list(photo.size),
        "split": photo.split,
        "hands": [_hand_entry(hand) for hand in photo.hands],
        "ignore": [np.round(box.as_array().astype(float), 1).tolist() for box in photo.ignore],
    }


def _hand_entry(hand: PalmHand) -> dict[str, Any]:
    region = hand.region
    return {
        "points": np.round(np.asarray(hand.points_px, np.float64), 2).tolist(),
        "region": None
        if region is None
        else [round(value, 4) for value in (*region.center_px, region.width, region.height, region.turn_rad)],
        "side": hand.side,
        "held": hand.held,
        "score": round(hand.score, 4),
    }


def _photo(entry: dict[str, Any]) -> PalmPhoto:
    width, height = entry["size"]
    ignore = tuple(Box(*map(float, box)) for box in entry["ignore"])
    hands = tuple(_hand(hand) for hand in entry["hands"])
    return PalmPhoto(str(entry["path"]), (int(width), int(height)), str(entry["split"]), hands, ignore)


def _hand(entry: dict[str, Any]) -> PalmHand:
    points = np.asarray(entry["points"], np.float64)
    if points.shape != (7, 2):
        raise ValueError(f"points of shape {points.shape}")
    if entry["side"] not in (None, *SIDES) or entry["held"] not in (None, True, False):
        raise ValueError(f"side {entry['side']!r} and held {entry['held']!r}")
    region = entry["region"]
    if region is not None:
        x, y, width, height, turn = map(float, region)
        region = Region((x, y), width, height, turn)
    return PalmHand(points, region, entry["side"], entry["held"], float(entry["score"]))
