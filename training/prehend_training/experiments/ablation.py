"""Does each step of UniHOPE help here? Table 7 of the paper on our scenes: the same budget for every row, several
seeds, things and skins that training has not seen."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput, MissingDependency
from prehend.files import replace_text
from prehend_training.data.stores.open import DataSource
from prehend_training.storage.shards import commit
from prehend_training.train.loop.checkpoint import Progress
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import ABLATION_ROWS, preset, row_name
from prehend_training.train.runs import Training, log_lines, train_run
from prehend_training.train.tasks.crops import CropPreset

SCHEMA = "prehend.ablation/1"
MEASURES = {
    "J-PE": "joint_error_mm",
    "V-PE": "vertex_error_mm",
    "PA J-PE": "aligned_joint_error_mm",
    "PA V-PE": "aligned_vertex_error_mm",
    "J-PE hand-only": "joint_error_mm_by_scene/hand-only",
    "J-PE hand-object": "joint_error_mm_by_scene/hand-object",
    "J-PE 50-75 % hidden": "joint_error_mm_by_hidden/50-75",
}
"""Columns in millimetres, and where `evaluate_crops` has them."""

_DRAWN = ("J-PE", "PA J-PE", "J-PE hand-only", "J-PE hand-object")

Report = dict[str, Any]


@dataclass(frozen=True)
class Ablation:
    """What is compared.

    Attributes:
        base: name of a crop preset with ablation rows.
        data: crops with twins, without the held-out things and skins (`scenes --asset-split training`).
        held_out: folders of crops with them alone (`scenes --asset-split held-out`).
        steps: budget of every run.
        seeds: each row is trained once with each.
        rows: letters of the paper's rows.
        start: runs that all rows start from.
    """

    base: str
    data: DataSource
    held_out: Sequence[Path]
    steps: int
    seeds: Sequence[int]
    rows: str
    start: Sequence[Path] = ()


def run_ablation(ablation: Ablation, out: Path, machine: Machine) -> Report:
    """Train and measure every row with every seed; runs in `out` that are complete are not trained again.

    Args:
        ablation: what is compared.
        out: folder of the runs and of the report.
        machine: what to train with.

    Returns:
        The report, also in ablation.json, .csv, .md and .png.

    Raises:
        InvalidInput: the preset has no rows, or a row is not one of the paper's.
        MissingDependency: matplotlib is not installed.
    """
    chosen = [_variant(ablation.base, letter) for letter in ablation.rows]
    measured: dict[str, list[Report]] = {letter: [] for letter in ablation.rows}
    for seed in ablation.seeds:  # whole sets of rows first: a comparison that was stopped has something to compare
        for letter, variant in zip(ablation.rows, chosen, strict=True):
            run = out / f"{letter}-{seed}"
            measured[letter].append(_measured(ablation, replace(variant, seed=seed), run, machine))
    report = {
        "schema": SCHEMA,
        "base": ablation.base,
        "steps": ablation.steps,
        "seeds": list(ablation.seeds),
        "held_out": [str(path) for path in ablation.held_out],
        "start": [str(path) for path in ablation.start],
        "commit": commit(),
        "rows": [_row(letter, measured[letter]) for letter in ablation.rows],
    }
    write_report(report, out)
    return report


def _variant(base: str, letter: str) -> CropPreset:
    if letter not in ABLATION_ROWS:
        raise InvalidInput(f"no row '{letter}': choose of {''.join(ABLATION_ROWS)}")
    chosen = preset(row_name(base, letter))
    assert isinstance(chosen, CropPreset)
    return chosen


def _measured(ablation: Ablation, variant: CropPreset, run: Path, machine: Machine) -> Report:
    """Train a run to its end and measure it, unless that was done before."""
    from prehend_training.evaluate.network import open_measured
    from prehend_training.evaluate.reports import evaluate_crops

    note = run / "measured.json"
    if not note.exists():
        if _steps_done(run) < ablation.steps:
            budget = Budget(steps=ablation.steps)
            train_run(Training(variant, ablation.data, run, budget, ablation.start), machine)
        summary = evaluate_crops(open_measured(run), ablation.held_out).summary
        replace_text(note, json.dumps(summary, indent=1) + "\n")
    # a run of a few steps has no line
    speeds = [line["samples_per_s"] for line in log_lines(run)] if (run / "log.jsonl").exists() else []
    summary = json.loads(note.read_text())
    return summary | {"samples_per_s": round(float(np.median(speeds)), 1) if speeds else None}


def _steps_done(run: Path) -> int:
    note = run / "checkpoint" / "progress.json"
    return Progress(**json.loads(note.read_text())).step if note.exists() else 0


def _row(letter: str, measured: Sequence[Report]) -> Report:
    return {
        "row": letter,
        "what": ABLATION_ROWS[letter].words,
        "measures": {name: [_at(report, place) for report in measured] for name, place in MEASURES.items()},
        "grasp_accuracy": [report["grasp"]["accuracy"] for report in measured],
        "samples_per_s": [report["samples_per_s"] for report in measured],
    }


def _at(report: Report, place: str) -> float | None:
    value: Any = report
    for key in place.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def spread(values: Sequence[float | None]) -> tuple[float, float]:
    """Mean and standard deviation (of a sample) of the values that are there; NaN where they are too few."""
    known = np.array([value for value in values if value is not None], np.float64)
    deviation = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return (float(known.mean()) if len(known) else float("nan")), deviation


def markdown(report: Report) -> str:
    """The paper's table with our rows: mean and standard deviation over the seeds, in millimetres, and grasps."""
    lines = [
        f"{report['base']}, {report['steps']} steps a run, seeds {', '.join(map(str, report['seeds']))}; mm, mean "
        "and standard deviation over the seeds",
        "",
        "| row | | " + " | ".join(MEASURES) + " | grasp acc. % | samples/s |",
        "|---|---|" + "---|" * (len(MEASURES) + 2),
    ]
    for row in report["rows"]:
        cells = ["{:.1f} ± {:.1f}".format(*spread(row["measures"][name])) for name in MEASURES]
        grasp = "{:.1f} ± {:.1f}".format(*(100 * value for value in spread(row["grasp_accuracy"])))
        speed = spread(row["samples_per_s"])[0]
        lines.append(f"| ({row['row']}) | {row['what']} | " + " | ".join(cells) + f" | {grasp} | {speed:.0f} |")
    return "\n".join(lines) + "\n"


