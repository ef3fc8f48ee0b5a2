"""Does seeing several views in training help a network of one? SiMA-Hand's tables 3, 5 and 6 on our scenes: a teacher,
students with and without its help and without each part, by how much of the hand is hidden."""

import csv
import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput, MissingDependency
from prehend.files import replace_text
from prehend_training.data.stores.open import DataSource, describe_data
from prehend_training.experiments.ablation import spread
from prehend_training.storage.shards import commit
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run
from prehend_training.train.tasks.sima import SimaPreset
from prehend_training.train.tasks.sima_presets import SIMA_ROWS, TEACHER, sima_row

SCHEMA = "prehend.views_table/1"
MEASURES = {
    "PA J-PE": "aligned_joint_error_mm",
    "PA V-PE": "aligned_vertex_error_mm",
    "J-PE": "joint_error_mm",
    "V-PE": "vertex_error_mm",
    "PA J-PE 0-25 % hidden": "by_hidden/0-25/aligned_joint_error_mm",
    "PA J-PE 25-50 %": "by_hidden/25-50/aligned_joint_error_mm",
    "PA J-PE 50-100 %": "by_hidden/50-100/aligned_joint_error_mm",
    "J-PE 50-100 %": "by_hidden/50-100/joint_error_mm",
    "rotation [deg]": "rotation_error_deg",
}
"""Columns, and where `evaluate_views` has them."""
_DRAWN = ("PA J-PE", "J-PE", "PA J-PE 50-100 %", "J-PE 50-100 %")
FEWER = ("2", "4")
"""Views of further rows of the teacher."""

Report = dict[str, Any]


@dataclass(frozen=True)
class ViewsTable:
    """What is compared.

    Attributes:
        base: name of a student's preset, `sima-s` or `sima-xs`.
        data: rendered views, without the held-out things and skins (`scenes --asset-split training`).
        held_out: folders of views with them alone.
        steps: budget of every run.
        seeds: each row is trained once with each; a student with the teacher of its seed.
        rows: names of `SIMA_ROWS`.
        start: runs or files that all rows start from.
    """

    base: str
    data: DataSource
    held_out: Sequence[Path]
    steps: int
    seeds: Sequence[int]
    rows: Sequence[str] = tuple(SIMA_ROWS)
    start: Sequence[Path] = ()


def run_views_table(table: ViewsTable, out: Path, machine: Machine, until_s: float = math.inf) -> Report:
    """Train and measure every row with every seed; what is complete in `out` is not done again, what was stopped goes
    on.

    Args:
        table: what is compared.
        out: folder of the plan, the runs and the report.
        machine: what to train with.
        until_s: reading of `time.monotonic` at which to save and leave, to go on later; the report has what is done.

    Returns:
        The report, also in views.json, .csv, .md and .png.

    Raises:
        InvalidInput: a row is not there, or the folder holds the plan of another table.
        MissingDependency: matplotlib is not installed.
    """
    for row in table.rows:
        _preset_of(table.base, row)
    write_plan(table, out)
    measured: dict[str, dict[int, Report]] = {row: {} for row in table.rows}
    for row, seed in _order(table):
        run = out / f"{row}-{seed}"
        note = run / "measured.json"
        if not note.exists() and time.monotonic() < until_s:
            _train_and_measure(table, row, seed, out, machine, until_s)
        if note.exists():
            measured[row][seed] = json.loads(note.read_text())
    report = {
        "schema": SCHEMA,
        **_plan(table),
        "commit": commit(),
        "table": list(_rows(table, measured)),
        "missing": [f"{row}-{seed}" for row, seed in _order(table) if seed not in measured[row]],
    }
    write_report(report, out)
    return report


def write_plan(table: ViewsTable, out: Path) -> None:
    """Write what will be run to plan.json before anything is.

    Raises:
        InvalidInput: the folder holds another plan.
    """
    note, plan = out / "plan.json", json.loads(json.dumps(_plan(table)))
    out.mkdir(parents=True, exist_ok=True)
    if note.exists():
        begun = json.loads(note.read_text())
        if differ := sorted(key for key in plan.keys() | begun.keys() if plan.get(key) != begun.get(key)):
            raise InvalidInput(f"{out} holds another table ({', '.join(differ)} differ): choose another folder")
    replace_text(note, json.dumps(plan, indent=1) + "\n")


def _plan(table: ViewsTable) -> dict[str, Any]:
    chosen = {row: _preset_of(table.base, row) for row in table.rows}
    return {
        "base": table.base,
        "steps": table.steps,
        "seeds": list(table.seeds),
        "rows": list(table.rows),
        "samples_a_run": {row: table.steps * one.optimisation.batch_size for row, one in chosen.items()},
        "data": describe_data(table.data),
        "held_out": [str(path) for path in table.held_out],
        "start": [str(path) for path in table.start],
    }


def _order(table: ViewsTable) -> list[tuple[str, int]]:
    """Whole sets of rows first: a comparison that was stopped has something to compare. Teachers before students."""
    rows = sorted(table.rows, key=lambda row: row != TEACHER)
    return [(row, seed) for seed in table.seeds for row in rows]


