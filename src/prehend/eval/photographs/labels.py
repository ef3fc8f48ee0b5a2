"""Label files of photographs that are measured on; which format a file has is told by what is in it.

prehend.labels/1        a list `labels`, one a hand: image, set, width, height, side, keypoints_px, visible, joints_m, K
prehend.photo_labels/1  images with `hands` (box_px, keypoints_px, side, held), `all_hands_labelled` and `split`
COCO keypoints          `images` and `annotations` with 21 keypoints; the category's name may tell the side
COCO-WholeBody          the same with `lefthand_kpts` and `righthand_kpts` (Jin et al., ECCV 2020)
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from prehend.conventions import NUM_JOINTS, SIDES, Side
from prehend.documents import read_text
from prehend.errors import InvalidInput, SourceError, one_line
from prehend.eval.photographs.keypoint_names import order_of_names
from prehend.eval.photographs.measures import MIN_JOINTS_3D, MIN_VISIBLE, LabelledHand
from prehend.types import Box, FloatArray

LABEL_FILES = ("gt.json", "labels.json", "annotations.json", "photo_labels.json")
"""Names under which labels are looked for, in a folder of photographs and in the one above."""

FORMATS = "prehend.labels/1, prehend.photo_labels/1, COCO keypoints of hands, COCO-WholeBody"

_MOST_BYTES = 4 << 30
_LONGEST_NORMALISED = 1.5
"""Keypoints that all lie nearer to the corner than this [px] are shares of the image's size."""
_SMALLEST_M, _LARGEST_M = 0.02, 0.5
"""Between the farthest joints of a hand: outside of it they are in another unit."""


@dataclass(frozen=True)
class LabelledPhoto:
    """A photograph and what is known of it.

    Attributes:
        name: path as the label file has it.
        set_name: which numbers it belongs to.
        hands: labels.
        complete: whether every hand in it is labelled; only then is another answer a false hand.
        size: width and height the labels are for [px], None where the file does not tell.
        K: (3, 3) intrinsics [px], None where unknown.
        split: "train", "validation", ...; empty where the file does not tell.
    """

    name: str
    set_name: str
    hands: tuple[LabelledHand, ...]
    complete: bool = False
    size: tuple[int, int] | None = None
    K: FloatArray | None = None
    split: str = ""


def find_labels(folder: Path) -> Path:
    """The label file of a folder of photographs.

    Raises:
        SourceError: there is none.
    """
    for place in (folder, folder.resolve().parent):
        for name in LABEL_FILES:
            if (place / name).is_file():
                return place / name
    raise SourceError(
        f"{folder}: photographs without labels (no {' or '.join(LABEL_FILES)}): give --labels FILE ({FORMATS}), "
        "or --no-hand for images without hands"
    )