def write_report(report: Report, out: Path) -> None:
    """Write ablation.json, .csv (a line a run), .md and .png.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    (out / "ablation.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "ablation.md").write_text(markdown(report))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *MEASURES])
    for row in report["rows"]:
        for number, seed in enumerate(report["seeds"]):
            writer.writerow([row["row"], seed, *(row["measures"][name][number] for name in MEASURES)])
    (out / "ablation.csv").write_text(text.getvalue())
    _plot(report, out / "ablation.png")


def _plot(report: Report, path: Path) -> None:
    """A panel a measure: every seed as a dot, lines join the same seed, the mean as a bar."""
    try:
        figure_module = import_module("matplotlib.figure")
    except ImportError:
        raise MissingDependency("matplotlib", "plots", "prehend-train ablate") from None
    figure = figure_module.Figure(figsize=(12, 3.2), layout="constrained")
    letters = [row["row"] for row in report["rows"]]
    for panel, name in zip(figure.subplots(1, len(_DRAWN)), _DRAWN, strict=True):
        table: NDArray[np.float64] = np.array([row["measures"][name] for row in report["rows"]], np.float64)
        panel.plot(letters, table, "o-", color="0.7", markersize=3, linewidth=0.8)
        panel.plot(letters, table.mean(1), "_", color="#b8434e", markersize=22, markeredgewidth=2)
        panel.set_title(name)
        panel.set_ylabel("mm")
    figure.savefig(path, dpi=110)
