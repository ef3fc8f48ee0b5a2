"""The whole pipeline on whole images: with labelled boxes and sides, and with our own detector, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from tqdm import tqdm

from prehend.backends import Backend
from prehend.eval.cases import NAN, HandAnswer, HandScores, score
from prehend.geometry.rotations import geodesic_angle
from prehend.hand_model import HandModel
from prehend.object_catalogue import ObjectModel
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracking.association import best_pairs
from prehend.types import Box, FloatArray, FoundHand, HandEstimate
from prehend_training.evaluate.labels import (
    Labels,
    Samples,
    is_in_picture,
    labelled_box,
    must_be_found,
    object_model,
    spread_rows,
)
from prehend_training.sample import HandLabel, ObjectLabel, Sample

BoxSource = Literal["true", "detector"]

MATCH_IOU = 0.3
"""A hand is found where the box of an answer's keypoints overlaps that of its joints by this much; the one that
overlaps most counts, and each answer finds one hand."""

EXCUSED_IOU = 0.1
"""An answer that overlaps by this much a hand that need not be found is no false hand."""

_CONFIG = EstimatorOptions(tracking=False)


@dataclass
class FrameScores:
    """What came of a number of images.

    Attributes:
        boxes: scores of every hand that must be found, with labelled boxes; empty where only the detector was asked.
        detector: scores of the same hands in the same order, with the detector's boxes; empty likewise.
        found: whether the detector found each of them.
        frames: how many images.
        false_hands: answers of the detector's column that are no hand.
    """

    boxes: list[HandScores] = field(default_factory=list)
    detector: list[HandScores] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    frames: int = 0
    false_hands: int = 0


@dataclass(frozen=True)
class FramePipeline:
    """The pipeline without memory from image to image.

    Attributes:
        network: backend of the crop network.
        detector: backend of the detector; None where boxes are given.
        hand_model: whose mesh comes out, None for the shipped one.
    """

    network: Backend
    detector: Backend | None
    hand_model: HandModel | None = None

    def answers(
        self, sample: Sample, things: Sequence[ObjectLabel], boxes: Sequence[FoundHand] | None
    ) -> list[tuple[HandEstimate, list[FloatArray | None]]]:
        """The hands of an image.

        Args:
            sample: the image.
            things: what its hands truly hold. An estimator knows one object; the image is looked at once for each.
            boxes: labelled hands; None for the detector's.

        Returns:
            Each hand with its object's pose (4, 4) if it were each of `things`; None where there is no pose.
        """
        runs = []
        models: list[ObjectModel | None] = [object_model(thing) for thing in things]
        for model in models or [None]:
            estimator = Estimator(
                self.network, self.detector, config=_CONFIG, hand_model=self.hand_model, object_model=model
            )
            runs.append(estimator.estimate(sample.image, sample.camera, boxes=boxes).hands)
        poses = [
            [None if hand.held_object is None else hand.held_object.T_camera_object for hand in run] for run in runs
        ]
        return [(hand, [run[row] for run in poses]) for row, hand in enumerate(runs[0])]


def score_frames(
    pipeline: FramePipeline,
    samples: Samples,
    labels: Labels,
    sources: Sequence[BoxSource] = ("true", "detector"),
    limit: int | None = None,
) -> FrameScores:
    """Score whole images.

    Args:
        pipeline: with a detector if `sources` ask for it.
        samples: images with any number of hands.
        labels: how they become truth.
        sources: where boxes come from.
        limit: largest number of images, evenly spread.
    """
    scores = FrameScores()
    for index in tqdm(spread_rows(samples, limit), unit="picture"):
        sample = samples[index]
        scores.frames += 1
        wanted = [hand for hand in sample.hands if must_be_found(sample, hand)]
        if "true" in sources:
            _with_labelled_boxes(pipeline, sample, wanted, labels, scores)
        if "detector" in sources:
            _with_detector(pipeline, sample, wanted, labels, scores)
    return scores


def _with_labelled_boxes(
    pipeline: FramePipeline, sample: Sample, wanted: list[HandLabel], labels: Labels, scores: FrameScores
) -> None:
    if not wanted:
        return
    things = _things(sample, wanted, labels)
    boxes = [labelled_box(hand, labels.held(sample, hand)) for hand in wanted]
    # a fresh estimator numbers its hands from 1, in the order of the boxes; those it gives up leave a gap
    answers = {hand.track_id - 1: (hand, poses) for hand, poses in pipeline.answers(sample, things, boxes)}
    for row, label in enumerate(wanted):
        scores.boxes.append(_score(sample, label, answers.get(row), things, labels, given=True))


def _with_detector(
    pipeline: FramePipeline, sample: Sample, wanted: list[HandLabel], labels: Labels, scores: FrameScores
) -> None:
    things = _things(sample, wanted, labels)
    answers = pipeline.answers(sample, things, None)
    boxes = [Box.around(hand.keypoints_px) for hand, _ in answers]
    matches = match_boxes([labelled_box(hand, None).box_px for hand in wanted], boxes)
    for row, label in enumerate(wanted):
        answer = answers[matches[row]] if row in matches else None
        scores.found.append(answer is not None)
        scores.detector.append(_score(sample, label, answer, things, labels, given=False))
    others = [
        labelled_box(hand, None).box_px
        for hand in sample.hands
        if is_in_picture(sample, hand) and not any(hand is label for label in wanted)
    ]
    taken = set(matches.values())
    free = [box for row, box in enumerate(boxes) if row not in taken]
    scores.false_hands += sum(all(box.iou(other) <= EXCUSED_IOU for other in others) for box in free)


def match_boxes(wanted: Sequence[Box], said: Sequence[Box], iou: float = MATCH_IOU) -> dict[int, int]:
    """Row of `wanted` -> row of `said`, each at most once, the largest overlap first."""
    overlaps = ((a.iou(b), i, j) for i, a in enumerate(wanted) for j, b in enumerate(said))
    return dict(best_pairs(pair for pair in overlaps if pair[0] >= iou))


def _things(sample: Sample, wanted: list[HandLabel], labels: Labels) -> list[ObjectLabel]:
    """What the hands hold, each object once."""
    things: list[ObjectLabel] = []
    for hand in wanted:
        thing = labels.held(sample, hand)
        if thing is not None and not any(thing is other for other in things):
            things.append(thing)
    return things


def _score(
    sample: Sample,
    label: HandLabel,
    answer: tuple[HandEstimate, list[FloatArray | None]] | None,
    things: list[ObjectLabel],
    labels: Labels,
    given: bool,
) -> HandScores:
    if answer is None:
        return score(labels.case(sample, label, None, None))
    thing = labels.held(sample, label)
    pose = next((pose for pose, other in zip(answer[1], things, strict=False) if other is thing), None)
    return score(labels.case(sample, label, _said(label, answer[0], given), pose))


def _said(label: HandLabel, hand: HandEstimate, given: bool) -> HandAnswer:
    box = labelled_box(label, None).box_px
    pixels = np.linalg.norm(hand.keypoints_px - label.keypoints_px, axis=-1).mean()
    same = label.rotations is not None and hand.side == label.side
    turned = float(geodesic_angle(hand.rotations[0], label.rotations[0])) if same else NAN  # type: ignore[index]
    return HandAnswer(
        hand.joints_m,
        hand.vertices_m,
        True,
        None if given else hand.side,
        hand.grasp.probability,
        float(pixels / max(box.width, box.height)),
        turned,
        float((hand.visible == label.visible).mean()),
    )
