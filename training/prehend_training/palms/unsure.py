"""How what the detector finds is weighed: its score and the hand network's presences, on photographs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend.io.pixels.images import Image, read_image
from prehend.pipeline.detection.detect import UNSURE, Detector
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.networks.base import SURE_PRESENCE
from prehend.pipeline.networks.fresh import FRESH, FreshRule, enlarged, log_odds
from prehend.pipeline.options import option_default
from prehend.pipeline.tracker import MOST_TRIED
from prehend.types import Box, FloatArray, FoundHand
from prehend.weights import MANIFEST, manifest_text
from prehend_training.palms.measure import is_near
from prehend_training.photos.facts import Facts, facts_for
from prehend_training.photos.labelling import pictures_of

STEPS = (0.8, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995)
"""Presences to choose from."""

MOST_HANDS = 6
"""Hands that a look finds at most: those that are followed, and some to spare."""


MOST_WEIGHT = 3.0
"""Of log-odds: a few photographs shall not make one of the three probabilities decide alone."""

EXPECTED, SPREAD = (1.0, 0.5, 0.5), 0.25
"""Weights before anything was seen, and their standard deviation (a Gaussian prior): both looks of the network together
count as much as the detector. Photographs in which something is in doubt are few."""


class Tried(NamedTuple):
    """What the detector found in a photograph of which it is known where hands are.

    Attributes:
        picture: path of the photograph.
        presence: what the hand network says of it.
        is_hand: whether it is about a hand.
        score: the detector's.
        larger: what the hand network says of a larger crop; the same as `presence` where none is looked at.
        doubted: the detector is unsure of it.
    """

    picture: str
    presence: float
    is_hand: bool
    score: float = 0.0
    larger: float = 0.0
    doubted: bool = True

    @property
    def is_taken(self) -> bool:
        """Whether it is a hand by presence alone."""
        return self.presence >= (SURE_PRESENCE if self.doubted else float(option_default("min_score")))

    @property
    def odds(self) -> tuple[float, float, float]:
        """What is weighed, in the order of `FreshRule`."""
        return log_odds(self.score), log_odds(self.presence), log_odds(self.larger)


def try_found(
    estimator: Estimator,
    detector: Detector,
    folder: Path,
    known: Mapping[str, Facts],
    boxes: Mapping[str, Sequence[Box]],
    every: int = 1,
) -> tuple[int, list[Tried]]:
    """Show the hand network what the detector finds, in photographs for validation.

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
        for wide in (False, True):
            seen = list(_looked(estimator, detector, image, path, there, wide))
            tried += seen
            if any(one.is_taken and not one.doubted for one in seen):
                break  # the pipeline looks wide where a normal look finds nothing
    return len(paths[::every]), tried


def found_hands(detector: Detector, image: Image, wide: bool) -> Iterator[tuple[FoundHand, bool]]:
    """What the detector finds in an image, and whether it is unsure of it; of the unsure ones as many as the pipeline
    would try."""
    new = detector.thresholds[detector.stage(wide)]
    low = detector.thresholds.get(detector.stage(wide) + UNSURE, new)
    found = detector.look(image, wide=wide, threshold=low, max_hands=MOST_HANDS)
    yield from ((hand, False) for hand in found if hand.score >= new)
    yield from ((hand, True) for hand in [hand for hand in found if hand.score < new][:MOST_TRIED])


def _looked(
    estimator: Estimator, detector: Detector, image: Image, path: str, there: Sequence[Box], wide: bool
) -> Iterator[Tried]:
    for hand, doubted in found_hands(detector, image, wide):
        presence = _presence(estimator, image, hand)
        if presence is None or hand.region is None:
            continue
        tried = Tried(path, presence, any(is_near(hand.box_px, box) for box in there), hand.score, presence, doubted)
        if not tried.is_taken:
            seen = _presence(estimator, image, replace(hand, region=enlarged(hand.region)))
            tried = tried._replace(larger=presence if seen is None else seen)
        yield tried


