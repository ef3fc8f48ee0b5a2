"""From the scores of many hands to one report: means per group, as JSON and CSV."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput, OutputError
from prehend.eval.metrics import PCK_THRESHOLDS_M, auc, classification, hit
from prehend.eval.papers.protocols import Protocol, Scene
from prehend.files import reason, replace_text

SCHEMA = "prehend.evaluation/2"
"""Of the JSON file. `docs/EVALUATION.md` describes it."""

Report = dict[str, Any]
Table = Mapping[str, NDArray[Any]]
Mask = NDArray[np.bool_]

_LENGTHS_MM = {
    "j_pe_mm": "j_pe",
    "v_pe_mm": "v_pe",
    "pa_j_pe_mm": "pa_j_pe",
    "pa_v_pe_mm": "pa_v_pe",
    "absolute_j_pe_mm": "absolute",
    "absolute_wrist_mm": "absolute_root",
}
_CURVES = {"j_auc": "j_pck", "v_auc": "v_pck", "pa_j_auc": "pa_j_pck", "pa_v_auc": "pa_v_pck"}


def column_of(table: Table, protocol: Protocol) -> Report:
    """One column of a report: all measures of one way to find hands.

    Args:
        table: of `cases.table_of`.
        protocol: which groups are told.

    Returns:
        `hands`, `answered` (share), `scenes`, `occlusion`, `grasp`, `side_accuracy`, `objects` and `curves`; lengths in
        mm, shares in percent, None where nothing is known.

    Raises:
        InvalidInput: the table has no hand.
    """
    if not len(table["answered"]):
        raise InvalidInput("there is no labelled hand to measure")
    bins = {
        bin_name(low, high): hand_group(table, hidden_between(table["hidden"], low, high))
        for low, high in protocol.occlusion_bins
    }
    return {
        "hands": len(table["answered"]),
        "answered": _percent(table["answered"]),
        "side_accuracy": _percent(table["side_right"]),
        "scenes": {scene: hand_group(table, in_scene(table, scene)) for scene in protocol.scenes},
        "occlusion": bins,
        "grasp": grasp_group(table),
        "objects": object_groups(table, protocol),
        "curves": curves(table),
    }


def in_scene(table: Table, scene: Scene) -> Mask:
    """(N,) which hands belong to a scene."""
    wanted = {"all": slice(None), "hand-only": 0.0, "hand-object": 1.0}[scene]
    if isinstance(wanted, slice):
        return np.ones(len(table["grasp"]), bool)
    return np.asarray(table["grasp"] == wanted)


def hidden_between(hidden: NDArray[Any], low: float, high: float) -> Mask:
    """(N,) low <= hidden < high; hands that are hidden altogether are in the bin that ends with 1."""
    return np.asarray((hidden >= low) & ((hidden < high) | ((high == 1.0) & (hidden == 1.0))))


def bin_name(low: float, high: float) -> str:
    """Name of an occlusion bin: "25-50"."""
    return f"{100 * low:.0f}-{100 * high:.0f}"


def hand_group(table: Table, rows: Mask) -> Report:
    """Means over some hands; those without an answer count in `hands` alone."""
    group: Report = {"hands": int(rows.sum()), "answered": _percent(table["answered"][rows])}
    for name, column in _LENGTHS_MM.items():
        group[name] = _mean(1000 * table[column][rows])
    for name, column in _CURVES.items():
        group[name] = _percent(auc(table[column][rows]))
    for prefix, column in (("", "f"), ("pa_", "pa_f")):
        for k, threshold in enumerate((5, 15)):
            group[f"{prefix}f{threshold}"] = _percent(table[column][rows][:, k])
    group["j_pe_median_mm"] = _median(1000 * table["j_pe"][rows])
    group["absolute_j_pe_median_mm"] = _median(1000 * table["absolute"][rows])
    group["keypoint_error_box"] = _mean(table["keypoint_error_box"][rows], 4)
    group["visibility_accuracy"] = _percent(table["visibility_right"][rows])
    group["rotation_error_deg"] = _mean(np.degrees(table["turn_error_rad"][rows]))
    return group


def grasp_group(table: Table) -> Report:
    """Accuracy, precision, recall and F1 of the grasp answer, over the hands whose label and answer are known."""
    known = np.isfinite(table["grasp"]) & np.isfinite(table["said_grasp"])
    counts = classification(table["grasp"][known] > 0, table["said_grasp"][known] > 0)
    rates = {name: None if value is None else round(100 * value, 2) for name, value in counts.items()}
    return {"hands": int(known.sum()), **rates}


def object_groups(table: Table, protocol: Protocol) -> Report:
    """ADD(-S) and reprojection over hands that truly grasp: of each object, and of all samples together.

    Hands without an answer, and objects without a pose, are misses.
    """
    grasping = (table["object_id"] != "") & np.isfinite(table["diameter"])
    present = sorted(set(table["object_id"][grasping].tolist()))
    names = protocol.objects or tuple(present)
    by_object = {name: _object_group(table, grasping & (table["object_id"] == name), protocol) for name in names}
    return {"by_object": by_object, "all": _object_group(table, grasping, protocol)}


def _object_group(table: Table, rows: Mask, protocol: Protocol) -> Report:
    add, diameter = table["add"][rows], table["diameter"][rows]
    said = table["said_grasp"][rows] == 1
    group: Report = {"samples": int(rows.sum()), "posed": _percent(np.isfinite(add).astype(float))}
    for factor in protocol.add_factors:
        right = hit(add, diameter, factor)
        group[f"add_{factor:g}d"] = _percent(right.astype(float))
        # what a robot gets: no pose where the switcher denies the grasp
        group[f"add_{factor:g}d_if_said"] = _percent((right & said).astype(float))
        group[f"add_plain_{factor:g}d"] = _percent(hit(table["add_plain"][rows], diameter, factor).astype(float))
    finite = np.isfinite(add)
    group["add_mm_of_posed"] = _mean(1000 * add[finite])
    for limit in protocol.reprojection_px:
        group[f"reprojection_{limit:g}px"] = _percent((table["reprojection_px"][rows] <= limit).astype(float))
    return group


def curves(table: Table) -> Report:
    """PCK at each threshold [percent], of all hands with an answer."""
    known = table["answered"] > 0
    values = {column: table[column][known] for column in _CURVES.values()}
    means: Report = {
        name: None if not np.isfinite(rows).any() else np.round(100 * np.nanmean(rows, axis=0), 3).tolist()
        for name, rows in values.items()
    }
    return {"thresholds_mm": np.round(1000 * PCK_THRESHOLDS_M, 4).tolist(), **means}


def write_json(report: Report, path: Path) -> Path:
    """Write a report.

    Raises:
        OutputError: the file cannot be written.
    """
    return _write(path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def write_csv(report: Report, path: Path) -> Path:
    """Write the groups of a report as rows: column, kind (scene, occlusion, object), group, and one field a measure.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = []
    for name, column in report["columns"].items():
        for kind in ("scenes", "occlusion"):
            rows += [{"column": name, "kind": kind, "group": group, **values} for group, values in column[kind].items()]
        things = {**column["objects"]["by_object"], "all": column["objects"]["all"]}
        rows += [{"column": name, "kind": "objects", "group": group, **values} for group, values in things.items()]
    fields = list(dict.fromkeys(field for row in rows for field in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return _write(path, text.getvalue())


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error
    replace_text(path, text)
    return path


def _mean(values: NDArray[Any], digits: int = 2) -> float | None:
    """Mean of what is known, None where nothing is."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return round(float(known.mean()), digits) if len(known) else None


def _median(values: NDArray[Any]) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 2) if len(known) else None


def _percent(shares: NDArray[Any]) -> float | None:
    return _mean(100 * np.asarray(shares, np.float64))
