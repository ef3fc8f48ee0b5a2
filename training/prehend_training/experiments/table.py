"""A table of experiments: arms times seeds, each trained to one budget and measured; what is complete in its folder is
not done again, what was stopped goes on.

OUT/plan.json               what will be run, written before anything is
OUT/ARM-SEED                the runs, each with measured.json once it is done
OUT/NAME.json, .md, .csv    the report: every seed's values, means with deviations, a line a run
OUT/NAME.png                a panel a measure, where matplotlib is installed
"""

import csv
import io
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prehend.errors import InvalidInput, MissingDependency
from prehend.eval.figures import figure_class, save_figure
from prehend.files import replace_text
from prehend_training.data.stores.open import DataSource, describe_data
from prehend_training.evaluate.network import note_measured
from prehend_training.storage.shards import commit
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.loop.preset import Preset
from prehend_training.train.runs import Training, log_lines, train_run

SCHEMA = "prehend.experiment_table/1"

Report = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column:
    """A measure.

    Attributes:
        title: its name and unit.
        place: where the measurement of a run has it, keys separated by slashes.
        digits: behind the point.
        factor: from what was measured to what is shown.
        drawn: whether the plot has a panel of it.
    """

    title: str
    place: str
    digits: int = 1
    factor: float = 1.0
    drawn: bool = False


