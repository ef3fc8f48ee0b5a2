"""The CSV files of a judgement: a line a hand, a line an event, BOP's poses, a line a run."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from prehend.eval.judge.rows import Row
from prehend.eval.judge.summary import Judged, known_errors
from prehend.eval.papers.tables import markdown_table

FRAME_FIELDS = (
    "run", "source", "index", "stamp", "kind", "hand", "side", "said_side", "track_id", "score", "keypoints_px",
    "keypoints_box", "pck_0.2", "wrist_aligned_mm", "aligned_mm", "absolute_mm", "absolute_wrist_mm", "grasp",
    "said_grasp", "grasp_probability",
)  # fmt: skip
EVENT_FIELDS = ("run", "source", "index", "stamp", "event", "track_id", "who", "detail", "late_s", "confidence")
BOP_FIELDS = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
UNKNOWN_TIME = "-1"
"""BOP's word for a time that is not told; wall times would differ from run to run."""

TABLE: dict[str, tuple[str, ...]] = {
    "frames": ("frames", "frames"),
    "labelled": ("hands", "labelled"),
    "found": ("hands", "found_share"),
    "false/frame": ("hands", "false_per_frame"),
    "side": ("hands", "side_right"),
    "id changes": ("hands", "id_changes"),
    "PCK@0.2": ("keypoints", "pck_0.2"),
    "px": ("keypoints", "median_px"),
    "wrist-aligned [mm]": ("joints", "wrist", "mean_mm"),
    "AUC": ("joints", "wrist", "auc_50_mm"),
    "PA [mm]": ("joints", "pa", "mean_mm"),
    "absolute [mm]": ("joints", "absolute", "median_mm"),
    "grasp acc.": ("grasp", "accuracy"),
    "grasp F1": ("grasp", "f1"),
    "onset [s]": ("grasp", "begins", "delay_s", "median"),
    "ADD(-S) 0.1d": ("objects", "all", "add_0.1d"),
    "object [mm]": ("objects", "all", "center_median_mm"),
    "jitter [mm]": ("motion", "wrist_jitter_mm", "median"),
    "lost": ("motion", "lost_share"),
    "side changes": ("motion", "side_changes_of_hands"),
}
"""Columns of the table of runs, and where their numbers stand in `Judged.measures`."""


def frames_csv(runs: Sequence[Judged]) -> str:
    """A line a hand, and one for each frame without any."""
    return _csv(FRAME_FIELDS, (line for run in runs for line in _frame_lines(run)))


def events_csv(runs: Sequence[Judged]) -> str:
    """A line an event."""
    return _csv(
        EVENT_FIELDS,
        (
            {**_place(run, event.frame), "event": event.what, "track_id": event.track_id or "", "who": event.who,
             "detail": event.detail, "late_s": _text(event.late_s, 3),
             "confidence": _text(event.confidence, 4)}
            for run in runs
            for event in run.events
        ),
    )  # fmt: skip


def bop_csv(runs: Sequence[Judged], numbers: Mapping[str, int]) -> str:
    """Poses in the format of the BOP challenge (Hodan et al., ECCV 2018): R row by row, t in mm.

    Args:
        runs: each is a scene, counted from 1.
        numbers: BOP's number of each object; poses of others are left out.
    """
    return _csv(BOP_FIELDS, (line for scene, run in enumerate(runs, 1) for line in _bop_lines(scene, run, numbers)))


def bop_numbers(runs: Iterable[Judged], given: Mapping[int, str]) -> dict[str, int]:
    """BOP's number of each object that was said or is true: as given, as `obj_000001` has it, else counted on."""
    names = sorted(
        {
            hand.held_object.object_id
            for run in runs
            for frame in run.frames
            for hand in frame.result.hands
            if hand.held_object is not None
        }
        | {thing.object_id for run in runs for thing in run.things}
    )
    numbers = {name: number for number, name in given.items()}
    for name in names:
        tail = name.removeprefix("obj_")
        if name not in numbers and tail != name and tail.isdecimal():
            numbers[name] = int(tail)
    following = max(numbers.values(), default=0) + 1
    for name in names:
        if name not in numbers and name != "unknown":
            numbers[name], following = following, following + 1
    return numbers


