"""The detector alone on whole images: recall, precision, average precision, and what a threshold would give."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends import Backend
from prehend.pipeline.detection.detect import DETECTOR_SCORE, Detector
from prehend.types import FloatArray, FoundHand
from prehend_training.data.base import TrainingDataset
from prehend_training.data.frames import SeenHand, seen_hands
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.evaluate.labels import Shards

Answers = tuple[list[FoundHand], list[SeenHand]]
"""What was found in an image, and its hands."""

LOWEST_SCORE, MANY = 0.03, 32
"""What is decoded for the average precision: answers from this score, so many an image at most."""

EXCUSED_IOU = 0.1
"""An answer that overlaps by this much a hand that need not be found is neither right nor wrong."""

IOUS = (0.5, 0.4)
"""Overlaps at which the average precision is told; the first is that of all other numbers."""


def evaluate_detector(backend: Backend, data: Sequence[Path], limit: int | None = None) -> dict[str, Any]:
    """Run a detector over whole images through the pipeline's own letterbox and decoding; see `detector_report`."""
    dataset: TrainingDataset = ShardDataset(data, "frames")
    frames = []
    total = sum(len(folder) for folder in Shards(data).folders)
    for index in tqdm(range(min(total, limit or total)), unit="frame"):
        record = dataset[index]
        found = answers_in(backend, record["image"], LOWEST_SCORE)
        height, width = record["image"].shape[:2]
        frames.append((found, seen_hands(record, np.eye(2, 3), (0, 0, width, height))))
    return detector_report(frames)


def answers_in(backend: Backend, image: NDArray[np.uint8], threshold: float) -> list[FoundHand]:
    """The hands that a detector sees in a (H, W, 3) image from a score on, best first, `MANY` at most."""
    return Detector(backend).look(np.ascontiguousarray(image), threshold=threshold, max_hands=MANY)


def detector_report(frames: Sequence[Answers], threshold: float | None = None) -> dict[str, Any]:
    """Measures of the boxes at a threshold, and of the sides and grasps of those that are right.

    Args:
        frames: with answers from `LOWEST_SCORE` on.
        threshold: lowest score, None for the pipeline's.

    Returns:
        `recall`, `precision` and `false_per_frame` at the threshold; `average_precision` of `IOUS` (area under the
        precision that a recall allows, as COCO's, over all answers); `mean_best_iou` of the hands with any answer, 0
        where none overlaps; `best_threshold`, where F2 on these images is highest (recall counts twice: a missed
        hand costs more than a box that the crop network takes away). Choose it on other images than you report.
        None where nothing defines a number.
    """
    threshold = DETECTOR_SCORE if threshold is None else threshold
    wanted = sum(hand.counts for _, hands in frames for hand in hands)
    judged = [one for frame in frames for one in judge(*frame, IOUS[0])]
    kept = [one for one in judged if one.score >= threshold]
    hits = [one for one in kept if one.hit]
    sides, held = [one.side_right for one in hits], [one.held_right for one in hits]
    return {
        "frames": len(frames),
        "hands": wanted,
        "iou": IOUS[0],
        "threshold": threshold,
        "recall": _share(len(hits), wanted),
        "precision": _share(len(hits), len(kept)),
        "false_per_frame": _share(len(kept) - len(hits), len(frames)),
        "side_accuracy": _share(sum(sides), len(sides)),
        "held_accuracy": _share(sum(held), len(held)),
        "average_precision": {str(iou): average_precision(frames, iou) for iou in IOUS},
        "mean_best_iou": _mean_best_iou(frames, threshold),
        "best_threshold": best_threshold(judged, wanted),
    }


@dataclass(frozen=True)
class JudgedDetection:
    """An answer that counts: its score, whether it is a hand, and if so whether side and grasp are right."""

    score: float
    hit: bool
    side_right: bool = False
    held_right: bool = False


def judge(found: Sequence[FoundHand], hands: Sequence[SeenHand], iou: float) -> Iterator[JudgedDetection]:
    """The answers of an image, best first; each takes the free hand that it overlaps most. Those that take, or overlap
    a little, a hand that need not be found are left out. Leaving out low scores changes nothing above them."""
    free = list(hands)
    for answer in sorted(found, key=lambda hand: hand.score, reverse=True):
        best = max(free, key=lambda hand: answer.box_px.iou(hand.box_px), default=None)
        if best is not None and answer.box_px.iou(best.box_px) >= iou:
            free.remove(best)
            if best.counts:
                side, held = answer.side == "right", answer.object_box_px is not None
                yield JudgedDetection(answer.score, True, side == best.side, held == (best.object_box_px is not None))
        elif not any(not hand.counts and answer.box_px.iou(hand.box_px) > EXCUSED_IOU for hand in hands):
            yield JudgedDetection(answer.score, False)


def average_precision(frames: Sequence[Answers], iou: float) -> float | None:
    """Area under the highest precision that each recall, or a higher one, allows; None without hands."""
    wanted = sum(hand.counts for _, hands in frames for hand in hands)
    if not wanted:
        return None
    _, hits, said = _cumulated([one for frame in frames for one in judge(*frame, iou)])
    precision = np.maximum.accumulate((hits / said)[::-1])[::-1]
    return round(float((np.diff(hits, prepend=0) * precision).sum() / wanted), 4)


def best_threshold(judged: Sequence[JudgedDetection], wanted: int) -> dict[str, float] | None:
    """`value` of the highest `f2` = 5 P R / (4 P + R), with its recall and precision; None where nothing was right."""
    scores, hits, said = _cumulated(judged)
    if not wanted or not hits.any():
        return None
    # P = hits / said and R = hits / wanted; a threshold takes all answers of a score or none
    whole = np.append(scores[:-1] > scores[1:], True)
    f2 = np.where(whole, 5 * hits / (4 * wanted + said), 0.0)
    best = int(f2.argmax())
    recall, precision = hits[best] / wanted, hits[best] / said[best]
    values = {"value": scores[best], "f2": f2[best], "recall": recall, "precision": precision}
    return {name: round(float(value), 4) for name, value in values.items()}


def _cumulated(judged: Sequence[JudgedDetection]) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Falling scores, and hits and answers down to each."""
    ordered = sorted(judged, key=lambda one: -one.score)
    hits = np.cumsum([one.hit for one in ordered], dtype=np.int64)
    return np.array([one.score for one in ordered]), hits, np.arange(1, len(ordered) + 1)


def _mean_best_iou(frames: Sequence[Answers], threshold: float) -> float | None:
    best = [
        max((answer.box_px.iou(hand.box_px) for answer in found if answer.score >= threshold), default=0.0)
        for found, hands in frames
        for hand in hands
        if hand.counts
    ]
    return round(float(np.mean(best)), 4) if best else None


def _share(part: float, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