@dataclass(frozen=True)
class StudyArm:
    """What is trained, once with each seed.

    Attributes:
        name: of its row and its runs.
        words: what it is.
        preset: the network and its numbers; the seed is the run's.
        data: what it learns from.
        teacher: the arm whose run of the same seed it learns from; None for none.
        further: further rows of the same runs: their name, words, and the place of their measurement in the run's.
    """

    name: str
    words: str
    preset: Preset
    data: DataSource
    teacher: str | None = None
    further: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Extent:
    """How much is run.

    Attributes:
        steps: budget of every run.
        seeds: each arm is trained once with each.
        held_out: folders to measure on.
        start: runs or files that all runs start from.

    Raises:
        InvalidInput: there is no seed or no step.
    """

    steps: int
    seeds: Sequence[int]
    held_out: Sequence[Path]
    start: Sequence[Path] = ()

    def __post_init__(self) -> None:
        if not self.seeds or self.steps < 1:
            raise InvalidInput("a table needs one seed and one step at least")


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        name: of the files of the report.
        arms: what is trained.
        columns: what is told of each.
        extent: how much is run.
        measure: the measurement of a run that is done.
        about: what else the plan has to tell.

    Raises:
        InvalidInput: an arm learns from one that is not there, or two have one name.
    """

    name: str
    arms: Sequence[StudyArm]
    columns: Sequence[Column]
    extent: Extent
    measure: Callable[[Path], Report]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise InvalidInput(f"row '{twice[0]}' is given twice: name each row once")
        for arm in self.arms:
            if arm.teacher not in {None, *names}:
                raise InvalidInput(f"row '{arm.name}' learns from a teacher: put '{arm.teacher}' among the rows")

    def runs(self) -> Iterator[tuple[StudyArm, int, str]]:
        """Arm, seed and name of every run, teachers first.

        Whole sets of arms: a table that was stopped has something to compare.
        """
        teachers = {arm.teacher for arm in self.arms}
        arms = sorted(self.arms, key=lambda arm: arm.name not in teachers)
        return ((arm, seed, f"{arm.name}-{seed}") for seed in self.extent.seeds for arm in arms)


def run_table(table: Study, out: Path, machine: Machine, until_s: float = math.inf) -> Report:
    """Train and measure every arm with every seed.

    Args:
        table: what is compared.
        out: folder of the plan, the runs and the report.
        machine: what to train with.
        until_s: reading of `time.monotonic` at which to save and leave, to go on later; the report has what is done.

    Returns:
        The report, see `markdown`.

    Raises:
        InvalidInput: the folder holds the plan of another table.
        AssetError: data or weights are missing.
    """
    plan = write_plan(table, out)
    for arm, seed, run in table.runs():
        if not (out / run / "measured.json").exists() and time.monotonic() < until_s:
            _train_and_measure(table, arm, seed, out, machine, until_s)
    notes = {run: out / run / "measured.json" for _, _, run in table.runs()}
    measured = {run: json.loads(note.read_text()) for run, note in notes.items() if note.exists()}
    report = {
        "schema": SCHEMA,
        **plan,
        "commit": commit(),
        "columns": [asdict(column) for column in table.columns],
        "rows": list(_rows(table, measured)),
        "missing": [run for run in notes if run not in measured],
    }
    write_report(report, out)
    return report


def write_plan(table: Study, out: Path) -> Report:
    """Write what will be run to plan.json before anything is.

    Raises:
        InvalidInput: the folder holds another plan; seeds and arms may be added to one.
    """
    extent, note = table.extent, out / "plan.json"
    samples = {arm.name: extent.steps * arm.preset.optimisation.batch_size for arm in table.arms}
    told = {
        "table": table.name,
        "steps": extent.steps,
        "seeds": list(extent.seeds),
        "samples_a_run": samples,
        "data": {arm.name: describe_data(arm.data) for arm in table.arms},
        "held_out": [str(path) for path in extent.held_out],
        "start": [str(path) for path in extent.start],
        **table.about,
    }
    plan: Report = json.loads(json.dumps(told))
    out.mkdir(parents=True, exist_ok=True)
    if note.exists():
        begun = json.loads(note.read_text())
        if differ := sorted(
            key for key in (plan.keys() | begun.keys()) - {"seeds"} if _differ(plan.get(key), begun.get(key))
        ):
            raise InvalidInput(f"{out} holds another table ({', '.join(differ)} differ): choose another folder")
    replace_text(note, json.dumps(plan, indent=1) + "\n")
    return plan


def _differ(one: Any, other: Any) -> bool:
    """Of what is told of each arm, those that both have."""
    if isinstance(one, dict) and isinstance(other, dict):
        return any(one[arm] != other[arm] for arm in one.keys() & other.keys())
    return bool(one != other)


def _train_and_measure(table: Study, arm: StudyArm, seed: int, out: Path, machine: Machine, until_s: float) -> None:
    """Go on with a run; measure it where it has come to its end."""
    run = out / f"{arm.name}-{seed}"
    teacher = None if arm.teacher is None else out / f"{arm.teacher}-{seed}"
    if teacher is not None and not (teacher / "measured.json").exists():
        return  # it was stopped
    preset = replace(arm.preset, seed=seed)  # type: ignore[type-var]
    training = Training(preset, arm.data, run, Budget(steps=table.extent.steps), table.extent.start, teacher)
    if not training.done:
        train_run(training, machine, until_s)
    if training.done:
        note_measured(run, table.measure(run) | {"samples_per_s": _speed(run)})


def _speed(run: Path) -> float | None:
    """Samples a second of a run; None where it was too short for a line in its log."""
    speeds = [line["samples_per_s"] for line in log_lines(run)] if (run / "log.jsonl").exists() else []
    return round(float(np.median(speeds)), 1) if speeds else None


def _rows(table: Study, measured: Mapping[str, Report]) -> Iterator[Report]:
    """A row for each arm, and those that look further into the same runs."""
    for arm in table.arms:
        reports = [measured.get(f"{arm.name}-{seed}") for seed in table.extent.seeds]
        for name, words, inside in ((arm.name, arm.words, ""), *arm.further):
            within = [_at(report, inside) for report in reports]
            measures = {column.title: [_at(one, column.place) for one in within] for column in table.columns}
            yield {"row": name, "what": words, "measures": measures}


def _at(report: Any, place: str) -> Any:
    """What a report has at a place; None where it has nothing there."""
    value = report
    for key in filter(None, place.split("/")):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def spread(values: Sequence[float | None]) -> tuple[float, float]:
    """Mean and standard deviation (of a sample) of the values that are there; NaN where they are too few."""
    known = np.array([value for value in values if value is not None], np.float64)
    deviation = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return (float(known.mean()) if len(known) else float("nan")), deviation


def markdown(report: Report) -> str:
    """The table: mean and standard deviation over the seeds."""
    columns = [Column(**column) for column in report["columns"]]
    lines = [
        f"{report['steps']} steps a run, seeds {', '.join(map(str, report['seeds']))}; mm where nothing else is said, "
        "mean and standard deviation over the seeds",
        "",
        "| row | | " + " | ".join(column.title for column in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for row in report["rows"]:
        cells = [_cell(column, row["measures"][column.title]) for column in columns]
        lines.append(f"| {row['row']} | {row['what']} | " + " | ".join(cells) + " |")
    if report["missing"]:
        lines += ["", f"Not run: {', '.join(report['missing'])}."]
    return "\n".join(lines) + "\n"


def _cell(column: Column, values: Sequence[float | None]) -> str:
    mean, deviation = (column.factor * value for value in spread(values))
    if math.isnan(mean):
        return "-"
    text = f"{mean:.{column.digits}f}"
    return text if math.isnan(deviation) else f"{text} ± {deviation:.{column.digits}f}"


def write_report(report: Report, out: Path) -> None:
    """Write NAME.json, .md and .csv, and NAME.png where matplotlib is installed."""
    name, text = report["table"], io.StringIO()
    replace_text(out / f"{name}.json", json.dumps(report, indent=1) + "\n")
    replace_text(out / f"{name}.md", markdown(report))
    titles = [column["title"] for column in report["columns"]]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *titles])
    for row in report["rows"]:
        for number, seed in enumerate(report["seeds"]):
            writer.writerow([row["row"], seed, *(row["measures"][title][number] for title in titles)])
    replace_text(out / f"{name}.csv", text.getvalue())
    _plot(report, out / f"{name}.png")


def _plot(report: Report, path: Path) -> None:
    """A panel for each measure that is drawn: every seed as a dot, the mean as a bar."""
    try:
        figure_of = figure_class("plots of experiments")
    except MissingDependency:
        logger.warning("%s is not drawn: pip install 'prehend-hands[plots]', then the same command again", path)
        return
    drawn = [column for column in report["columns"] if column["drawn"]]
    if not drawn:
        return
    figure = figure_of(figsize=(0.5 + 3.2 * len(drawn), 3.6), layout="constrained")
    names = [row["row"] for row in report["rows"]]
    for panel, column in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        for place, row in enumerate(report["rows"]):
            values = row["measures"][column["title"]]
            known = [column["factor"] * value for value in values if value is not None]
            panel.plot([place] * len(known), known, "o", color="0.6", markersize=3)
            if known:
                panel.plot([place], [sum(known) / len(known)], "_", color="#b8434e", markersize=16, markeredgewidth=2)
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
        panel.set_title(column["title"])
    save_figure(figure, path, 110)
