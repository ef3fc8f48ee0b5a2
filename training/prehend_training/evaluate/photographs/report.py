"""From what was said about photographs to one report: sets, false hands, precision over scores, calibration, a CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prehend.errors import OutputError
from prehend.eval.calibration import ordered_pairs, reliability
from prehend.eval.metrics import classification
from prehend.eval.photographs.measures import (
    LabelledHand,
    LabelScores,
    PhotoAnswer,
    judge_answers,
    precision_over_scores,
    score_label,
    set_measures,
)
from prehend.files import reason, replace_text
from prehend_training.evaluate.photographs.measure import PhotoColumn, PhotoRun

Report = dict[str, Any]

SCHEMA = "prehend.photo_evaluation/1"
"""Of metrics.json. `docs/EVALUATION.md` describes it."""

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
ALL = "all"


class ScoredLabel(NamedTuple):
    """A label, its answer, and what came of it."""

    run: PhotoRun
    row: int
    label: LabelledHand
    scores: LabelScores
    answer: PhotoAnswer | None


def scored_labels(runs: Sequence[PhotoRun], column: PhotoColumn) -> list[ScoredLabel]:
    """Every label that counts, in the order of the images."""
    rows = []
    for run in runs:
        answers = run.answers.get(column)
        for row, label in enumerate(run.photo.hands):
            if label.is_scored:
                scores = score_label(label, answers)
                answer = answers[scores.answer] if answers is not None and scores.answer >= 0 else None
                rows.append(ScoredLabel(run, row, label, scores, answer))
    return rows


def column_report(runs: Sequence[PhotoRun], column: PhotoColumn) -> Report:
    """All numbers of a column: `sets`, each with its measures, and with "all" where there are several; `time_ms`.

    With its own detector (or a peer's) a set also has `pictures` that are completely labelled, `false_a_picture`,
    `pictures_with_false`, and the column `scores`.
    """
    labels = scored_labels(runs, column)
    asked = [run for run in runs if column in run.answers]
    names = list(dict.fromkeys(run.photo.set_name for run in asked))
    sets = {name: _set_report([one for one in labels if one.run.photo.set_name == name]) for name in names}
    if len(names) > 1:
        sets[ALL] = _set_report(labels)
    report: Report = {"sets": sets}
    if column != "boxes":
        for name, group in sets.items():
            chosen = runs if name == ALL else [run for run in runs if run.photo.set_name == name]
            group |= _false_hands(chosen, column)
        report["scores"] = _precision(runs, column)
    times = [run.time_ms[column] for run in runs if column in run.time_ms]
    if times:
        median, high = np.percentile(times, [50, 95])
        report["time_ms"] = {"median": round(float(median), 2), "p95": round(float(high), 2)}
    return report


def calibration_report(runs: Sequence[PhotoRun], column: PhotoColumn = "detector") -> Report:
    """Reliability of `presence`, `side` and `grasp`, each with `count`, `ece` and `bins`, and `true_above_false`.

    Presence is judged in images in which every hand is labelled; `true_above_false` is the share of pairs of a hand
    and of something else in which the hand scores higher.
    """
    judged = [one for run in runs for one in _judged(run, column)]
    found = [(one.label, one.answer) for one in scored_labels(runs, column) if one.answer is not None]
    sides = [(answer.side_score, answer.side == label.side) for label, answer in found if label.side and answer.side]
    grasps = [(answer.grasp, label.held) for label, answer in found if label.held is not None]
    hits, misses = ([score for score, hit in judged if hit == wanted] for wanted in (True, False))
    pairs = ordered_pairs(hits, misses)
    return {
        "presence": _reliability(judged),
        "side": _reliability(sides),
        "grasp": _reliability(grasps),
        "true_above_false": None if pairs is None else round(pairs, 4),
        "grasp_answers": _rounded(
            classification(
                np.array([bool(held) for grasp, held in grasps if np.isfinite(grasp)], bool),
                np.array([grasp >= 0.5 for grasp, _ in grasps if np.isfinite(grasp)], bool),
            )
        ),
    }


def write_labels_csv(runs: Sequence[PhotoRun], columns: Sequence[PhotoColumn], path: Path) -> Path:
    """One row a label and column.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [_csv_row(column, one) for column in columns for one in scored_labels(runs, column)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["column"])
    writer.writeheader()
    writer.writerows(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error
    replace_text(path, text.getvalue())
    return path


def worst_labels(runs: Sequence[PhotoRun], count: int) -> list[ScoredLabel]:
    """The labels that our own detector's answers miss, then those with the largest error for their size."""
    labels = [one for one in scored_labels(runs, "detector") if one.run.path is not None]
    return sorted(labels, key=lambda one: (one.scores.found, -np.nan_to_num(one.scores.nme)))[:count]


def worst_false(runs: Sequence[PhotoRun], count: int) -> list[tuple[PhotoRun, PhotoAnswer]]:
    """The surest answers of our own detector that are no hand, in images in which every hand is labelled."""
    false = []
    for run in runs:
        if _is_judged(run, "detector") and run.path is not None:
            answers = run.answers["detector"] or ()
            verdicts = judge_answers(run.photo.hands, answers)
            false += [(run, answer) for answer, verdict in zip(answers, verdicts, strict=True) if verdict is False]
    return sorted(false, key=lambda pair: -pair[1].score)[:count]


def _set_report(labels: Sequence[ScoredLabel]) -> Report:
    report: Report = dict(set_measures([one.scores for one in labels]))
    grasps = [
        (one.label.held, one.answer.grasp >= 0.5)
        for one in labels
        if one.label.held is not None and one.answer is not None and np.isfinite(one.answer.grasp)
    ]
    if grasps:
        held, said = (np.array(values, bool) for values in zip(*grasps, strict=True))
        report["grasp"] = {"hands": len(grasps), **_rounded(classification(held, said))}
    with_3d = [one for one in labels if np.isfinite(one.scores.absolute_m)]
    report["cameras_given"] = all(one.run.camera_given for one in with_3d) if with_3d else None
    return report


def _false_hands(runs: Sequence[PhotoRun], column: PhotoColumn) -> Report:
    counts = [sum(not hit for _, hit in _judged(run, column)) for run in runs if _is_judged(run, column)]
    return {
        "pictures": len(counts),
        "false_a_picture": round(float(np.mean(counts)), 4) if counts else None,
        "pictures_with_false": sum(count > 0 for count in counts),
    }


def _precision(runs: Sequence[PhotoRun], column: PhotoColumn) -> list[dict[str, Any]] | None:
    """Over images in which every hand is labelled; None where there is none."""
    complete = [run for run in runs if _is_judged(run, column)]
    if not complete:
        return None
    judged = [one for run in complete for one in _judged(run, column)]
    wanted = sum(label.is_scored for run in complete for label in run.photo.hands)
    return precision_over_scores(judged, wanted, len(complete), THRESHOLDS)


def _is_judged(run: PhotoRun, column: PhotoColumn) -> bool:
    return run.photo.complete and run.answers.get(column) is not None


def _judged(run: PhotoRun, column: PhotoColumn) -> Iterator[tuple[float, bool]]:
    """Score of each answer and whether it is a hand, where that is known."""
    if not _is_judged(run, column):
        return
    answers = run.answers[column] or ()
    for answer, verdict in zip(answers, judge_answers(run.photo.hands, answers), strict=True):
        if verdict is not None:
            yield answer.score, verdict


def _reliability(pairs: Sequence[tuple[float, Any]]) -> Report:
    return reliability([said for said, _ in pairs], [float(bool(true)) for _, true in pairs])


def _csv_row(column: PhotoColumn, one: ScoredLabel) -> dict[str, Any]:
    scores, answer = one.scores, one.answer
    return {
        "column": column,
        "set": one.run.photo.set_name,
        "image": one.run.photo.name,
        "hand": one.row,
        "answered": int(scores.answered),
        "found": int(scores.found),
        "keypoints": scores.keypoints,
        "right": scores.right,
        "error_px": _cell(scores.error_px),
        "nme": _cell(scores.nme),
        "pa_mm": _cell(1e3 * scores.pa_m),
        "root_mm": _cell(1e3 * scores.root_m),
        "absolute_mm": _cell(1e3 * scores.absolute_m),
        "side": one.label.side or "",
        "said_side": "" if answer is None else answer.side or "",
        "score": "" if answer is None else _cell(answer.score),
        "held": "" if one.label.held is None else int(one.label.held),
        "grasp": "" if answer is None else _cell(answer.grasp),
    }


def _cell(value: float) -> float | str:
    return round(float(value), 4) if np.isfinite(value) else ""


def _rounded(values: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
