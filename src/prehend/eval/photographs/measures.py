"""Measures of labelled photographs: what was found, how far off it is, and what is no hand.

Labels of photographs differ in what they know: keypoints with gaps, a box alone, metric joints or none. Every label
counts: a hand that was not found is a miss, whose keypoints are wrong in `pck_all`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape
from prehend.conventions import NUM_JOINTS, Side
from prehend.eval.metrics import aligned, point_errors, root_relative
from prehend.pipeline.tracking.association import best_pairs
from prehend.types import Box, FloatArray

FOUND_SHARE = 0.5
"""A hand is found by an answer whose mean keypoint error is below (`<`) this share of the label's box."""

PCK_SHARE = 0.2
"""A keypoint is right if it is nearer (`<`) than this share of the label's box: PCK@0.2."""

MIN_VISIBLE = 5
"""A label with fewer known keypoints, and without a box, is not scored."""

MIN_JOINTS_3D = 15
"""Known metric joints that an error in millimetres needs."""

MATCH_IOU, EXCUSED_IOU = 0.3, 0.1
"""Overlap of boxes by which an answer is on a labelled hand; on one that is not scored."""

NAN = float("nan")


@dataclass(frozen=True)
class LabelledHand:
    """What is known of a hand in a photograph.

    Attributes:
        keypoints_px: (21, 2) joints in the image, None where only a box is known.
        known: (21,) bool, keypoints that are labelled; the others are left out.
        side: None where nobody knows.
        joints_m: (21, 3) in the camera frame [m], NaN where a joint is unknown; None where all are.
        box_px: as labelled; None takes the box around the known keypoints.
        held: whether it holds something, None where nobody knows.

    Raises:
        InvalidInput: an array has another shape.
    """

    keypoints_px: FloatArray | None = None
    known: NDArray[np.bool_] | None = None
    side: Side | None = None
    joints_m: FloatArray | None = None
    box_px: Box | None = None
    held: bool | None = None

    def __post_init__(self) -> None:
        if self.keypoints_px is not None:
            check_shape("keypoints_px", self.keypoints_px, [NUM_JOINTS, 2])
            known = np.ones(NUM_JOINTS, bool) if self.known is None else self.known
            check_shape("known", known, [NUM_JOINTS])
            object.__setattr__(self, "known", known & np.isfinite(self.keypoints_px).all(-1))
        if self.joints_m is not None:
            check_shape("joints_m", self.joints_m, [NUM_JOINTS, 3])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(21,) keypoints that are labelled; none where only a box is."""
        return np.zeros(NUM_JOINTS, bool) if self.known is None or self.keypoints_px is None else self.known

    @property
    def has_keypoints(self) -> bool:
        """Whether enough keypoints are known for them to be scored."""
        return int(self.mask.sum()) >= MIN_VISIBLE

    @property
    def is_scored(self) -> bool:
        """Whether the hand must be found."""
        return self.has_keypoints or (self.box_px is not None and not self.mask.any())

    @property
    def box(self) -> Box | None:
        """The labelled box, or that of the known keypoints; None where nothing is known."""
        if self.box_px is not None:
            return self.box_px
        points = self._points
        return Box.around(points) if len(points) else None

    @property
    def size_px(self) -> float:
        """Longer side of the box of the known keypoints, at least 1 px."""
        return max(float(np.ptp(self._points, axis=0).max()), 1.0)

    @property
    def _points(self) -> NDArray[np.float64]:
        """(K, 2) the known keypoints."""
        return np.zeros((0, 2)) if self.keypoints_px is None else np.asarray(self.keypoints_px, np.float64)[self.mask]


@dataclass(frozen=True)
class PhotoAnswer:
    """What was said about a hand in a photograph.

    Attributes:
        keypoints_px: (21, 2).
        side: None where it was not told.
        joints_m: (21, 3) camera frame [m], None where there are none.
        score: that this is a hand, NaN where it was not told.
        grasp: probability that it holds something, NaN where it was not told.
        side_score: probability of `side`, NaN where it was not told.
    """

    keypoints_px: FloatArray
    side: Side | None = None
    joints_m: FloatArray | None = None
    score: float = NAN
    grasp: float = NAN
    side_score: float = NAN


class LabelScores(NamedTuple):
    """Measures of one label; NaN where something cannot be told. Lengths in metres.

    Attributes:
        answered: whether the image was looked at.
        found: whether the hand was.
        keypoints, right: known keypoints, and how many of them are right (see `PCK_SHARE`).
        error_px: mean distance of the known keypoints.
        nme: the same over the longer side of the label's box.
        pa_m: mean joint error after a similarity alignment without reflections.
        root_m: the same with wrist on wrist only.
        absolute_m: the same in the camera frame, nothing moved.
        side_right: 1 or 0, NaN where label or answer does not tell.
        answer: row of the answer that found it, -1 for none.
    """

    answered: bool
    found: bool = False
    keypoints: int = 0
    right: int = 0
    error_px: float = NAN
    nme: float = NAN
    pa_m: float = NAN
    root_m: float = NAN
    absolute_m: float = NAN
    side_right: float = NAN
    answer: int = -1


def score_label(label: LabelledHand, answers: Sequence[PhotoAnswer] | None) -> LabelScores:
    """Measures of a label by the answer whose keypoints are nearest, or, of a box alone, whose box overlaps most.

    Two labels may take the same answer. Sources: PCK as in Yang and Ramanan (CVPR 2013) with the hand's box in place of
    the person's; the alignment is `metrics.aligned`.

    Args:
        label: one that `is_scored`.
        answers: of its image; None where the image was not looked at.
    """
    keypoints = int(label.mask.sum()) if label.has_keypoints else 0
    row = None if answers is None else _nearest(label, answers)
    if answers is None or row is None:
        return LabelScores(answers is not None, keypoints=keypoints)
    answer = answers[row]
    told = LabelScores(True, True, keypoints, answer=row, side_right=_same_side(label, answer))
    told = told._replace(**_metric(label, answer))
    if not label.has_keypoints:
        return told
    errors = _keypoint_errors(label, answer)
    return told._replace(
        right=int((errors < PCK_SHARE * label.size_px).sum()),
        error_px=float(errors.mean()),
        nme=float(errors.mean() / label.size_px),
    )


def matched_answers(labels: Sequence[LabelledHand], answers: Sequence[PhotoAnswer]) -> dict[int, int]:
    """Row of a scored label -> row of its answer, each at most once; nearest keypoints first, then boxes."""
    alike = []
    for i, label in enumerate(labels):
        for j, answer in enumerate(answers):
            if label.is_scored and (likeness := _likeness(label, answer)) > 0:
                alike.append((likeness, i, j))
    return dict(best_pairs(alike))


def judge_answers(labels: Sequence[LabelledHand], answers: Sequence[PhotoAnswer]) -> list[bool | None]:
    """Whether each answer is a hand, in an image in which every hand is labelled.

    A second answer on a hand is none. An answer at a hand that is not scored is neither right nor wrong: None.
    """
    taken = set(matched_answers(labels, answers).values())
    others = [box for label in labels if not label.is_scored and (box := label.box) is not None]

    def judge(row: int) -> bool | None:
        box = Box.around(np.asarray(answers[row].keypoints_px))
        excused = any(box.iou(other) > EXCUSED_IOU for other in others)
        return True if row in taken else (None if excused else False)

    return [judge(row) for row in range(len(answers))]


def set_measures(scores: Sequence[LabelScores]) -> dict[str, float | int | None]:
    """Means over the labels of a set; lengths in mm, shares 0..1, None where nothing is known.

    `pck` is over the keypoints of the hands that were found, `pck_all` over all; the others are means over labels.
    """
    found = [one for one in scores if one.found and one.keypoints]
    wanted = sum(one.keypoints for one in scores)
    right = sum(one.right for one in scores)
    seen = sum(one.keypoints for one in found)
    return {
        "n": len(scores),
        "answered": _mean([float(one.answered) for one in scores]),
        "found": _mean([float(one.found) for one in scores]),
        "error_px": _mean([one.error_px for one in scores]),
        "nme": _mean([one.nme for one in scores]),
        "pck": round(right / seen, 4) if seen else None,
        "pck_all": round(right / wanted, 4) if wanted else None,
        "n3d": sum(bool(np.isfinite(one.pa_m)) for one in scores),
        "pa_mm": _mean([1e3 * one.pa_m for one in scores]),
        "root_mm": _mean([1e3 * one.root_m for one in scores]),
        "absolute_mm": _mean([1e3 * one.absolute_m for one in scores]),
        "side": _mean([one.side_right for one in scores]),
    }


def precision_over_scores(
    judged: Sequence[tuple[float, bool]], wanted: int, pictures: int, thresholds: Sequence[float]
) -> list[dict[str, float | int | None]]:
    """Precision, recall and false hands an image where only answers of at least a score count.

    Args:
        judged: score of each answer, and whether it is a hand.
        wanted: how many hands there are.
        pictures: how many images.
        thresholds: scores.
    """
    scores = np.array([score for score, _ in judged], np.float64)
    hits = np.array([hit for _, hit in judged], bool)
    rows: list[dict[str, float | int | None]] = []
    for threshold in thresholds:
        kept = scores >= threshold
        true, said = int((hits & kept).sum()), int(kept.sum())
        rows.append(
            {
                "threshold": threshold,
                "answers": said,
                "precision": round(true / said, 4) if said else None,
                "recall": round(true / wanted, 4) if wanted else None,
                "false_a_picture": round((said - true) / pictures, 4) if pictures else None,
            }
        )
    return rows


def _nearest(label: LabelledHand, answers: Sequence[PhotoAnswer]) -> int | None:
    """Row of the answer that finds a label, None where none does."""
    if not answers:
        return None
    if not label.has_keypoints:
        overlaps = [_likeness(label, answer) for answer in answers]
        return int(np.argmax(overlaps)) if max(overlaps) > 0 else None
    errors = np.nan_to_num([_keypoint_errors(label, answer).mean() for answer in answers], nan=np.inf)
    return int(errors.argmin()) if errors.min() < FOUND_SHARE * label.size_px else None


def _likeness(label: LabelledHand, answer: PhotoAnswer) -> float:
    """0 for an answer that is not on a hand; boxes alone count less than keypoints."""
    points = np.asarray(answer.keypoints_px, np.float64)
    if not np.isfinite(points).all():
        return 0.0
    if label.has_keypoints:
        share = float(_keypoint_errors(label, answer).mean() / label.size_px)
        if share < FOUND_SHARE:
            return 2.0 - share
        if label.box_px is None:
            points = points[label.mask]  # the label's box is that of these joints
    box = label.box
    overlap = 0.0 if box is None else Box.around(points).iou(box)
    return overlap if overlap >= MATCH_IOU else 0.0


def _keypoint_errors(label: LabelledHand, answer: PhotoAnswer) -> NDArray[np.float64]:
    """(K,) distances of the K known keypoints [px]."""
    apart = np.asarray(answer.keypoints_px, np.float64) - np.asarray(label.keypoints_px, np.float64)
    return np.asarray(np.linalg.norm(apart[label.mask], axis=-1))


def _metric(label: LabelledHand, answer: PhotoAnswer) -> dict[str, Any]:
    """Errors in metres over the joints that the label knows."""
    if label.joints_m is None or answer.joints_m is None:
        return {}
    known = np.asarray(np.isfinite(label.joints_m).all(-1))
    if known.sum() < MIN_JOINTS_3D:
        return {}
    said, true = np.asarray(answer.joints_m, np.float64), np.asarray(label.joints_m, np.float64)
    errors = {
        "pa_m": float(point_errors(aligned(said[known], true[known]), true[known]).mean()),
        "absolute_m": float(point_errors(said[known], true[known]).mean()),
    }
    if known[0]:  # the wrist
        moved = point_errors(root_relative(said, said[0]), root_relative(true, true[0]))
        errors["root_m"] = float(moved[known].mean())
    return errors


def _same_side(label: LabelledHand, answer: PhotoAnswer) -> float:
    return NAN if label.side is None or answer.side is None else float(label.side == answer.side)


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return round(float(np.mean(known)), 4) if known else None
