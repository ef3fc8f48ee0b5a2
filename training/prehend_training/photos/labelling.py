"""A folder of photographs and a teacher -> a file of labels."""

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from prehend.conventions import Side
from prehend.documents import parse_json
from prehend.errors import SourceError
from prehend.files import append_line, replace_text
from prehend.io.pixels.images import IMAGE_SUFFIXES, read_image
from prehend.types import Box
from prehend_training.photos.agreement import (
    AgreementRule,
    Answer,
    Decision,
    answer_at,
    answer_of,
    decide,
    different,
    overlap,
)
from prehend_training.photos.facts import Facts, facts_for
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels
from prehend_training.photos.looks import Look, hand_looks, tile_looks, whole_looks
from prehend_training.photos.teachers import PhotoTeacher

ANSWERS_SCHEMA = "prehend.photo_answers/1"
BOXES = "boxes.json"
_COVERS = 0.5
_MIN_BOX_PX = 4.0


@dataclass(frozen=True)
class HandPlace:
    """Where a hand may be in an image, and what the looks at it saw.

    Attributes:
        box: around it.
        looks: an answer or None of each.
    """

    box: Box
    looks: tuple[Answer | None, ...]


@dataclass(frozen=True)
class LookedAt:
    """An image as the teacher saw it."""

    path: str
    size: tuple[int, int]
    sha256: str
    places: tuple[HandPlace, ...]


@dataclass(frozen=True)
class Labelling:
    """What is labelled how.

    Attributes:
        folder: of the photographs.
        out: file of labels to write; the teacher's answers are kept beside it, as `OUT.answers.jsonl`.
        facts: by prefix, see `facts_for`.
        boxes: known boxes of hands by path.
        rule: which answers are kept.
        only: names of folders, or beginnings of paths, to be labelled; empty for all.
        base: labels to add to, by path: hands whose joints are known stay as they are, and images in which nothing is
            left to be found are not looked at again.
    """

    folder: Path
    out: Path
    facts: Mapping[str, Facts] = field(default_factory=dict)
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    rule: AgreementRule = field(default_factory=AgreementRule)
    only: tuple[str, ...] = ()
    base: Mapping[str, Photo] = field(default_factory=dict)

    def known(self, name: str) -> tuple[Box, ...]:
        """Boxes of hands of an image whose joints nobody has told."""
        before = self.base.get(name)
        if before is None:
            return self.boxes.get(name, ())
        return tuple(hand.box_px for hand in before.hands if hand.keypoints_px is None and hand.box_px is not None)

    def settled(self, name: str) -> bool:
        """Whether the base says all that a teacher could."""
        before = self.base.get(name)
        if before is None:
            return False
        placed = all(hand.keypoints_px is not None for hand in before.hands)
        return placed and (before.all_hands_labelled or bool(before.hands))


def pictures_of(folder: Path, only: tuple[str, ...] = ()) -> list[str]:
    """Paths of the images of a folder and of its folders, from it.

    Raises:
        SourceError: there are none.
    """
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    chosen = [name for name in names if not only or name.startswith(only)]
    if not chosen:
        raise SourceError(f"{folder}: no images to label in it ({', '.join(IMAGE_SUFFIXES)})")
    return chosen