def table_rows(runs: Sequence[Judged]) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """Headings, and a row a run; columns of which no run knows anything are left out."""
    rows = [(run.name, [_at(run.measures, path) for path in TABLE.values()]) for run in runs]
    kept = [column for column in range(len(TABLE)) if any(cells[column] is not None for _, cells in rows)]
    headings = [list(TABLE)[column] for column in kept]
    return headings, [(name, [cells[column] for column in kept]) for name, cells in rows]


def table_text(runs: Sequence[Judged], suffix: str) -> str:
    """The table of runs as CSV, or as Markdown for `.md`."""
    headings, rows = table_rows(runs)
    if suffix.lower() == ".md":
        return (
            markdown_table(["run", *headings], [(name, [number_text(cell) for cell in cells]) for name, cells in rows])
            + "\n"
        )
    return _csv(("run", *headings), ({"run": name, **dict(zip(headings, cells, strict=True))} for name, cells in rows))


def number_text(value: Any) -> str:
    """A number for people: as many digits as tell something."""
    if value is None:
        return "-"
    if isinstance(value, (int, str)):
        return str(value)
    if abs(value) >= 10:
        return f"{value:.1f}"
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def _at(measures: Mapping[str, Any], path: Sequence[str]) -> float | None:
    value: Any = measures
    for key in path:
        value = None if value is None else value.get(key)
    return value  # type: ignore[no-any-return]


def _frame_lines(run: Judged) -> Iterable[dict[str, Any]]:
    with_hands = {row.frame for row in run.rows}
    rows = sorted([*run.rows, *(Row(place, "unjudged") for place in range(len(run.frames)) if place not in with_hands)],
                  key=lambda row: row.frame)  # fmt: skip
    for row in rows:
        empty = row.frame not in with_hands
        yield {**_place(run, row.frame), **({"kind": "no hand"} if empty else _hand_line(row))}


def _hand_line(row: Row) -> dict[str, Any]:
    px = known_errors(row.px)
    return {
        "kind": row.kind,
        "hand": row.hand + 1 if row.is_labelled else "",
        "side": row.side or "",
        "said_side": row.said_side or "",
        "track_id": row.track_id or "",
        "score": _text(row.score, 4),
        "keypoints_px": _mean(px, 2),
        "keypoints_box": _mean(px / row.box_px, 4),
        "pck_0.2": _mean((px / row.box_px <= 0.2).astype(float), 4),
        "wrist_aligned_mm": _mean(1e3 * known_errors(row.wrist), 3),
        "aligned_mm": _mean(1e3 * known_errors(row.pa), 3),
        "absolute_mm": _mean(1e3 * known_errors(row.absolute), 3),
        "absolute_wrist_mm": _text(1e3 * float(row.absolute[0]), 3),
        "grasp": _bool(row.grasp),
        "said_grasp": _bool(row.said_grasp),
        "grasp_probability": _text(row.probability, 4),
    }


def _bop_lines(scene: int, run: Judged, numbers: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    for frame in run.frames:
        for hand in frame.result.hands:
            held = hand.held_object
            if held is None or held.T_camera_object is None or held.object_id not in numbers:
                continue
            T = held.T_camera_object
            yield {
                "scene_id": scene,
                "im_id": frame.index,
                "obj_id": numbers[held.object_id],
                "score": _text(held.score, 4),
                "R": " ".join(f"{value:.6f}" for value in T[:3, :3].ravel()),
                "t": " ".join(f"{1e3 * value:.3f}" for value in T[:3, 3]),
                "time": UNKNOWN_TIME,
            }


def _place(run: Judged, place: int) -> dict[str, Any]:
    frame = run.frames[min(place, len(run.frames) - 1)]
    return {"run": run.name, "source": frame.source, "index": frame.index, "stamp": _text(frame.stamp, 6)}


def _csv(fields: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _mean(values: Any, decimals: int) -> str:
    return _text(float(values.mean()), decimals) if len(values) else ""


def _text(value: float | None, decimals: int) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def _bool(value: bool | None) -> str:
    return "" if value is None else str(int(value))
