"""All measures of a run: lengths in mm, shares 0..1, None where nothing is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.eval.answers import Answered, Answers
from prehend.eval.judge.grasps import Series, grasp_measures, series_of
from prehend.eval.judge.happenings import Happening, happenings
from prehend.eval.judge.motion import (
    Lost,
    id_changes,
    is_sequence,
    lost_spans,
    motion_measures,
    spread,
    steadiness,
    times_of,
)
from prehend.eval.judge.rows import Row, rows_of
from prehend.eval.judge.things import Shapes, ThingRow, thing_rows
from prehend.eval.metrics import PCK_THRESHOLDS_M, auc, hit
from prehend.eval.truth.records import TrueFrame

PCK_BOX = 0.2
"""The keypoints' usual threshold, in longer sides of the hand's box."""
BOX_THRESHOLDS: NDArray[np.float64] = np.linspace(0, 0.5, 101)
PCK_MM = (10, 20, 30, 50)
ADD_FACTORS = (0.1, 0.5)
SPACES = ("wrist", "pa", "absolute")
"""Fields of `Row` with errors of joints."""


@dataclass(frozen=True)
class Judged:
    """A run beside its truth.

    Attributes:
        name: of the run.
        source: what was run, as given.
        answers: what was said.
        truth: of each frame, None for those of which nothing is known.
        truth_title: what the truth is, empty for none.
        rows, things, series, events, lost: see their modules.
        settings: how the answers came about.
        measures: by group, see `hand_measures` and those after it.
        path: the source, to take images from; None where it is not there.
    """

    name: str
    source: str
    answers: Answers
    truth: tuple[TrueFrame | None, ...]
    truth_title: str
    rows: tuple[Row, ...]
    things: tuple[ThingRow, ...]
    series: tuple[Series, ...]
    events: tuple[Happening, ...]
    lost: tuple[Lost, ...]
    settings: dict[str, Any]
    measures: dict[str, Any]
    path: Path | None = None
    timings: dict[str, list[float]] = field(default_factory=dict)

    @property
    def frames(self) -> tuple[Answered, ...]:
        """What was said, frame by frame."""
        return self.answers.frames


def judge(
    name: str,
    source: str,
    answers: Answers,
    truth: Sequence[TrueFrame | None],
    truth_title: str,
    shapes: Shapes,
    settings: dict[str, Any],
    *,
    rigid: bool = False,
    path: Path | None = None,
) -> Judged:
    """Measure a run.

    Args:
        name, source, settings, path: see `Judged`.
        answers: what was said.
        truth: of each frame.
        truth_title: what the truth is, empty for none.
        shapes: gives points of objects.
        rigid: nothing in the scene moves.
    """
    frames = answers.frames
    rows = tuple(rows_of(frames, truth))
    things = tuple(thing_rows(frames, truth, shapes))
    series = tuple(series_of(frames, truth, rows))
    lost = tuple(lost_spans(frames, rows))
    measures = {
        "frames": _frame_measures(frames, truth, rows),
        "hands": hand_measures(rows, truth, is_sequence(frames)),
        "keypoints": keypoint_measures(rows),
        "joints": {space: joint_measures(rows, space) for space in SPACES} if _has_joints(rows) else None,
        "grasp": grasp_measures(frames, series),
        "objects": object_measures(things),
        "motion": motion_measures(frames),
        "lost": _lost_measures(lost),
        "steadiness": steadiness(frames, rigid),
    }
    return Judged(
        name, source, answers, tuple(truth), truth_title, rows, things, series,
        tuple(happenings(frames, series)), lost, settings, measures, path, stage_times(frames),
    )  # fmt: skip


def hand_measures(rows: Sequence[Row], truth: Sequence[TrueFrame | None], followed: bool) -> dict[str, Any] | None:
    """Found, missed and false hands, whose side was right, and of hands that are `followed` how often their track
    changed; None without labelled hands or complete frames."""
    labelled = [row for row in rows if row.is_labelled]
    complete = sum(known is not None and known.complete for known in truth)
    if not labelled and not complete:
        return None
    found = [row for row in labelled if row.kind == "found"]
    sided = [row.side == row.said_side for row in found if row.side is not None]
    false = sum(row.kind == "false" for row in rows)
    return {
        "labelled": len(labelled),
        "found": len(found),
        "found_share": _share(len(found), len(labelled)),
        "missed": len(labelled) - len(found),
        "complete_frames": complete,
        "false": false,
        "false_per_frame": _share(false, complete),
        "side_right": _share(sum(sided), len(sided)),
        "id_changes": id_changes(rows) if followed else None,
    }


def keypoint_measures(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Errors in the image; `pck_all` counts the keypoints of hands that were not found as wrong."""
    found = [row for row in rows if row.kind == "found" and np.isfinite(row.px).any()]
    if not found:
        return None
    shares = np.concatenate([known_errors(row.px) / row.box_px for row in found])
    missed = sum(row.kind == "missed" for row in rows)
    per_hand = len(shares) / len(found)
    return {
        "hands": len(found),
        "median_px": _round(float(np.median([known_errors(row.px).mean() for row in found])), 2),
        "mean_px": _round(float(np.mean([known_errors(row.px).mean() for row in found])), 2),
        "mean_box": _round(float(shares.mean()), 4),
        f"pck_{PCK_BOX}": _round(float((shares <= PCK_BOX).mean()), 4),
        f"pck_{PCK_BOX}_all": _round(float((shares <= PCK_BOX).sum() / (len(shares) + missed * per_hand)), 4),
        "auc": _round(float(auc(box_curve(found), BOX_THRESHOLDS)), 4),
    }


