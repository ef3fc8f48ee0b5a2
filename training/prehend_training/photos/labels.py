"""The file of labels of a folder of photographs, `prehend.photo_labels/1`.

schema     this name
folder     where the photographs are; a relative path counts from the file
teacher    who labelled, `rule` what an answer had to pass, `counts` what was kept and dropped of each source
sources    prefix, title, repository and licence of the photographs
photos     path (from the folder), size [width, height], session, split, sha256, all_hands_labelled, and hands

A hand has box_px [x0, y0, x1, y1], keypoints_px (21, 2), keypoint_std_px (21), side, held, score, and origin, which
says of each label where it comes from. What is not known is null. Hands
that were made whole (`prehend-train whole`) have rotations (16, 3, 3) and betas (10), in the frame of
`estimated_camera`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS, SIDES, Side
from prehend.errors import SourceError
from prehend.files import replace_text
from prehend.types import Box, FloatArray
from prehend_training.sample import HAND_PARTS, HandLabel

SCHEMA = "prehend.photo_labels/1"
_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PhotoHand:
    """A hand of a photograph; what is not known is None.

    Attributes:
        box_px: tight around the joints where these are known.
        keypoints_px: (21, 2), or None.
        keypoint_std_px: (21,) noise of each, or None.
        side, held: see the facts of the folder.
        score: how sure the teacher is, 1 for what people say.
        origin: who says so, by the name of the label: "teacher ...", "boxes.json", "folder".
        rotations, betas: (16, 3, 3), (10,) of a hand that was made whole, in the frame of the photograph's
            `estimated_camera`; both or neither.
    """

    box_px: Box | None
    keypoints_px: FloatArray | None = None
    keypoint_std_px: FloatArray | None = None
    side: Side | None = None
    held: bool | None = None
    score: float = 1.0
    origin: Mapping[str, str] = field(default_factory=dict)
    rotations: FloatArray | None = None
    betas: FloatArray | None = None


def photographed(
    hand: PhotoHand, keypoints_px: FloatArray, box_px: FloatArray, visible: NDArray[np.bool_]
) -> HandLabel:
    """The typed label of a hand: what is told of it is known, and nothing in metres.

    Args:
        hand: what is told.
        keypoints_px: (21, 2) places of its joints.
        box_px: (4,) around it.
        visible: (21,) joints that are in the image.
    """
    nothing = np.zeros(len(HAND_PARTS), np.int64)
    return HandLabel(
        side=hand.side or "right",
        rotations=hand.rotations if hand.side is not None else None,
        betas=hand.betas if hand.side is not None else None,
        joints_m=np.full((NUM_JOINTS, 3), np.nan),
        vertices_m=np.zeros((0, 3)),
        keypoints_px=keypoints_px,
        box_px=box_px,
        visible=visible,
        visible_ratio=float("nan"),
        part_vertices=nothing,
        part_visible=nothing,
        grasp=hand.held,
        displaced=None,
        contact=None,
        object_index=None,
        side_known=hand.side is not None,
    )


@dataclass(frozen=True)
class Photo:
    """A photograph with what is known of its hands.

    Attributes:
        path: from the folder, with "/".
        size: width and height [px].
        hands: those that are known.
        all_hands_labelled: there are no further hands in the image.
        session, split: see `Facts`.
        sha256: of the file, empty where unknown.
    """

    path: str
    size: tuple[int, int]
    hands: tuple[PhotoHand, ...]
    all_hands_labelled: bool
    session: str = ""
    split: str = "train"
    sha256: str = ""


@dataclass(frozen=True)
class PhotoLabels:
    """A file of labels.

    Attributes:
        folder: of the photographs.
        photos: in the order of their paths.
        about: the rest of the file: teacher, rule, counts, sources.
    """

    folder: Path
    photos: tuple[Photo, ...]
    about: dict[str, Any] = field(default_factory=dict)


def write_labels(path: Path, labels: PhotoLabels) -> None:
    """Write a file of labels, all of it or nothing."""
    folder, base = labels.folder.resolve(), path.resolve().parent
    inside = folder == base or base in folder.parents
    head = {"schema": SCHEMA, "folder": str(folder.relative_to(base)) if inside else str(folder), **labels.about}
    photos = ",\n".join(json.dumps(_entry(photo), separators=(",", ":")) for photo in labels.photos)
    text = json.dumps(head, indent=1)[:-2] + f',\n "photos": [\n{photos}\n]}}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)


def _entry(photo: Photo) -> dict[str, Any]:
    return {
        "path": photo.path,
        "size": list(photo.size),
        "session": photo.session,
        "split": photo.split,
        "sha256": photo.sha256,
        "all_hands_labelled": photo.all_hands_labelled,
        "hands": [_hand_entry(hand) for hand in photo.hands],
    }


def _hand_entry(hand: PhotoHand) -> dict[str, Any]:
    whole = {}
    if hand.rotations is not None and hand.betas is not None:
        whole = {name: np.round(getattr(hand, name), 5).tolist() for name in ("rotations", "betas")}
    return {
        "box_px": None if hand.box_px is None else _rounded(hand.box_px.as_array()),
        "keypoints_px": None if hand.keypoints_px is None else _rounded(hand.keypoints_px),
        "keypoint_std_px": None if hand.keypoint_std_px is None else _rounded(hand.keypoint_std_px),
        "side": hand.side,
        "held": hand.held,
        "score": round(hand.score, 4),
        "origin": dict(hand.origin),
        **whole,
    }


def _rounded(values: FloatArray) -> Any:
    return np.round(np.asarray(values, np.float64), 2).tolist()


def read_labels(path: Path) -> PhotoLabels:
    """A file of labels.

    Raises:
        SourceError: it cannot be read, is of another kind, holds labels of a wrong shape, or its folder is missing.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            f"{path}: no labels can be read from it ({error}); make it with prehend-train label"
        ) from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise SourceError(f"{path}: schema is {found!r}, expected {SCHEMA!r}; make it with prehend-train label")
    folder = path.resolve().parent / content.get("folder", ".")
    if not folder.is_dir():
        raise SourceError(f"{path}: its photographs' folder {folder} is missing; correct `folder` at its beginning")
    if not content.get("photos"):
        raise SourceError(f"{path}: it holds no photographs; make it with prehend-train label")
    about = {name: value for name, value in content.items() if name not in ("schema", "folder", "photos")}
    return PhotoLabels(folder, tuple(_photo(entry, path) for entry in content["photos"]), about)