def _preset_of(base: str, row: str) -> SimaPreset:
    if row not in SIMA_ROWS:
        raise InvalidInput(f"no row '{row}': choose of {', '.join(SIMA_ROWS)}")
    chosen = preset(sima_row(base, row))
    if not isinstance(chosen, SimaPreset):
        raise InvalidInput(f"'{base}' is no preset of SiMA-Hand: choose sima-s or sima-xs")
    return chosen


def _train_and_measure(table: ViewsTable, row: str, seed: int, out: Path, machine: Machine, until_s: float) -> None:
    """Go on with a run; measure it where it has come to its end."""
    from prehend_training.evaluate.network import note_measured, open_measured
    from prehend_training.evaluate.views import evaluate_views

    chosen, run = replace(_preset_of(table.base, row), seed=seed), out / f"{row}-{seed}"
    teacher = out / f"{TEACHER}-{seed}" if chosen.needs_teacher else None
    if teacher is not None and not (teacher / "measured.json").exists():
        if TEACHER in table.rows:
            return  # its teacher was stopped
        raise InvalidInput(f"row '{row}' learns from a teacher: put '{TEACHER}' among the rows")
    training = Training(chosen, table.data, run, Budget(steps=table.steps), table.start, teacher)
    if not training.done:
        train_run(training, machine, until_s)
    if training.done:
        note_measured(run, evaluate_views(open_measured(run).backend, table.held_out))


def _rows(table: ViewsTable, measured: dict[str, dict[int, Report]]) -> Iterator[Report]:
    """A row for each of the table's; the teacher's from fewer views too."""
    for row in table.rows:
        reports = [measured[row].get(seed) for seed in table.seeds]
        yield _row(row, SIMA_ROWS[row].words + (", eight views" if row == TEACHER else ""), reports)
        if row == TEACHER:
            for count in FEWER:
                fewer = [None if report is None else report["views"][count] for report in reports]
                yield _row(f"{row}-{count}", f"the same, {count} views", fewer)


def _row(name: str, words: str, reports: Sequence[Report | None]) -> Report:
    return {
        "row": name,
        "what": words,
        "measures": {title: [_at(report, place) for report in reports] for title, place in MEASURES.items()},
        "hands_hidden_by_half": [_at(report, "by_hidden/50-100/hands") for report in reports],
    }


def _at(report: Report | None, place: str) -> float | None:
    value: Any = report
    for key in place.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def markdown(report: Report) -> str:
    """The table: mean and standard deviation over the seeds, in millimetres where nothing else is said."""
    lines = [
        f"{report['base']}, {report['steps']} steps a run, seeds {', '.join(map(str, report['seeds']))}; mm, mean "
        "and standard deviation over the seeds",
        "",
        "| row | | " + " | ".join(MEASURES) + " |",
        "|---|---|" + "---|" * len(MEASURES),
    ]
    for row in report["table"]:
        cells = [_cell(row["measures"][name]) for name in MEASURES]
        lines.append(f"| {row['row']} | {row['what']} | " + " | ".join(cells) + " |")
    if report["missing"]:
        lines += ["", f"Not run: {', '.join(report['missing'])}."]
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float | None]) -> str:
    mean, deviation = spread(values)
    if math.isnan(mean):
        return "-"
    return f"{mean:.2f}" if math.isnan(deviation) else f"{mean:.2f} ± {deviation:.2f}"


def write_report(report: Report, out: Path) -> None:
    """Write views.json, .csv (a line a run), .md and .png.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    replace_text(out / "views.json", json.dumps(report, indent=1) + "\n")
    replace_text(out / "views.md", markdown(report))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *MEASURES])
    for row in report["table"]:
        for number, seed in enumerate(report["seeds"]):
            writer.writerow([row["row"], seed, *(row["measures"][name][number] for name in MEASURES)])
    replace_text(out / "views.csv", text.getvalue())
    _plot(report, out / "views.png")


def _plot(report: Report, path: Path) -> None:
    """A panel a measure: every seed as a dot, the mean as a bar."""
    try:
        figure_module = import_module("matplotlib.figure")
    except ImportError:
        raise MissingDependency("matplotlib", "plots", "prehend-train views-table") from None
    figure = figure_module.Figure(figsize=(13, 3.6), layout="constrained")
    names = [row["row"] for row in report["table"]]
    for panel, measure in zip(figure.subplots(1, len(_DRAWN)), _DRAWN, strict=True):
        for place, row in enumerate(report["table"]):
            known = [value for value in row["measures"][measure] if value is not None]
            panel.plot([place] * len(known), known, "o", color="0.6", markersize=3)
            if known:
                panel.plot([place], [sum(known) / len(known)], "_", color="#b8434e", markersize=16, markeredgewidth=2)
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
        panel.set_title(measure)
        panel.set_ylabel("mm")
    figure.savefig(path, dpi=110)