def _presence(estimator: Estimator, image: Image, hand: FoundHand) -> float | None:
    """What the hand network says of a place; None where it gives no sound hand."""
    hands = estimator.estimate(image, boxes=[replace(hand, side=None)]).hands
    return hands[0].score if hands else None


def fit_fresh(pictures: int, tried: Sequence[Tried], false: float = 0.003) -> FreshRule | None:
    """How the three probabilities are weighed: by logistic regression with a Gaussian prior, none below 0; and from
    which sum on what is none is let in, too, in no larger share of the images than `false`.

    Args:
        pictures: how many were looked at.
        tried: what was found in them.
        false: share of the images.

    Returns:
        None where hands, or what is none, are missing among what was tried.
    """
    is_hand = np.array([one.is_hand for one in tried], bool)
    if is_hand.all() or not is_hand.any():
        return None
    odds = np.array([one.odds for one in tried])
    weights = _logistic(odds, is_hand)[:3].round(4)
    sums = odds @ weights
    worst: dict[str, float] = {}
    for one, weighed in zip(tried, sums, strict=True):
        if not one.is_hand and not one.is_taken:
            worst[one.picture] = max(float(weighed), worst.get(one.picture, -np.inf))
    wrong, allowed = sorted(worst.values(), reverse=True), int(false * pictures)
    bar = wrong[allowed] if len(wrong) > allowed else float(sums.min()) - 1.0
    detector, presence, larger = weights.tolist()
    return FreshRule(detector, presence, larger, round(-bar - 0.005, 3))


def _logistic(odds: FloatArray, is_hand: FloatArray) -> FloatArray:
    """(N, 3) log-odds, (N,) whether there is a hand -> (4,) weights and offset."""
    signs = np.where(is_hand, 1.0, -1.0)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margins = signs * (odds @ weights[:3] + weights[3])
        pull = -signs / (1 + np.exp(margins.clip(-500, 500)))
        off = (weights[:3] - EXPECTED) / SPREAD
        slope = np.append(odds.T @ pull + off / SPREAD, pull.sum())
        return float(np.logaddexp(0, -margins).sum() + (off**2).sum() / 2), slope

    bounds = [(0.0, MOST_WEIGHT)] * 3 + [(None, None)]
    return np.asarray(minimize(loss, np.array([*EXPECTED, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x)


def choose_sure(pictures: int, tried: Sequence[Tried], false: float = 0.003) -> dict[str, Any]:
    """The lowest of `STEPS` from which no more false hands an image are let in than `false`; the highest if there is
    none.

    Returns:
        `sure`, `pictures`, and for each step how many `hands` are let in and how many `false` ones; of those that the
        detector is unsure of.
    """
    tried = [one for one in tried if one.doubted]
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


def note_sure(where: Path, sure: float, rule: FreshRule | None = None) -> None:
    """Write both beside the calibration of presence: of a run, or in the manifest of a folder of weights.

    Raises:
        InvalidInput: the folder holds neither, or presence is not calibrated yet.
    """
    if not where.is_dir():
        raise InvalidInput(f"{where} is no folder: give that of a run or of weights, or leave out --write")
    is_run = (where / "run.json").exists()
    path = where / ("calibration.json" if is_run else MANIFEST)
    content = json.loads(path.read_text()) if path.exists() else {}
    calibration = content if is_run else content.get("calibration", {})
    if "presence" not in calibration:
        raise InvalidInput(f"{where} holds no calibrated scores: prehend-train calibrate first, or leave out --write")
    calibration["presence"]["sure"] = sure
    calibration.pop(FRESH, None)
    if rule is not None:
        calibration[FRESH] = rule._asdict()
    replace_text(path, manifest_text(content))


def _hands_of(path: str, known: Mapping[str, Facts], boxes: Mapping[str, Sequence[Box]]) -> Sequence[Box] | None:
    """The hands of a photograph for validation; None of others, and where they are not known."""
    facts = facts_for(path, known)
    if facts.split_of(path) != "validation":
        return None
    if facts.every_box:
        return boxes.get(path, ())
    return () if facts.hands == 0 else None