def read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """Known boxes of hands: JSON of path -> [[x0, y0, x1, y1], ...].

    Raises:
        SourceError: it is something else.
    """
    try:
        content = json.loads(path.read_text())
        boxes = {
            str(name): tuple(Box(*(float(number) for number in box)) for box in entry)
            for name, entry in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise SourceError(f"{path}: expected JSON of path: [[x0, y0, x1, y1], ...] ({error})") from error
    for name, hands in boxes.items():
        if any(not (box.width >= _MIN_BOX_PX and box.height >= _MIN_BOX_PX) for box in hands):
            raise SourceError(f"{path}: a box of {name} is empty; correct it")
    return boxes


def label_photos(work: Labelling, teacher: PhotoTeacher) -> PhotoLabels:
    """Ask the teacher about all images that it has not seen yet, decide, and write the labels.

    Raises:
        SourceError: there are no images, or none can be read; one that cannot is told and left out.
        AssetError: the teacher does not run, or the answers beside `out` are another teacher's.
    """
    names = pictures_of(work.folder, work.only)
    open_names = [name for name in names if not work.settled(name)]
    seen = _ask(work, teacher, open_names)
    photos, counts = dict(work.base), defaultdict[str, Counter[str]](Counter)
    for name in open_names:
        if name not in seen:
            counts[facts_for(name, work.facts).prefix or "."]["cannot be read"] += 1
            continue
        photos[name], said = photo_of(work, seen[name], teacher.name)
        counts[facts_for(name, work.facts).prefix or "."].update(said)
    pictures = Counter(facts_for(name, work.facts).prefix for name in photos)
    used = [facts for prefix, facts in work.facts.items() if pictures[prefix]]
    about = {
        "teacher": teacher.name,
        "rule": asdict(work.rule),
        "counts": {prefix: dict(sorted(said.items())) for prefix, said in sorted(counts.items())},
        "sources": [facts.source() | {"photos": pictures[facts.prefix]} for facts in used],
    }
    labels = PhotoLabels(work.folder, tuple(photos[name] for name in sorted(photos)), about)
    write_labels(work.out, labels)
    return labels


def _ask(work: Labelling, teacher: PhotoTeacher, names: list[str]) -> dict[str, LookedAt]:
    """The teacher's answers by path, from the file beside `out` as far as they are there."""
    path = work.out.with_name(work.out.name + ".answers.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = {one.path: one for one in _stored(path, teacher.name)}
    missing = [name for name in names if name not in seen]
    with tqdm(total=len(names), initial=len(names) - len(missing), unit="picture") as bar:
        if not path.exists() or not path.stat().st_size:
            append_line(path, json.dumps({"schema": ANSWERS_SCHEMA, "teacher": teacher.name}))
        for name in missing:
            try:
                seen[name] = look_for(work, teacher, name)
            except SourceError as error:  # it costs itself; the next start asks again
                tqdm.write(f"prehend-train label: {error}; left out", file=sys.stderr)
                continue
            append_line(path, json.dumps(_line(seen[name]), separators=(",", ":")))
            bar.update()
    if names and not seen:
        raise SourceError(f"{work.folder}: none of its {len(names)} images can be read")
    return seen


def look_for(work: Labelling, teacher: PhotoTeacher, name: str) -> LookedAt:
    """One image through the teacher's eyes."""
    path, facts = work.folder / name, facts_for(name, work.facts)
    image = read_image(path)
    size = (image.shape[1], image.shape[0])
    first = _first(teacher, path, whole_looks(size))
    if facts.small_hands and not first:
        first = _first(teacher, path, tile_looks(size))
    boxes = [answer.box for answer in first]
    boxes = [box for box in work.known(name) if not _covered(box, boxes)] + boxes
    large = [box for box in boxes if min(box.width, box.height) >= _MIN_BOX_PX]
    places = tuple(HandPlace(box, _at(teacher, path, box)) for box in large)
    return LookedAt(name, size, hashlib.sha256(path.read_bytes()).hexdigest(), places)


def _first(teacher: PhotoTeacher, path: Path, looks: list[Look]) -> list[Answer]:
    return different([answer for found in teacher.answers(path, looks, None) for answer in found])


def _at(teacher: PhotoTeacher, path: Path, box: Box) -> tuple[Answer | None, ...]:
    return tuple(answer_at(box, found) for found in teacher.answers(path, hand_looks(box), box))


def photo_of(work: Labelling, seen: LookedAt, teacher: str) -> tuple[Photo, Counter[str]]:
    """The label of an image, and what became of each place in it."""
    facts, known, before = facts_for(seen.path, work.facts), work.known(seen.path), work.base.get(seen.path)
    hands = [hand for hand in before.hands if hand.keypoints_px is not None] if before is not None else []
    sure = [answer for hand in hands if (answer := _answer_of(hand)) is not None]
    said: Counter[str] = Counter(photos=1)
    open_places = 0
    for place in seen.places:
        decision = decide(place.looks, work.rule, strict=bool(facts.held))
        answer = _as_answer(decision)
        doubled = answer is not None and len(different([answer, *sure])) <= len(sure)
        reason = decision.reason or ("twice" if doubled else _against(work, decision, facts, seen))
        if reason is None and answer is not None:
            sure.append(answer)
            hands.append(_sure_hand(decision, facts, teacher))
        elif reason not in ("nothing", "twice") and not _covered(place.box, known):
            open_places += 1
        said["kept" if reason is None else f"dropped: {reason}"] += 1
    found = [answer.box for answer in sure]
    hands += [_box_hand(box, facts) for box in known if not _covered(box, found)]
    if not hands and facts.hands == 1:
        hands.append(PhotoHand(None, side=facts.side, held=facts.held, origin=_origin(facts, {})))
    labelled = all(hand.box_px is not None for hand in hands) and (
        (facts.every_box and seen.path in work.boxes)
        or (before is not None and before.all_hands_labelled)
        or (facts.hands is not None and len(hands) == facts.hands and not open_places)
    )
    said["hands with a box alone"] += sum(hand.keypoints_px is None and hand.box_px is not None for hand in hands)
    said["all hands labelled"] += labelled
    session = f"{facts.prefix or '.'}/{facts.session_of(seen.path)}".rstrip("/")
    split = facts.split_of(seen.path)
    return Photo(seen.path, seen.size, tuple(hands), labelled, session, split, seen.sha256), said


def _covered(box: Box, others: Iterable[Box]) -> bool:
    return any(overlap(box, other) > _COVERS for other in others)


def _answer_of(hand: PhotoHand) -> Answer | None:
    return None if hand.keypoints_px is None else Answer(hand.keypoints_px, hand.side or "right", hand.score)


def _against(work: Labelling, decision: Decision, facts: Facts, seen: LookedAt) -> str | None:
    """What of the image and the folder's facts a sure answer contradicts."""
    if decision.keypoints_px is None:
        return None
    x, y = np.rint(decision.keypoints_px).astype(int).T
    shown = (x >= 0) & (y >= 0) & (x < seen.size[0]) & (y < seen.size[1])
    if shown.mean() < work.rule.inside:
        return "beyond the border"
    if facts.side and decision.side not in (facts.side, None):
        return "other side"
    if facts.max_saturation < 255:
        image = read_image(work.folder / seen.path)
        colours = cv2.cvtColor(image[y[shown], x[shown]][None], cv2.COLOR_RGB2HSV)
        if np.median(colours[..., 1]) > facts.max_saturation:
            return "colour"
    return None


def _as_answer(decision: Decision) -> Answer | None:
    if decision.reason is not None or decision.keypoints_px is None:
        return None
    return Answer(decision.keypoints_px, decision.side or "right", decision.score)


def _sure_hand(decision: Decision, facts: Facts, teacher: str) -> PhotoHand:
    assert decision.keypoints_px is not None
    side: Side | None = facts.side or decision.side
    origin = {"box_px": teacher, "keypoints_px": teacher, "side": teacher}
    return PhotoHand(
        Box.around(decision.keypoints_px), decision.keypoints_px, decision.std_px, side, facts.held, decision.score,
        _origin(facts, origin),
    )  # fmt: skip


def _box_hand(box: Box, facts: Facts) -> PhotoHand:
    return PhotoHand(box, side=facts.side, held=facts.held, origin=_origin(facts, {"box_px": BOXES}))


def _origin(facts: Facts, labels: dict[str, str]) -> dict[str, str]:
    known = {"side": facts.side, "held": facts.held}
    return labels | {name: "folder" for name, value in known.items() if value is not None}


def _line(seen: LookedAt) -> dict[str, Any]:
    places = [
        {
            "box": [round(value, 2) for value in place.box.as_array().tolist()],
            "looks": [None if answer is None else _answer_entry(answer) for answer in place.looks],
        }
        for place in seen.places
    ]
    return {"path": seen.path, "size": seen.size, "sha256": seen.sha256, "places": places}


def _answer_entry(answer: Answer) -> dict[str, Any]:
    points = np.round(answer.keypoints_px, 2).tolist()
    return {"side": answer.side, "score": round(answer.score, 4), "points": points}


def _stored(path: Path, teacher: str) -> Iterator[LookedAt]:
    """Answers of an earlier run; a last line that was cut off is taken away."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        replace_text(path, "".join(whole))
    for number, line in enumerate(whole):
        entry = parse_json(line, f"{path}, line {number + 1}", what="damaged: delete the lines from this one on")
        if number == 0:
            if entry.get("schema") != ANSWERS_SCHEMA or entry.get("teacher") != teacher:
                raise SourceError(f"{path}: these answers are not of {teacher}; take another --out, or delete them")
            continue
        yield LookedAt(entry["path"], tuple(entry["size"]), entry["sha256"], tuple(map(_stored_place, entry["places"])))


def _stored_place(entry: dict[str, Any]) -> HandPlace:
    looks = [
        None if one is None else answer_of(np.array(one["points"]), one["side"], one["score"]) for one in entry["looks"]
    ]
    return HandPlace(Box(*entry["box"]), tuple(looks))