def read_labels(path: Path, complete: bool = False) -> list[LabelledPhoto]:
    """Read a label file of any of `FORMATS`.

    Args:
        path: of the file.
        complete: every hand of every photograph is labelled, also where the file does not say so.

    Raises:
        SourceError: it is missing, of another format, or an entry is wrong; the text names both.
    """
    try:
        content = json.loads(read_text(path, limit=_MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: no JSON ({error})") from error
    read = _reader(path, content)
    try:
        photos = read(path, {**content, "all_hands_labelled": True} if complete else content)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SourceError(f"{path}: an entry is not of its format ({one_line(error, 120)})") from error
    if not photos:
        raise SourceError(f"{path}: the file labels no hand")
    return photos


def _reader(path: Path, content: Any) -> Callable[[Path, Mapping[str, Any]], list[LabelledPhoto]]:
    if isinstance(content, dict):
        schema = str(content.get("schema", ""))
        if schema == "prehend.labels/1":
            return _read_hands
        if schema.startswith("prehend.photo_labels/"):
            return _read_photos
        if isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list):
            return _read_coco
    raise SourceError(f"{path}: unknown format of labels; known are {FORMATS}")


def _read_hands(path: Path, content: Mapping[str, Any]) -> list[LabelledPhoto]:
    """One label a hand."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row, label in enumerate(_listed(path, content, "labels")):
        place = f"{path}: label {row}"
        grouped.setdefault((str(_need(place, label, "image")), str(label.get("set", ""))), []).append(label)
    photos = []
    for (name, set_name), labels in grouped.items():
        hands = tuple(_hand(f"{path}: {name}", label) for label in labels)
        whole = bool(content.get("all_hands_labelled")) or any(bool(one.get("all_hands_labelled")) for one in labels)
        K = labels[0].get("K")
        intrinsics = None if K is None else _array(f"{path}: {name}", "K", K, (3, 3))
        photos.append(LabelledPhoto(name, set_name or _set_of(path, name), hands, whole, _size(labels[0]), intrinsics))
    return photos


def _read_photos(path: Path, content: Mapping[str, Any]) -> list[LabelledPhoto]:
    """One entry an image."""
    key = next((key for key in ("photos", "pictures", "images", "labels") if content.get(key) is not None), "photos")
    entries = content.get(key)
    if isinstance(entries, dict):  # by name
        entries = [{"image": name, **entry} for name, entry in entries.items()]
    photos = []
    for row, entry in enumerate(_listed(path, {key: entries}, key)):
        name = next((str(entry[word]) for word in ("path", "image", "source", "file", "name") if word in entry), None)
        if name is None:
            raise SourceError(f"{path}: image {row}: 'image' is missing")
        hands = tuple(_hand(f"{path}: {name}", hand) for hand in entry.get("hands") or ())
        whole = bool(entry.get("all_hands_labelled", content.get("all_hands_labelled", False)))
        K = entry.get("K")
        intrinsics = None if K is None else _array(f"{path}: {name}", "K", K, (3, 3))
        set_name = str(entry.get("set") or content.get("set") or _set_of(path, name))
        split = str(entry.get("split") or "")
        photos.append(LabelledPhoto(name, set_name, hands, whole, _size(entry), intrinsics, split))
    return photos


def _read_coco(path: Path, content: Mapping[str, Any]) -> list[LabelledPhoto]:
    """Annotations by image; those of no hand are left out.

    Where several hands are one annotation (`iscrowd`), or a hand is there and nothing of it is labelled, not every hand
    of that photograph is known, whatever the file says of the others.
    """
    categories = {one.get("id"): one for one in content.get("categories") or ()}
    hands: dict[str, list[LabelledHand]] = {}
    partly: set[str] = set()
    for row, annotation in enumerate(_listed(path, content, "annotations")):
        place = f"{path}: annotation {annotation.get('id', row)}"
        image = str(_need(place, annotation, "image_id"))  # some tools write one of both as text
        found = (
            []
            if annotation.get("iscrowd")
            else list(_coco_hands(place, annotation, categories.get(annotation.get("category_id"), {})))
        )
        known = [hand for hand in found if hand.box is not None]
        hands.setdefault(image, []).extend(known)
        if annotation.get("iscrowd") or len(known) < len(found):
            partly.add(image)
    photos, entries = [], _listed(path, content, "images")
    twice = [number for number, count in Counter(str(entry.get("id")) for entry in entries).items() if count > 1]
    if twice:
        raise SourceError(f"{path}: two images have the id {twice[0]}: whose are its annotations?")
    if hands and not {str(entry.get("id")) for entry in entries} & hands.keys():
        raise SourceError(f"{path}: no annotation is of an image that the file lists: image_id and images' id differ")
    for entry in entries:
        image = str(entry.get("id"))
        name = str(_need(f"{path}: image {image}", entry, "file_name"))
        whole = bool(entry.get("all_hands_labelled", content.get("all_hands_labelled", False))) and image not in partly
        if hands.get(image) or whole:
            photos.append(LabelledPhoto(name, _set_of(path, name), tuple(hands.get(image, ())), whole, _size(entry)))
    return photos


def _coco_hands(place: str, annotation: Mapping[str, Any], category: Mapping[str, Any]) -> Iterable[LabelledHand]:
    """Those of an annotation; one that is there and of which nothing is labelled has neither keypoints nor box."""
    sides = [side for side in SIDES if f"{side}hand_kpts" in annotation]
    if sides:
        for side in sides:
            hand = _coco_hand(place, f"{side}hand_kpts", annotation[f"{side}hand_kpts"], side)
            if hand.mask.any() and annotation.get(f"{side}hand_valid", True):
                yield hand
            elif _coco_box(place, annotation.get(f"{side}hand_box")) is not None:
                yield LabelledHand(side=side)
        return
    told = annotation.get("side", annotation.get("handedness", category.get("name", "")))
    named = [side for side in SIDES if side in str(told).lower()]
    order = order_of_names(category.get("keypoints"))
    hand = _coco_hand(
        place, "keypoints", _need(place, annotation, "keypoints"), named[0] if len(named) == 1 else None, order
    )
    yield hand if hand.mask.any() else LabelledHand(side=hand.side, box_px=_coco_box(place, annotation.get("bbox")))


def _coco_box(place: str, values: Any) -> Box | None:
    """COCO's x, y, width, height from the corner of the first pixel; None where there is none."""
    if values is None or len(values) != 4:
        return None
    x, y, width, height = _array(place, "bbox", values, (4,)).tolist()
    return Box(x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5) if width > 0 and height > 0 else None


def _coco_hand(
    place: str, key: str, values: Any, side: Side | None, order: Sequence[int] | None = None
) -> LabelledHand:
    """21 times x, y and 0 for a keypoint that is not labelled; flat, or a list of lists.

    `order` has the file's row of each of our joints, None where it is ours.
    """
    flat = np.asarray(values, dtype=object).ravel()
    if len(flat) != 3 * NUM_JOINTS:
        raise SourceError(
            f"{place}: {key} has {len(flat)} numbers, expected {NUM_JOINTS} times x, y, v of a hand "
            "(whole bodies need lefthand_kpts and righthand_kpts)"
        )
    points = _array(place, key, flat.reshape(NUM_JOINTS, 3).tolist(), (NUM_JOINTS, 3))
    points = points if order is None else points[list(order)]
    _check_pixels(place, key, points[points[:, 2] > 0, :2])
    return LabelledHand(points[:, :2], points[:, 2] > 0, side)


def _hand(place: str, label: Mapping[str, Any]) -> LabelledHand:
    side = label.get("side")
    if side not in (*SIDES, None):
        raise SourceError(f"{place}: side is {side!r}, expected 'left', 'right' or null")
    points, joints, box = label.get("keypoints_px"), label.get("joints_m"), label.get("box_px")
    known = label.get("visible")
    held = label.get("held")
    hand = LabelledHand(
        None if points is None else _array(place, "keypoints_px", points, (NUM_JOINTS, 2)),
        None if known is None or points is None else _array(place, "visible", known, (NUM_JOINTS,)) > 0,
        side,
        None if joints is None else _array(place, "joints_m", joints, (NUM_JOINTS, 3)),
        None if box is None else _box(place, box),
        held if isinstance(held, bool) else None,
    )
    if hand.keypoints_px is not None:
        _check_pixels(place, "keypoints_px", np.asarray(hand.keypoints_px)[hand.mask])
    if hand.joints_m is not None:
        check_metres(place, "joints_m", hand.joints_m)
    return hand


def _check_pixels(place: str, key: str, points: FloatArray) -> None:
    """Raise `SourceError` for shares of the image's size, as MediaPipe and YOLO have keypoints."""
    if len(points) >= MIN_VISIBLE and np.abs(points).max() <= _LONGEST_NORMALISED:
        raise SourceError(f"{place}: {key} lie between 0 and 1: give pixels, not shares of the image's size")


def check_metres(place: str, key: str, joints: FloatArray) -> None:
    """Raise `SourceError` where (21, 3) joints, NaN for those that are unknown, are in another unit than metres."""
    known = np.asarray(joints)[np.isfinite(joints).all(-1)]
    extent = float(np.linalg.norm(np.ptp(known, axis=0))) if len(known) >= MIN_JOINTS_3D else None
    if extent is not None and not _SMALLEST_M < extent < _LARGEST_M:
        raise SourceError(f"{place}: {key} spans {extent:.3g} m: a hand does not; are they in metres?")


def _box(place: str, values: Any) -> Box:
    x0, y0, x1, y1 = (float(value) for value in _array(place, "box_px", values, (4,)))
    if not (x1 > x0 and y1 > y0):
        raise SourceError(f"{place}: box_px is empty, expected x0 < x1 and y0 < y1")
    return Box(x0, y0, x1, y1)


def _array(place: str, key: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Numbers of a shape; a row that is null becomes NaN.

    Raises:
        SourceError: it has another shape or is no numbers.
    """
    width = shape[1:] or None
    if isinstance(values, list) and width is not None:
        values = [[None] * width[0] if row is None else row for row in values]
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{place}: {key} is not {' x '.join(map(str, shape))} numbers") from error
    if array.shape != shape:
        was, wanted = (" x ".join(map(str, one)) for one in (array.shape, shape))
        raise SourceError(f"{place}: {key} has {was or 'no'} numbers, expected {wanted}")
    return array


def _listed(path: Path, content: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SourceError(f"{path}: '{key}' is missing or no list of objects")
    return entries


def _need(place: str, entry: Mapping[str, Any], key: str) -> Any:
    if key not in entry:
        raise SourceError(f"{place}: '{key}' is missing")
    return entry[key]


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = entry.get("size") or (entry.get("width"), entry.get("height"))
    return None if width is None or height is None else (int(width), int(height))


def _set_of(path: Path, name: str) -> str:
    """The folder of an image, or that of the label file."""
    return PurePosixPath(name.replace("\\", "/")).parent.name or path.resolve().parent.name


def check_size(photo: LabelledPhoto, width: int, height: int) -> None:
    """Raise `InvalidInput` if the labels of a photograph are for another size [px]."""
    if photo.size is not None and photo.size != (width, height):
        wanted = f"{photo.size[0]} x {photo.size[1]}"
        raise InvalidInput(
            f"{photo.name}: the labels are for {wanted} px, the image has {width} x {height}: "
            "scale the keypoints, or take the image that was labelled"
        )
