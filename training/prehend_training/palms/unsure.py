"""How sure a hand network has to be of hands that the detector is unsure of."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend.io.pixels.images import Image, read_image
from prehend.pipeline.detection.detect import UNSURE, Detector
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.tracker import MOST_TRIED
from prehend.types import Box, FoundHand
from prehend.weights import MANIFEST
from prehend_training.palms.measure import is_near
from prehend_training.photos.facts import Facts, facts_for
from prehend_training.photos.labelling import pictures_of

STEPS = (0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995)
"""Presences to choose from."""

MOST_HANDS = 6
"""Hands that a look finds at most: those that are followed, and some to spare."""


class Tried(NamedTuple):
    """A hand that the detector was unsure of, in a photograph of which it is known where hands are.

    Attributes:
        picture: path of the photograph.
        presence: what the hand network says of it.
        is_hand: whether it is about a hand.
    """

    picture: str
    presence: float
    is_hand: bool


def try_unsure(
    estimator: Estimator,
    detector: Detector,
    folder: Path,
    known: Mapping[str, Facts],
    boxes: Mapping[str, Sequence[Box]],
    every: int = 1,
) -> tuple[int, list[Tried]]:
    """Show the hand network what the detector is unsure of, in photographs for validation.

    Args:
        estimator: of the hand network, without tracking.
        detector: with thresholds of `detect.UNSURE`.
        folder: of photographs.
        known: facts by prefix.
        boxes: of all hands, by path.
        every: only each so-many-th image.

    Returns:
        How many photographs there are of which it is known where hands are, and what was tried in them.

    Raises:
        InvalidInput: there is none, or the detector is never unsure.
    """
    if not any(name.endswith(UNSURE) for name in detector.thresholds):
        raise InvalidInput("this detector is never unsure: prehend-train palms measure gives it thresholds")
    paths = [path for path in pictures_of(folder) if _hands_of(path, known, boxes) is not None]
    if not paths:
        raise InvalidInput(f"{folder}: no photograph for validation of which it is known where hands are")
    tried = list[Tried]()
    for path in tqdm(paths[::every], unit="picture"):
        image, there = read_image(folder / path), _hands_of(path, known, boxes) or ()
        for hand in unsure_hands(detector, image):
            result = estimator.estimate(image, boxes=[replace(hand, side=None)])
            is_hand = any(is_near(hand.box_px, box) for box in there)
            tried += [Tried(path, seen.score, is_hand) for seen in result.hands]
    return len(paths[::every]), tried


def unsure_hands(detector: Detector, image: Image) -> Iterator[FoundHand]:
    """What the detector is unsure of in an image, in both of its looks, as many as the pipeline would try."""
    for wide in (False, True):
        new = detector.thresholds[detector.stage(wide)]
        low = detector.thresholds.get(detector.stage(wide) + UNSURE, new)
        found = detector.look(image, wide=wide, threshold=low, max_hands=MOST_HANDS)
        yield from [hand for hand in found if hand.score < new][:MOST_TRIED]


def choose_sure(pictures: int, tried: Sequence[Tried], false: float = 0.003) -> dict[str, Any]:
    """The lowest of `STEPS` from which no more false hands an image are let in than `false`; the highest if there is
    none.

    Returns:
        `sure`, `pictures`, and for each step how many `hands` are let in and how many `false` ones.
    """
    steps = {
        step: {
            "hands": sum(one.is_hand for one in tried if one.presence >= step),
            "false": sum(not one.is_hand for one in tried if one.presence >= step),
        }
        for step in STEPS
    }
    fitting = [step for step, counts in steps.items() if counts["false"] <= false * pictures]
    told = {f"{step:g}": counts for step, counts in steps.items()}
    return {"sure": min(fitting, default=STEPS[-1]), "pictures": pictures, "steps": told}


def note_sure(where: Path, sure: float) -> None:
    """Write it beside the calibration of presence: of a run, or in the manifest of a folder of weights.

    Raises:
        InvalidInput: the folder holds neither, or presence is not calibrated yet.
    """
    is_run = (where / "run.json").exists()
    path = where / ("calibration.json" if is_run else MANIFEST)
    content = json.loads(path.read_text()) if path.exists() else {}
    calibration = content if is_run else content.get("calibration", {})
    if "presence" not in calibration:
        raise InvalidInput(f"{where} holds no calibrated scores: prehend-train calibrate first, or leave out --write")
    calibration["presence"]["sure"] = sure
    replace_text(path, json.dumps(content, indent=1) + "\n")


def _hands_of(path: str, known: Mapping[str, Facts], boxes: Mapping[str, Sequence[Box]]) -> Sequence[Box] | None:
    """The hands of a photograph for validation; None of others, and where they are not known."""
    facts = facts_for(path, known)
    if facts.split_of(path) != "validation":
        return None
    if facts.every_box:
        return boxes.get(path, ())
    return () if facts.hands == 0 else None