def joint_measures(rows: Sequence[Row], space: str) -> dict[str, Any] | None:
    """Errors of the joints in one of `SPACES`; None where none is known."""
    errors = [values for row in rows if row.kind == "found" and len(values := known_errors(getattr(row, space)))]
    if not errors:
        return None
    means = 1e3 * np.array([values.mean() for values in errors])
    points = 1e3 * np.concatenate(errors)
    measures: dict[str, Any] = {
        "hands": len(errors),
        "mean_mm": _round(float(means.mean()), 2),
        "median_mm": _round(float(np.median(means)), 2),
        "p95_mm": _round(float(np.percentile(means, 95)), 2),
        **{f"pck_{limit}_mm": _round(float((points <= limit).mean()), 4) for limit in PCK_MM},
        "auc_50_mm": _round(float(auc(joint_curve(rows, space), PCK_THRESHOLDS_M)), 4),
    }
    if space == "absolute":
        wrists = [1e3 * float(row.absolute[0]) for row in rows if np.isfinite(row.absolute[0])]
        measures["wrist_median_mm"] = _round(float(np.median(wrists)), 2) if wrists else None
    return measures


def object_measures(things: Sequence[ThingRow]) -> dict[str, Any] | None:
    """Errors of held objects, for each object and all; None where no true pose is known."""
    if not things:
        return None
    names = sorted({row.object_id for row in things})
    groups = {name: [row for row in things if row.object_id == name] for name in names}
    return {**{name: _object_group(group) for name, group in groups.items()}, "all": _object_group(things)}


def joint_curve(rows: Sequence[Row], space: str) -> NDArray[np.float64]:
    """(100,) share of known joints within each of `PCK_THRESHOLDS_M`; NaN where none is known."""
    errors = [known_errors(getattr(row, space)) for row in rows if row.kind == "found"]
    return _curve(np.concatenate([*errors, np.zeros(0)]), PCK_THRESHOLDS_M)


def box_curve(rows: Sequence[Row]) -> NDArray[np.float64]:
    """(101,) share of known keypoints within each of `BOX_THRESHOLDS` longer sides of the box."""
    errors = [known_errors(row.px) / row.box_px for row in rows if row.kind == "found"]
    return _curve(np.concatenate([*errors, np.zeros(0)]), BOX_THRESHOLDS)


def known_errors(values: NDArray[Any]) -> NDArray[np.float64]:
    """Those that are finite."""
    return np.asarray(values[np.isfinite(values)], np.float64)


def stage_times(frames: Sequence[Answered]) -> dict[str, list[float]]:
    """Wall times of each stage over the frames [ms]."""
    stages = list(dict.fromkeys(stage for frame in frames for stage in frame.result.timing_ms))
    return {
        stage: [frame.result.timing_ms[stage] for frame in frames if stage in frame.result.timing_ms]
        for stage in stages
    }


def latency_measures(run: Judged) -> dict[str, Any]:
    """Median and 95th percentile of each stage [ms]. Wall times differ from run to run: they are kept apart."""
    return {stage: spread(values, 2) for stage, values in run.timings.items()}


def _frame_measures(
    frames: Sequence[Answered], truth: Sequence[TrueFrame | None], rows: Sequence[Row]
) -> dict[str, Any]:
    times = times_of(frames)
    return {
        "frames": len(frames),
        "with_truth": sum(known is not None for known in truth),
        "seconds": _round(times[-1], 3) if times and frames[0].stamp is not None else None,
        "camera_estimated": sum(frame.result.camera.estimated for frame in frames),
        "answers": sum(len(frame.result.hands) for frame in frames),
        "answers_grasping": sum(bool(row.said_grasp) for row in rows),
    }


def _has_joints(rows: Sequence[Row]) -> bool:
    return any(np.isfinite(getattr(row, space)).any() for row in rows for space in SPACES)


def _object_group(things: Sequence[ThingRow]) -> dict[str, Any]:
    posed = [row for row in things if row.has_pose]
    measured = [row for row in posed if np.isfinite(row.error)]
    errors = np.array([row.error if np.isfinite(row.error) else np.inf for row in things])
    diameters = np.array([row.diameter for row in things])
    shares: dict[str, float | None] = {}
    for factor in ADD_FACTORS:
        told = np.isfinite(diameters).any()
        shares[f"add_{factor:g}d"] = _round(float(hit(errors, diameters, factor).mean()), 4) if told else None
    return {
        "labelled": len(things),
        "named_right": _share(sum(row.said_id == row.object_id for row in things), len(things)),
        "with_pose": len(posed),
        "add_median_mm": _median_mm([row.add for row in measured]),
        "adds_median_mm": _median_mm([row.add_s for row in measured]),
        **shares,
        "center_median_mm": _median_mm([row.center for row in posed]),
        "turn_median_deg": _median([float(np.degrees(row.turn)) for row in posed]),
    }


def _lost_measures(lost: Sequence[Lost]) -> dict[str, Any]:
    return {
        kind: {
            "spans": len(spans),
            "seconds": _round(sum(span.seconds for span in spans), 3),
            "longest_s": _round(max((span.seconds for span in spans), default=0.0), 3),
        }
        for kind in ("gap", "unfound")
        if (spans := [span for span in lost if span.kind == kind]) or kind == "gap"
    }


def _curve(errors: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(errors):
        return np.full(len(thresholds), np.nan)
    return np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _median(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return _round(float(np.median(known)), 2) if known else None


def _median_mm(values: Sequence[float]) -> float | None:
    return _median([1e3 * value for value in values])


def _round(value: float, decimals: int) -> float | None:
    return round(value, decimals) if np.isfinite(value) else None
