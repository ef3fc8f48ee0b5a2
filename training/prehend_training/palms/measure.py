"""What a detector finds on photographs, and where its thresholds lie."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from prehend.backends.base import Backend
from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend.io.pixels.images import read_image
from prehend.pipeline.detection.detect import UNSURE, Detector
from prehend.pipeline.tracking.association import best_pairs
from prehend.types import Box, FoundHand
from prehend.weights import MANIFEST, manifest_text
from prehend_training.photos.facts import Facts, facts_for
from prehend_training.photos.labelling import pictures_of

LOWEST = 0.05
THRESHOLDS = tuple(round(float(value), 2) for value in np.arange(0.1, 0.91, 0.05))
MAX_HANDS = 2

UNSURE_SHARES = {"detect": 0.5, "detect_wide": 2 / 3}
"""Share of a stage's threshold down to which hands are found that the hand network has to be sure of. The wide look
finds more that is none: at half, a pattern of a rug and fruit stood beside the hands."""

FOUND_IOU = 0.25
"""Boxes that were labelled are of skin, with a piece of the forearm or without the fingertips."""


@dataclass(frozen=True)
class Looked:
    """A photograph and what a detector says of it.

    Attributes:
        folder: prefix of its facts.
        boxes: all its hands, None where these are not known.
        hands: how many there are, None where that is not known.
        found: best first, down to `LOWEST`.
    """

    folder: str
    boxes: tuple[Box, ...] | None
    hands: int | None
    found: tuple[FoundHand, ...]


def look_at_photographs(
    backend: Backend,
    folder: Path,
    known: Mapping[str, Facts],
    boxes: Mapping[str, Sequence[Box]],
    wide: bool = False,
    split: str | None = "validation",
    every: int = 1,
) -> list[Looked]:
    """Look at the photographs of a split, or of all.

    Args:
        backend: runs the detector.
        folder: of photographs.
        known: facts by prefix.
        boxes: of all hands, by path.
        wide: run stage `detect_wide`.
        split: see `Facts.split_of`; None for all.
        every: only each so-many-th image.
    """
    detector, looked = Detector(backend), []
    paths = [path for path in pictures_of(folder) if split in (None, facts_for(path, known).split_of(path))]
    for path in tqdm(paths[::every], unit="picture"):
        facts = facts_for(path, known)
        found = detector.look(read_image(folder / path), wide=wide, threshold=LOWEST, max_hands=2 * MAX_HANDS)
        labelled = tuple(boxes.get(path, ())) if facts.every_box else None
        looked.append(Looked(facts.prefix, labelled, facts.hands, tuple(found)))
    return looked


def photo_report(looked: Sequence[Looked], threshold: float) -> dict[str, dict[str, float]]:
    """Numbers of each folder at a threshold.

    Returns:
        images; found: share of the labelled hands, or, where they are not labelled, of the images in which
        something is found; false: hands an image that are beside all labelled ones (all, where there are none);
        further: hands an image beyond those.
    """
    folders: dict[str, list[Looked]] = {}
    for one in looked:
        folders.setdefault(one.folder, []).append(one)
    return {name: _numbers(of, threshold) for name, of in sorted(folders.items())}


def choose_threshold(looked: Sequence[Looked], false: float = 0.01) -> float:
    """The lowest of `THRESHOLDS` at which no more hands an image than `false` are found where there are none: in
    images without hands, and beside the labelled ones; the highest if there is none."""
    known = [one for one in looked if one.boxes is not None or one.hands == 0]
    for threshold in THRESHOLDS:
        judged = [_judge(one, threshold) for one in known]
        if known and sum(j.false for j in judged) <= false * len(known):
            return threshold
    return THRESHOLDS[-1]


@dataclass(frozen=True)
class _Judged:
    wanted: int
    found: int
    false: int
    further: int


def _judge(one: Looked, threshold: float) -> _Judged:
    hands = [hand for hand in one.found if hand.score >= threshold][:MAX_HANDS]
    if one.boxes is None:
        if one.hands == 0:
            return _Judged(0, 0, len(hands), 0)
        further = max(len(hands) - one.hands, 0) if one.hands is not None else 0
        return _Judged(1, int(bool(hands)), 0, further)
    overlaps = ((hand.box_px.iou(box), i, j) for i, box in enumerate(one.boxes) for j, hand in enumerate(hands))
    taken = {j for _, j in best_pairs(pair for pair in overlaps if pair[0] >= FOUND_IOU)}
    left = [hand for j, hand in enumerate(hands) if j not in taken]
    near = [hand for hand in left if any(is_near(hand.box_px, box) for box in one.boxes)]
    return _Judged(len(one.boxes), len(taken), len(left) - len(near), len(near))


def is_near(found: Box, box: Box) -> bool:
    """Whether a box that was found is about a labelled hand, as one of a part of it or of hand and arm."""
    x, y = found.center
    return found.iou(box) > 0.1 or (box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1)


def _numbers(looked: Sequence[Looked], threshold: float) -> dict[str, float]:
    judged = [_judge(one, threshold) for one in looked]
    wanted = sum(j.wanted for j in judged)
    numbers: dict[str, float] = {"pictures": len(looked)}
    if wanted:
        numbers["found"] = round(sum(j.found for j in judged) / wanted, 4)
    numbers["false"] = round(sum(j.false for j in judged) / len(looked), 4)
    numbers["further"] = round(sum(j.further for j in judged) / len(looked), 4)
    return numbers


def note_measured(where: Path, report: Mapping[str, Any]) -> None:
    """Write a report into a run's measured.json, which `export` reads, or into the manifest of a folder of weights.

    Raises:
        InvalidInput: the folder holds neither.
    """
    if (where / "run.json").exists():
        replace_text(where / "measured.json", json.dumps(report, indent=1) + "\n")
        return
    path = where / MANIFEST
    if not path.exists():
        raise InvalidInput(f"{where} holds neither a run nor weights: leave out --write")
    manifest = json.loads(path.read_text()) | {
        "thresholds": report["thresholds"],
        "measured": {"photographs": report["photographs"]},
    }
    replace_text(path, manifest_text(manifest))


def measure_photographs(
    backend: Backend,
    folder: Path,
    known: Mapping[str, Facts],
    boxes: Mapping[str, Sequence[Box]],
    every: int = 1,
    false: float = 0.01,
) -> dict[str, Any]:
    """Thresholds of both stages, and what they find on photographs for validation."""
    report: dict[str, Any] = {"thresholds": {}, "photographs": {}}
    for wide in (False, True):
        stage = Detector(backend).stage(wide)
        looked = look_at_photographs(backend, folder, known, boxes, wide, every=every)
        chosen = choose_threshold(looked, false)
        report["thresholds"][stage] = chosen
        if stage in UNSURE_SHARES:
            report["thresholds"][stage + UNSURE] = round(UNSURE_SHARES[stage] * chosen, 3)
        report["photographs"][stage] = {"threshold": chosen, "split": "validation", **photo_report(looked, chosen)}
    return report
