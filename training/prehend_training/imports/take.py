"""Labels of others as `prehend.photo_labels/1`, and the photographs as shards; what was not taken is counted."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from prehend.errors import InvalidInput, SourceError
from prehend.eval.photographs.labels import LabelledPhoto
from prehend.eval.photographs.measures import LabelledHand
from prehend.geometry.camera import estimated_camera
from prehend.io.pixels.images import read_image
from prehend.types import Box, Camera, FloatArray
from prehend_training.data.stores.photographs import hand_label
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels
from prehend_training.sample import FrameId, Sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import claim, commit, read_note, shard_name, write_index, write_shard

SHARD_PHOTOS = 256
LONGEST_PX = 640
_LEAST_PX = 10.0


@dataclass(frozen=True)
class Import:
    """How labels are taken.

    Attributes:
        folder: of the photographs.
        source: title of the photographs, for the manifest of what is trained on them.
        licence: of the photographs.
        validation: share of the photographs that is kept for validation.
    """

    folder: Path
    source: str
    licence: str
    validation: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise InvalidInput(f"validation share {self.validation:g} is not between 0 and 1")
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder}: no folder of photographs")


def take(found: Sequence[LabelledPhoto], how: Import) -> tuple[PhotoLabels, Counter[str]]:
    """Labels as ours.

    Args:
        found: what a reader gave.
        how: where the photographs are, and whose.

    Returns:
        The labels, and how many photographs and hands were taken or left out, by the reason.

    Raises:
        SourceError: nothing was taken; the text says why.
    """
    counts: Counter[str] = Counter()
    photos: dict[str, Photo] = {}
    for label in tqdm(found, desc="photographs", unit="", disable=None):
        photo = _photo(label, how, counts)
        if photo is not None and photo.path in photos:
            counts["photographs left out: listed twice"] += 1
        elif photo is not None:
            photos[photo.path] = photo
            counts["photographs taken"] += 1
    if not photos:
        raise SourceError(f"nothing was taken ({_reasons(counts)}): do the paths fit {how.folder}?")
    prefixes = sorted({path.rpartition("/")[0] for path in photos})
    told = {"title": how.source, "licence": how.licence, "repository": ""}
    about = {
        "teacher": "people",
        "rule": {},
        "counts": {how.source: dict(sorted(counts.items()))},
        "sources": [{"prefix": prefix, **told} for prefix in prefixes],
    }
    return PhotoLabels(how.folder, tuple(photos[path] for path in sorted(photos)), about), counts


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "the file labels nothing"


def _photo(label: LabelledPhoto, how: Import, counts: Counter[str]) -> Photo | None:
    path = how.folder / label.name.replace("\\", "/")
    if not path.resolve().is_relative_to(how.folder.resolve()):
        counts["photographs left out: outside the folder"] += 1
        return None
    try:
        data = path.read_bytes()
        image = read_image(path)
    except (OSError, SourceError):
        counts["photographs left out: missing or unreadable"] += 1
        return None
    size = image.shape[1], image.shape[0]
    if label.size is not None and label.size != size:
        counts["photographs left out: of another size than their labels"] += 1
        return None
    hands = [_hand(hand, size, counts) for hand in label.hands]
    complete = label.complete and None not in hands
    if not complete and not any(hands):
        counts["photographs left out: no hand to learn from"] += 1
        return None
    name = path.resolve().relative_to(how.folder.resolve()).as_posix()
    split = label.split or ("validation" if _share(name) < how.validation else "train")
    kept = tuple(hand for hand in hands if hand is not None)
    return Photo(name, size, kept, complete, name.rpartition("/")[0], split, hashlib.sha256(data).hexdigest())


def _share(name: str) -> float:
    """Where a photograph stands between 0 and 1, whatever else there is."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _hand(label: LabelledHand, size: tuple[int, int], counts: Counter[str]) -> PhotoHand | None:
    """Joints where all 21 are labelled, else the box where one is."""
    points = label.keypoints_px if label.mask.all() else None
    box = label.box_px if points is None else Box.around(points)
    reason = "joints are missing and there is no box" if box is None else _unusable(box, size)
    if reason or box is None:
        counts[f"hands left out: {reason}"] += 1
        return None
    known = {"box": "label file", "keypoints": None if points is None else "label file", "side": label.side}
    origin = {name: "people" for name, value in {**known, "held": label.held}.items() if value is not None}
    counts["hands with joints" if points is not None else "hands with a box alone"] += 1
    return PhotoHand(box, points, None, label.side, label.held, 1.0, origin)


