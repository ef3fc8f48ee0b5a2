"""Reports on photographs and clips as tables for people, what a user gets first: own detector, then given boxes."""

from collections.abc import Mapping, Sequence
from typing import Any

from prehend.eval.papers.tables import Cell, markdown_table

Report = Mapping[str, Any]

COLUMN_NAMES = {"detector": "own detector", "boxes": "boxes given", "peer": "peer"}

_FIRST = ("found", "pck_all", "root_mm", "absolute_mm")
_TITLES = {
    "found": "found", "pck_all": "PCK", "root_mm": "wrist-aligned [mm]", "absolute_mm": "absolute [mm]",
    "pa_mm": "PA [mm]", "side": "side", "false_a_picture": "false a picture", "pck": "PCK of found",
    "nme": "nme", "error_px": "px", "answered": "answered", "n3d": "with 3D",
}  # fmt: skip
_FULL = (*_FIRST, "false_a_picture", "side", "pa_mm", "pck", "nme", "error_px", "answered", "n3d")


def photo_tables(report: Report) -> str:
    """Every table of a report on photographs and clips."""
    parts = [f"# {report['model']['name']} on photographs", _notes(report)]
    if report.get("columns"):
        parts += [readme_table(report), _full_table(report)]
        for name, column in report["columns"].items():
            if column.get("scores"):
                parts.append(_scores_table(name, column["scores"]))
        parts.append(_calibration(report["calibration"]))
    for folder, told in report.get("looked_at", {}).items():
        counts = ", ".join(f"{count} with {hands}" for hands, count in told["pictures_with_hands"].items())
        parts.append(f"{folder}: {told['pictures']} images, hands found: {counts}")
    if report.get("clips"):
        parts.append(_clip_table(report["clips"]))
    if report.get("stereo"):
        parts.append(_stereo_line(report["stereo"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def readme_table(report: Report) -> str:
    """One row a set: with its own detector found, PCK, wrist-aligned and absolute error first, then with boxes, then a
    peer's.

    The first column of each block says what it is of. PCK is over all labels, a hand that was not found counts as
    wrong. "~" marks distances with assumed cameras.
    """
    blocks: list[tuple[str, tuple[str, ...]]] = [("detector", (*_FIRST, "side", "false_a_picture"))]
    blocks += [("boxes", ("pck_all", "pa_mm", "root_mm", "absolute_mm")), ("peer", ("found", "pck_all", "pa_mm"))]
    blocks = [(name, measures) for name, measures in blocks if name in report["columns"]]
    headings = [
        _TITLES[key] if k else f"{COLUMN_NAMES[name]}: {_TITLES[key]}"
        for name, measures in blocks
        for k, key in enumerate(measures)
    ]
    rows = []
    for name in _set_names(report):
        groups = [(_set(report, column, name), measures) for column, measures in blocks]
        rows.append((_set_title(report, name), [_cell(group, key) for group, measures in groups for key in measures]))
    return markdown_table(["photographs (labels)", *headings], rows)


def _notes(report: Report) -> str:
    lines = [f"weights {report['model']['weights_sha256'][:12]}"]
    if report.get("detector"):
        lines.append(f"detector {report['detector']['name']} {report['detector']['weights_sha256'][:12]}")
    for name, column in report.get("columns", {}).items():
        if "time_ms" in column:
            lines.append(f"{COLUMN_NAMES[name]} {column['time_ms']['median']:.1f} ms an image (median)")
    return "; ".join(lines)


def _full_table(report: Report) -> str:
    rows: list[tuple[str, Sequence[Cell]]] = []
    for name in _set_names(report):
        for column in report["columns"]:
            group = _set(report, column, name)
            if group:
                title = f"{_set_title(report, name)}, {COLUMN_NAMES[column]}"
                rows.append((title, [_cell(group, key) for key in _FULL]))
    return "## All measures\n\n" + markdown_table(["photographs (labels)", *(_TITLES[key] for key in _FULL)], rows)


def _scores_table(column: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Precision over score thresholds."""
    keys = ("answers", "precision", "recall", "false_a_picture")
    body = [(f"{row['threshold']:g}", [_cell(row, key) for key in keys]) for row in rows]
    title = f"## Scores, {COLUMN_NAMES[column]}, images in which every hand is labelled"
    return f"{title}\n\n" + markdown_table(
        ["score at least", "answers", "precision", "recall", "false a picture"], body
    )


def _calibration(calibration: Report) -> str:
    rows: list[tuple[str, Sequence[Cell]]] = [
        (name, [calibration[name]["count"], _share(calibration[name]["ece"])]) for name in ("presence", "side", "grasp")
    ]
    pairs = _share(calibration["true_above_false"])
    table = markdown_table(["score", "answers", "ECE, 10 bins"], rows)
    return f"## Calibration\n\n{table}\n\na hand scores above what is none in {pairs} of pairs"


def _clip_table(clips: Report) -> str:
    headings = [
        "clip",
        "frames",
        "with 0 / 1 / 2 / more hands",
        "track ids",
        "hands",
        "side changes (of hands)",
        "lost",
    ]
    headings += ["jitter [hand], median / p95", "wrist jitter [mm], median / p95", "frames with a false hand", "ms"]
    rows: list[tuple[str, Sequence[Cell]]] = []
    for name, clip in clips.items():
        counts = {int(count): frames for count, frames in clip["frames_with_hands"].items()}
        told = [counts.get(k, 0) for k in (0, 1, 2)] + [sum(v for k, v in counts.items() if k > 2)]
        false = clip.get("false_hands")
        cells: list[Cell] = [clip["frames"], " / ".join(map(str, told)), clip["tracks"], clip["hands"]]
        cells += [
            f"{clip['side_changes']} ({clip['side_changes_of_hands']})",
            _share(clip["lost_share"]),
            _pair(clip["jitter_hand"], 4),
        ]
        cells += [_pair(clip["wrist_jitter_mm"], 1), None]
        if false:
            cells[-1] = f"{false['frames_with_false_hands']} of {false['frames']}"
        rows.append((name, [*cells, f"{clip['time_ms']['median']:.1f}"]))
    return "## Clips\n\n" + markdown_table(headings, rows)


def _stereo_line(stereo: Report) -> str:
    pairs = {
        "joints": stereo["joints_mm"], "wrist": stereo["wrist_mm"], "joints, wrist on wrist": stereo["aligned_wrist_mm"]
    }  # fmt: skip
    told = "; ".join(f"{name} {_pair(pair, 1) or '-'} mm" for name, pair in pairs.items())
    unit = f"unit {stereo['unit_mm']} mm{', fitted' if stereo['unit_fitted'] else ''}"
    return (
        f"## Two cameras\n\n{unit}; both see a hand in {stereo['both']} of {stereo['frames']} frames; apart in the "
        f"world frame (median / p95): {told}"
    )


def _set_names(report: Report) -> list[str]:
    """In the order of the report, "all" last."""
    names = dict.fromkeys(name for column in report["columns"].values() for name in column["sets"])
    return sorted(names, key=lambda name: name == "all")


def _set(report: Report, column: str, name: str) -> Report:
    group: Report = report["columns"][column]["sets"].get(name, {})
    return group


def _set_title(report: Report, name: str) -> str:
    groups = [_set(report, column, name) for column in report["columns"]]
    labels = max((group.get("n", 0) for group in groups), default=0)
    if labels:
        return f"{name} ({labels})"
    return f"{name} (no hands, {max((group.get('pictures', 0) for group in groups), default=0)} images)"


def _cell(group: Report, key: str) -> Cell:
    value = group.get(key)
    if value is None or isinstance(value, int):
        return value
    if not key.endswith("_mm"):
        return f"{value:.1f}" if key == "error_px" else _share(value)
    assumed = key == "absolute_mm" and not group.get("cameras_given")
    return f"{'~' if assumed else ''}{value:.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _pair(spread: Mapping[str, float] | None, decimals: int) -> str | None:
    return None if spread is None else f"{spread['median']:.{decimals}f} / {spread['p95']:.{decimals}f}"
