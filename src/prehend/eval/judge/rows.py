"""One row a hand: what was said beside what is true, in metres, pixels and shares."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from prehend.conventions import NUM_JOINTS, Side
from prehend.eval.answers import Answered
from prehend.eval.judge.matching import box_side_px, in_picture, keypoint_errors, match
from prehend.eval.metrics import aligned
from prehend.eval.truth.records import TrueFrame, TrueHand, unknown_points
from prehend.types import FloatArray, HandEstimate

Kind = Literal["found", "missed", "false", "unjudged"]

NAN = float("nan")
MIN_JOINTS = 15
"""Fewer known joints are not aligned: too few points fit anything."""


def _no_errors() -> FloatArray:
    return np.full(NUM_JOINTS, NAN)


@dataclass(frozen=True)
class Row:
    """A hand of a frame.

    Attributes:
        frame: place among the run's frames.
        kind: "found"; "missed", no answer; "false", an answer where all hands are labelled and none is; "unjudged", an
            answer of which nothing is known.
        hand: number of the true hand in its frame, -1 for none.
        side, said_side: true and said; None where unknown.
        track_id: of the answer, 0 for none.
        score: of the answer.
        box_px: longer side of the true hand's box.
        px: (21,) errors of the keypoints.
        wrist, pa, absolute: (21,) errors of the joints [m]: wrist on wrist, after alignment (similarity), nothing moved
            (measured cameras alone).
        grasp, said_grasp: None where unknown; a hand without an answer is said to grasp nothing.
        probability: of the grasp, as said for this frame.
    """

    frame: int
    kind: Kind
    hand: int = -1
    side: Side | None = None
    said_side: Side | None = None
    track_id: int = 0
    score: float = NAN
    box_px: float = NAN
    px: FloatArray = field(default_factory=_no_errors)
    wrist: FloatArray = field(default_factory=_no_errors)
    pa: FloatArray = field(default_factory=_no_errors)
    absolute: FloatArray = field(default_factory=_no_errors)
    grasp: bool | None = None
    said_grasp: bool | None = None
    probability: float = NAN

    @property
    def is_labelled(self) -> bool:
        """Whether a true hand belongs to it."""
        return self.hand >= 0


def rows_of(frames: Sequence[Answered], truth: Sequence[TrueFrame | None]) -> list[Row]:
    """The rows of a run, in the order of its frames."""
    return [
        row
        for place, (frame, known) in enumerate(zip(frames, truth, strict=True))
        for row in _frame_rows(place, frame, known)
    ]


def _frame_rows(place: int, frame: Answered, known: TrueFrame | None) -> list[Row]:
    answers = frame.result.hands
    if known is None:
        return [_answer_row(place, answer, "unjudged") for answer in answers]
    hands = in_picture(known, frame.result.camera)
    found = match(hands, answers)
    placed = not frame.result.camera.estimated
    rows = [
        _hand_row(place, number, hand, answers[found[number]] if number in found else None, placed)
        for number, hand in enumerate(hands)
    ]
    others: Kind = "false" if known.complete else "unjudged"
    rows += [_answer_row(place, answer, others) for row, answer in enumerate(answers) if row not in set(found.values())]
    return rows


def _answer_row(place: int, answer: HandEstimate, kind: Kind) -> Row:
    return Row(
        place,
        kind,
        said_side=answer.side,
        track_id=answer.track_id,
        score=float(answer.score),
        said_grasp=answer.grasp.state == "grasping",
        probability=float(answer.grasp.probability),
    )


def _hand_row(place: int, number: int, hand: TrueHand, answer: HandEstimate | None, placed: bool) -> Row:
    box = box_side_px(hand, answer)
    if answer is None:
        return Row(place, "missed", number, hand.side, box_px=box, grasp=hand.grasp, said_grasp=False)
    wrist, pa, absolute = joint_errors(answer.joints_m, hand.joints_m)
    return Row(
        place,
        "found",
        number,
        hand.side,
        answer.side,
        answer.track_id,
        float(answer.score),
        box,
        keypoint_errors(hand, answer),
        wrist,
        pa,
        absolute if placed else _no_errors(),
        hand.grasp,
        answer.grasp.state == "grasping",
        float(answer.grasp.probability),
    )


def joint_errors(said_m: FloatArray, true_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(21,) errors of joints [m]: wrist on wrist, aligned, nothing moved; NaN where the truth is unknown.

    Args:
        said_m: (21, 3) camera frame [m].
        true_m: (21, 3) camera frame [m], NaN rows where unknown.
    """
    said, true = np.asarray(said_m, np.float64), np.asarray(true_m, np.float64)
    known = np.asarray(np.isfinite(said).all(-1) & np.isfinite(true).all(-1))
    absolute = np.where(known, np.linalg.norm(said - true, axis=-1), NAN)
    wrist, pa = _no_errors(), _no_errors()
    if known[0] and known.sum() > 1:
        wrist = np.where(known, np.linalg.norm((said - said[0]) - (true - true[0]), axis=-1), NAN)
    if known.sum() >= MIN_JOINTS:
        moved = unknown_points(3)
        moved[known] = aligned(said[known], true[known])
        pa = np.linalg.norm(moved - true, axis=-1)
    return wrist, pa, absolute