def _unusable(box: Box, size: tuple[int, int]) -> str:
    if max(box.width, box.height) < _LEAST_PX:
        return f"smaller than {_LEAST_PX:g} px"
    inside = Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, size[0] - 1), min(box.y1, size[1] - 1))
    return "" if inside.area > 0.25 * box.area and inside.width > 0 and inside.height > 0 else "outside the image"


def write_photo_shards(labels: PhotoLabels, out: Path, longest_px: int = LONGEST_PX) -> dict[str, int]:
    """Photographs as shards of whole images (`frames`), one folder a split; only those all of whose hands are known.

    Args:
        labels: of the photographs.
        out: folder; `out/train` and `out/validation` are written. Complete shards of the same labels stay.
        longest_px: longer side that an image is shrunk to.

    Returns:
        How many photographs each split has.

    Raises:
        InvalidInput: a folder holds something else.
    """
    written = {}
    for split in sorted({photo.split for photo in labels.photos}):
        photos = [photo for photo in labels.photos if photo.split == split and photo.all_hands_labelled]
        if photos:
            _write_split(labels.folder, photos, out / split, longest_px)
        written[split] = len(photos)
    return written


def _write_split(folder: Path, photos: Sequence[Photo], out: Path, longest_px: int) -> None:
    digest = hashlib.sha256("".join(photo.path + photo.sha256 + repr(photo.hands) for photo in photos).encode())
    claim(out, {"kind": "frames", "photographs": len(photos), "labels": digest.hexdigest(), "longest_px": longest_px})
    notes = {}
    for start in tqdm(range(0, len(photos), SHARD_PHOTOS), desc=f"shards of {out.name}", unit="", disable=None):
        name = shard_name(start // SHARD_PHOTOS)
        part = photos[start : start + SHARD_PHOTOS]
        note = read_note(out / name)
        if note is None or note.units != len(part):
            units = ((start + row, _samples(folder, photo, start + row, longest_px)) for row, photo in enumerate(part))
            note = write_shard(out / name, units, Packing(image="jpg"), commit())
        notes[name] = note
    write_index(out, notes)


def _samples(folder: Path, photo: Photo, index: int, longest_px: int) -> Iterable[Sample]:
    image = read_image(folder / photo.path)
    scale = min(1.0, longest_px / max(photo.size))
    if scale < 1:
        size = max(1, round(photo.size[0] * scale)), max(1, round(photo.size[1] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    cut = _cut((image.shape[1], image.shape[0]), photo.size)
    hands = tuple(hand_label(hand, cut, image.shape[:2]) for hand in photo.hands)
    yield Sample(image, None, _camera(image.shape), np.eye(4), hands, (), None, _id(photo, index))


def _cut(size: tuple[int, int], of: tuple[int, int]) -> FloatArray:
    """(2, 3) map of a photograph's pixels to those of the shrunk one; middles of pixels are at whole numbers."""
    ratio = np.array(size) / of
    return np.column_stack([np.diag(ratio), 0.5 * ratio - 0.5])


def _camera(shape: Any) -> Camera:
    return replace(estimated_camera(shape[1], shape[0]), estimated=True)


def _id(photo: Photo, index: int) -> FrameId:
    return FrameId("photographs", 0, index, photo.session)
