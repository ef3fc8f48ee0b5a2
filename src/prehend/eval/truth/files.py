"""Truth from files: label files of photographs, predictions of either schema as truth, BOP's scene_gt."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prehend.documents import read_json, read_text
from prehend.errors import SourceError
from prehend.eval.answers import Answered, read_answers
from prehend.eval.photographs.labels import FORMATS as PHOTO_FORMATS
from prehend.eval.photographs.labels import LabelledPhoto, read_labels
from prehend.eval.truth.names import ByName, parts_of
from prehend.eval.truth.records import TrueFrame, TrueHand, TrueObject, Truth, unknown_points
from prehend.eval.truth.store import SCHEMA, read_truth
from prehend.eval.truth.timeline import Timeline
from prehend.io.pixels.images import IMAGE_SUFFIXES
from prehend.io.results.predictions import SCHEMAS
from prehend.types import HandEstimate

FORMATS = f"{PHOTO_FORMATS}, a predictions file (its answers count as true), {SCHEMA}, BOP's scene_gt.json"

_HEAD_CHARACTERS = 4096
_NEAREST_M = 0.02
"""No camera sees a whole object from nearer: such poses are in metres where millimetres are meant."""
_SAME_STAMP_S = 1e-4


def read_truth_file(path: Path, bop_ids: Mapping[int, str]) -> Truth:
    """The truth in a file of any of `FORMATS`; what is in it tells which.

    Args:
        path: of the file.
        bop_ids: BOP's numbers of objects -> ids of the catalogue; `obj_000001` needs no entry.

    Raises:
        SourceError: it is missing, of another format, or damaged.
    """
    head = read_text(path, limit=8 << 30)[:_HEAD_CHARACTERS]
    if any(json.dumps(schema) in head for schema in SCHEMAS.values()):
        return FrameTruth.of_answers(path)
    if json.dumps(SCHEMA) in head:
        return FrameTruth(str(path), read_truth(path))
    if '"obj_id"' in head and '"cam_R_m2c"' in head:
        return BopTruth(path, bop_ids)
    return PhotoTruth(path)


class PhotoTruth:
    """Labels of photographs, found by their names."""

    def __init__(self, path: Path):
        self.title = str(path)
        by_name: dict[str, LabelledPhoto] = {}
        for photo in read_labels(path):
            before = by_name.get(photo.name)
            by_name[photo.name] = photo if before is None else _joined(before, photo)
        self._photos = ByName(by_name.items())
        names, self.count = self._photos.names, len(by_name)
        self.extent = f"{len(names)} images such as {names[0]}"

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        photo = self._photos.find(frame.source)
        if photo is None:
            return None
        hands = tuple(TrueHand.of_label(hand) for hand in photo.hands)
        return TrueFrame(hands, photo.complete, size=photo.size)


class FrameTruth:
    """Known frames of videos, bags and folders, found by name and place, or by stamp where the name is another."""

    def __init__(self, title: str, frames: list[tuple[str, int, float | None, TrueFrame]]):
        if not frames:
            raise SourceError(f"{title}: no frame in it")
        self.title = title
        of_source: dict[str, dict[int, TrueFrame]] = {}
        for source, index, _, known in frames:
            of_source.setdefault(source, {})[index] = known
        self._named = ByName(of_source.items())
        self._stamps = Timeline([(stamp, known) for _, _, stamp, known in frames if stamp is not None])
        self.count = len(frames)
        first, last = frames[0], frames[-1]
        span = f", {self._stamps.extent}" if len(self._stamps) else ""
        self.extent = f"{len(frames)} frames of {first[0]}{'' if first[0] == last[0] else f' to {last[0]}'}{span}"

    @classmethod
    def of_answers(cls, path: Path) -> "FrameTruth":
        """Somebody's answers taken as true: those of better weights, say."""
        frames = [
            (one.source, one.index, one.stamp, TrueFrame(tuple(map(_believed, one.result.hands)), complete=True))
            for one in read_answers(path).frames
        ]
        return cls(f"the answers of {path}", frames)

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        named = self._named.find(frame.source) or self._named.find(parts_of(frame.source)[-1])
        if named is not None:
            return named.get(frame.index)
        return None if frame.stamp is None else self._stamps.nearest(frame.stamp, _SAME_STAMP_S)


class BopTruth:
    """Poses of a scene in BOP's format (Hodan et al., ECCV 2018): scene_gt.json, millimetres.

    An image belongs to the one number of its name (000012.png, rgb_000012.png), a frame of a video or bag to its place.
    """

    def __init__(self, path: Path, ids: Mapping[int, str]):
        self.title = str(path)
        content = read_json(path, limit=1 << 30)
        if not isinstance(content, dict):
            raise SourceError(f"{path}: expected {{image number: [{{cam_R_m2c, cam_t_m2c, obj_id}}]}}")
        try:
            self._frames = {
                int(number): tuple(_bop_object(path, one, ids) for one in entries)
                for number, entries in content.items()
            }
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise SourceError(f"{path}: no scene_gt.json of BOP ({error})") from error
        apart = [float(np.linalg.norm(one.T_camera_object[:3, 3])) for some in self._frames.values() for one in some]
        if apart and np.median(apart) < _NEAREST_M:
            raise SourceError(f"{path}: its objects are {np.median(apart):.2g} m from the camera: give millimetres")
        numbers = sorted(self._frames)
        self.extent = f"images {numbers[0]} to {numbers[-1]}" if numbers else "no image"

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        stem, _, suffix = parts_of(frame.source)[-1].rpartition(".")
        number: int | None = frame.index
        if f".{suffix.lower()}" in IMAGE_SUFFIXES or stem.isdecimal():
            found = re.findall(r"\d+", stem)
            number = int(found[0]) if len(found) == 1 else None
        objects = None if number is None else self._frames.get(number)
        return None if objects is None else TrueFrame(objects=objects)


def object_of_bop(number: int, ids: Mapping[int, str]) -> str:
    """The catalogue's id of BOP's number of an object; `obj_000001` where nobody said another."""
    return ids.get(number, f"obj_{number:06d}")


def _bop_object(path: Path, entry: Mapping[str, Any], ids: Mapping[int, str]) -> TrueObject:
    T = np.eye(4)
    T[:3, :3] = np.asarray(entry["cam_R_m2c"], np.float64).reshape(3, 3)
    T[:3, 3] = np.asarray(entry["cam_t_m2c"], np.float64).reshape(3) / 1e3
    if not np.isfinite(T).all():
        raise SourceError(f"{path}: a pose is not finite")
    return TrueObject(object_of_bop(int(entry["obj_id"]), ids), T)


def _believed(hand: HandEstimate) -> TrueHand:
    held, joints = hand.held_object, np.asarray(hand.joints_m, np.float64)
    known = None
    if held is not None and held.T_camera_object is not None:
        known = TrueObject(held.object_id, held.T_camera_object)
    grasp = None if hand.grasp.state == "unknown" else hand.grasp.state == "grasping"
    return TrueHand(
        hand.side,
        joints if np.isfinite(joints).all() else unknown_points(3),
        np.asarray(hand.keypoints_px, np.float64),
        grasp=grasp,
        held=known,
    )


def _joined(one: LabelledPhoto, other: LabelledPhoto) -> LabelledPhoto:
    """The same image in two sets of a file."""
    return LabelledPhoto(
        one.name, one.set_name, one.hands + other.hands, one.complete or other.complete, one.size, one.K, one.split
    )