def _photo(entry: Any, path: Path) -> Photo:
    try:
        name, (width, height) = str(entry["path"]), entry["size"]
        hands = tuple(_hand(hand, f"{path}: {name}") for hand in entry["hands"])
        labelled, split = bool(entry["all_hands_labelled"]), str(entry["split"])
        session, digest = str(entry.get("session", "")), str(entry.get("sha256", ""))
        size = int(width), int(height)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{path}: a photograph's entry is incomplete or wrong ({error}); label it again") from error
    return Photo(name, size, hands, labelled, session, split, digest)


def _hand(entry: Any, where: str) -> PhotoHand:
    box = _array(entry.get("box_px"), (4,), f"{where}: box_px")
    keypoints = _array(entry.get("keypoints_px"), (NUM_JOINTS, 2), f"{where}: keypoints_px")
    std = _array(entry.get("keypoint_std_px"), (NUM_JOINTS,), f"{where}: keypoint_std_px")
    side, held, score = entry.get("side"), entry.get("held"), float(entry.get("score", 1.0))
    if side not in (*SIDES, None) or held not in (True, False, None) or not math.isfinite(score):
        raise SourceError(f"{where}: side is left, right or null, held true, false or null; label it again")
    rotations = _array(entry.get("rotations"), (NUM_MANO_JOINTS, 3, 3), f"{where}: rotations")
    betas = _array(entry.get("betas"), (NUM_BETAS,), f"{where}: betas")
    if (rotations is None) != (betas is None) or (rotations is not None and _no_rotation(rotations)):
        raise SourceError(f"{where}: rotations and betas go together, and are rotations; make the hand whole again")
    around = None if box is None else Box(*(float(value) for value in box))
    origin = dict(entry.get("origin", {}))
    return PhotoHand(around, keypoints, std, side, held, score, origin, rotations, betas)


def _no_rotation(matrices: FloatArray) -> bool:
    off = np.abs(matrices @ np.swapaxes(matrices, -1, -2) - np.eye(3)).max()
    return bool(off > _ROTATION_TOLERANCE or np.linalg.det(matrices).min() < 0)


def _array(value: Any, shape: tuple[int, ...], where: str) -> FloatArray | None:
    """Numbers of this shape, None where the file says null."""
    if value is None:
        return None
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise SourceError(f"{where} is no array of {' x '.join(map(str, shape))} numbers; label it again")
    return array
