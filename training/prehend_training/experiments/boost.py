"""Do made pictures help? (HandBooster, section 4): networks on scenes, on scenes and made pictures, and on scenes and
as many further scenes, by the same budget and with several seeds; measured on held-out scenes and on photographs.

The third row tells what more pictures are worth by themselves; only what the second has over it is the generator's.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend_training.data.stores.open import DataSource, Mixture
from prehend_training.experiments.ablation import spread
from prehend_training.storage.shards import ShardFolder, commit
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import Changes, changed_preset
from prehend_training.train.runs import Training, train_run

SCHEMA = "prehend.boost_comparison/1"
ROWS = {"scenes": "scenes alone", "made": "scenes and made pictures", "further": "scenes and further scenes"}
SCENES = {"J-PE": "joint_error_mm", "PA J-PE": "aligned_joint_error_mm", "V-PE": "vertex_error_mm"}
"""Columns on held-out scenes [mm], and where `evaluate_crops` has them."""
PHOTOS = {"nme": "nme", "pck": "pck_all"}
"""Columns on photographs, boxes given: mean error of the joints over the hand's size, share of them that are right."""

Report = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        presets: crop networks.
        scenes: crops that all rows learn from.
        made: crops of `boost filter`.
        further: as many rendered crops, of another seed than `scenes`.
        share: of made pictures, and of further scenes, in a batch.
        steps: budget of every run.
        seeds: each row is trained once with each.
        held_out: folders of crops to measure on.
        photos: labels of photographs to measure on, those of the split `validation`; None for none.
        start: runs that all rows start from.
        batch: samples a step, None for the preset's.

    Raises:
        InvalidInput: the share is none, or there are further scenes, but not as many as made pictures.
    """

    presets: tuple[str, ...]
    scenes: Path
    made: Path
    further: Path
    share: float
    steps: int
    seeds: tuple[int, ...]
    held_out: tuple[Path, ...]
    photos: Path | None = None
    start: tuple[Path, ...] = ()
    batch: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidInput(f"share {self.share}: expected 0 < share < 1")
        made, further = (len(ShardFolder.open(path)) for path in (self.made, self.further))
        if made == 0 or further < made:
            raise InvalidInput(
                f"{made} made pictures and {further} further scenes: one picture, and as many scenes, are the least"
            )

    def data(self, row: str) -> DataSource:
        """What a row of `ROWS` learns from."""
        if row == "scenes":
            return [self.scenes]
        other = {"made": self.made, "further": self.further}[row]
        return Mixture((([self.scenes], 1 - self.share), ([other], self.share)))


def run_comparison(comparison: Comparison, out: Path, machine: Machine) -> Report:
    """Train and measure every row of every preset with every seed; runs in `out` that are complete are kept.

    Returns:
        The report, also in comparison.json and comparison.md.

    Raises:
        AssetError: data or weights are missing, or a preset is no crop network.
        InvalidInput: a run in `out` is of another comparison.
    """
    measured: dict[tuple[str, str], list[Report]] = {(name, row): [] for name in comparison.presets for row in ROWS}
    for seed in comparison.seeds:  # whole sets of rows first: a comparison that was stopped has something to compare
        for name, row in measured:
            measured[name, row].append(_measured(comparison, name, row, seed, out, machine))
    told = {key: _plain(value) for key, value in asdict(comparison).items()}
    rows = [
        {"preset": name, "row": row, "what": ROWS[row], "measures": _columns(reports)}
        for (name, row), reports in measured.items()
    ]
    report = {"schema": SCHEMA, "commit": commit(), **told, "rows": rows}
    replace_text(out / "comparison.json", json.dumps(report, indent=1) + "\n")
    replace_text(out / "comparison.md", markdown(report))
    return report


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _measured(comparison: Comparison, name: str, row: str, seed: int, out: Path, machine: Machine) -> Report:
    """Train a run to its end and measure it, unless that was done before."""
    run = out / f"{name}-{row}-{seed}"
    note = run / "comparison.json"
    if not note.exists():
        preset = changed_preset(name, Changes(batch_size=comparison.batch, seed=seed))
        training = Training(preset, comparison.data(row), run, Budget(steps=comparison.steps), comparison.start)
        if not training.done:
            train_run(training, machine)
        replace_text(note, json.dumps(_measure(comparison, run), indent=1) + "\n")
    report: Report = json.loads(note.read_text())
    return report


def _measure(comparison: Comparison, run: Path) -> Report:
    from prehend_training.evaluate.network import open_measured
    from prehend_training.evaluate.reports import evaluate_crops

    summary = evaluate_crops(open_measured(run), comparison.held_out).summary
    photos = None if comparison.photos is None else _on_photographs(run, comparison.photos)
    return {"scenes": {name: summary[key] for name, key in SCENES.items()}, "photos": photos}


def _on_photographs(run: Path, labels: Path) -> Report:
    """Over all hands of the split `validation`, each set with the same weight; boxes given."""
    from prehend.eval.photo_labels import read_labels
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.photographs.measure import PhotoInputs, of_split, open_estimator, run_photos
    from prehend_training.evaluate.photographs.report import column_report
    from prehend_training.photos.labels import read_labels as read_own

    photos = of_split(read_labels(labels), "validation")
    with open_estimator(run, "palm", EstimatorOptions(tracking=False)) as estimator:
        runs = run_photos(estimator, photos, (read_own(labels).folder, labels.parent), PhotoInputs(("boxes",)))
    sets = column_report(runs, "boxes")["sets"]
    values = {name: [one[key] for part, one in sets.items() if part != "all"] for name, key in PHOTOS.items()}
    return {name: spread(column)[0] for name, column in values.items()} | {"sets": sets}


def _columns(reports: Sequence[Report]) -> Report:
    columns: Report = {name: [report["scenes"][name] for report in reports] for name in SCENES}
    if all(report["photos"] for report in reports):
        columns |= {f"photos {name}": [report["photos"][name] for report in reports] for name in PHOTOS}
    return columns


def markdown(report: Report) -> str:
    """The table: mean and standard deviation over the seeds."""
    names = list(report["rows"][0]["measures"])
    lines = [
        f"{report['steps']} steps a run, {report['share']:.0%} made or further, seeds "
        f"{', '.join(map(str, report['seeds']))}; scenes in mm, mean and standard deviation over the seeds",
        "",
        "| preset | row | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for row in report["rows"]:
        cells = [
            ("{:.3f} ± {:.3f}" if name.startswith("photos") else "{:.1f} ± {:.1f}").format(
                *spread(row["measures"][name])
            )
            for name in names
        ]
        lines.append(f"| {row['preset']} | {row['what']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
