"""Formats that only an import reads: CVAT for images, and JSON as FreiHAND has it; the others are the evaluation's.

CVAT for images 1.1: XML; per image a `skeleton` with named `points`, or `points` with 21 places, or a `box`. The label
or an attribute `side` tells left or right, an attribute `held` true or false.

FreiHAND's JSON (Zimmermann et al., ICCV 2019): a folder with NAME_xyz.json (N, 21, 3) [m] and NAME_K.json (N, 3, 3);
images are NAME/rgb/00000000.jpg and so on, of right hands alone.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from prehend.adapters.mediapipe import LANDMARK_NAMES
from prehend.conventions import JOINT_NAMES, NUM_JOINTS, SIDES, Side
from prehend.errors import SourceError
from prehend.eval.photographs.labels import FORMATS, LabelledPhoto, check_metres, read_labels
from prehend.eval.photographs.measures import LabelledHand
from prehend.types import Box, FloatArray

KNOWN = f"{FORMATS}, CVAT for images 1.1, a folder with FreiHAND's JSON"
MOST_BYTES = 1 << 30
_JOINT = {name: row for names in (JOINT_NAMES, map(str.lower, LANDMARK_NAMES)) for row, name in enumerate(names)}
_JOINT |= {str(row): row for row in range(NUM_JOINTS)}


def read_any(path: Path, complete: bool = False) -> list[LabelledPhoto]:
    """Read labels of any known format.

    Args:
        path: a file, or a folder with FreiHAND's JSON.
        complete: every hand of every photograph is labelled.

    Raises:
        SourceError: there is no such file, it is of another format, or an entry is wrong.
    """
    if path.is_dir():
        return _freihand(path, complete)
    if path.suffix.lower() == ".xml":
        return _cvat(path, complete)
    return read_labels(path, complete)


def _cvat(path: Path, complete: bool) -> list[LabelledPhoto]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{path}: larger than {MOST_BYTES >> 20} MiB: export it in parts")
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise SourceError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: no XML ({error})") from error
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise SourceError(f"{path}: no export of 'CVAT for images 1.1'; known are {KNOWN}")
    photos = []
    for image in images:
        name = image.get("name", "")
        place = f"{path}: {name or 'an image without a name'}"
        hands = tuple(hand for shape in image if (hand := _cvat_hand(place, shape)) is not None)
        if hands or complete:
            size = (int(_number(place, image, "width")), int(_number(place, image, "height")))
            photos.append(LabelledPhoto(name, "", hands, complete, size))
    return photos


def _cvat_hand(place: str, shape: ElementTree.Element) -> LabelledHand | None:
    """CVAT counts from the corner of the first pixel; we from its middle."""
    told = {one.get("name", ""): (one.text or "").strip().lower() for one in shape.findall("attribute")}
    side = _side(told.get("side", told.get("handedness", shape.get("label", ""))))
    held = {"true": True, "false": False}.get(told.get("held", ""))
    if shape.tag == "box":
        corners = [_number(place, shape, key) - 0.5 for key in ("xtl", "ytl", "xbr", "ybr")]
        if corners[2] <= corners[0] or corners[3] <= corners[1]:
            raise SourceError(f"{place}: a box is empty")
        return LabelledHand(side=side, box_px=Box(*corners), held=held)
    if shape.tag not in ("skeleton", "points"):
        return None
    points = np.full((NUM_JOINTS, 2), np.nan)
    if shape.tag == "points":
        listed = _places(place, shape)
        if len(listed) != NUM_JOINTS:
            raise SourceError(f"{place}: points of a hand are {len(listed)}, expected {NUM_JOINTS}")
        points[:] = listed
    for joint in shape.findall("points"):
        name = joint.get("label", "").lower()
        if name not in _JOINT:
            raise SourceError(f"{place}: '{name}' is no joint: name them 0 to 20, or {', '.join(JOINT_NAMES[:3])}, ...")
        if joint.get("outside") != "1":
            points[_JOINT[name]] = _places(place, joint)[0]
    return LabelledHand(points - 0.5, None, side, held=held)


def _places(place: str, shape: ElementTree.Element) -> FloatArray:
    try:
        places = np.array(
            [[float(number) for number in pair.split(",")] for pair in shape.get("points", "").split(";")]
        )
    except ValueError as error:
        raise SourceError(f"{place}: points are '{shape.get('points', '')[:40]}', expected x,y;x,y;...") from error
    if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise SourceError(f"{place}: points are '{shape.get('points', '')[:40]}', expected x,y;x,y;...")
    return places


def _number(place: str, shape: ElementTree.Element, key: str) -> float:
    try:
        return float(shape.get(key, ""))
    except ValueError as error:
        raise SourceError(f"{place}: {key} is '{shape.get(key, '')}', expected a number") from error


def _side(text: str) -> Side | None:
    named = [side for side in SIDES if side in text.lower()]
    return named[0] if len(named) == 1 else None


def _freihand(folder: Path, complete: bool) -> list[LabelledPhoto]:
    files = sorted(folder.glob("*_xyz.json"))
    if not files:
        raise SourceError(f"{folder}: no NAME_xyz.json in it; known are {KNOWN}")
    return [photo for file in files for photo in _freihand_part(file, complete)]


def _freihand_part(file: Path, complete: bool) -> Iterator[LabelledPhoto]:
    name = file.name.removesuffix("_xyz.json")
    joints = _numbers(file, _json(file), NUM_JOINTS)
    intrinsics = _numbers(file.with_name(f"{name}_K.json"), _json(file.with_name(f"{name}_K.json")), 3)
    if len(joints) != len(intrinsics):
        raise SourceError(f"{file}: {len(joints)} hands, but {len(intrinsics)} cameras in {name}_K.json")
    for row, (hand, K) in enumerate(zip(joints, intrinsics, strict=True)):
        if not (hand[:, 2] > 0).all():
            raise SourceError(f"{file}: hand {row} lies behind the camera: expected metres in the camera frame")
        check_metres(str(file), f"hand {row}", hand)
        seen = hand @ K.T
        label = LabelledHand(seen[:, :2] / seen[:, 2:], None, "right", hand)
        yield LabelledPhoto(f"{name}/rgb/{row:08d}.jpg", name, (label,), complete, K=K)


def _json(file: Path) -> Any:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SourceError(f"{file}: larger than {MOST_BYTES >> 20} MiB")
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: no JSON ({error})") from error


def _numbers(file: Path, values: Iterable[Any], rows: int) -> FloatArray:
    """(N, rows, 3)."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{file}: expected a list of {rows} x 3 numbers") from error
    if array.ndim != 3 or array.shape[1:] != (rows, 3) or not np.isfinite(array).all():
        raise SourceError(f"{file}: expected a list of {rows} x 3 numbers")
    return array
