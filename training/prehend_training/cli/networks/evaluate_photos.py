"""The part of `prehend-train evaluate` that measures on photographs and clips."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.errors import InvalidInput
from prehend.eval.papers.plots import draw_reliability
from prehend.eval.papers.report import write_json
from prehend.files import replace_text

if TYPE_CHECKING:
    from prehend.pipeline.estimator import Estimator
    from prehend_training.evaluate.photographs.clips import ClipRun
    from prehend_training.evaluate.photographs.measure import Cameras, PhotoColumn, PhotoInputs, PhotoRun

_COLUMNS: dict[str, "tuple[PhotoColumn, ...]"] = {
    "true": ("boxes",),
    "detector": ("detector",),
    "both": ("detector", "boxes"),
}


def add_photo_options(verb: argparse.ArgumentParser) -> None:
    """Add the options of photographs and clips to the verb."""
    photos = verb.add_argument_group("photographs and clips")
    add = photos.add_argument
    add("--photos", type=Path, metavar="DIR", help="labelled photographs: with our own detector and with boxes given")
    add("--labels", type=Path, metavar="FILE", help="their labels (gt.json beside them); any known format")
    add("--cameras", type=Path, metavar="FILE", help="intrinsics, as of `prehend run` (those of the labels)")
    add("--peer", type=Path, metavar="FILE", help="predictions of another program for the same images, beside ours")
    add("--complete", action="store_true", help="every hand of the photographs is labelled: others are false hands")
    add("--complete-set", action="append", default=[], metavar="NAME", help="the same for one set, may be repeated")
    add("--no-hand", type=Path, action="append", default=[], metavar="DIR", help="images without hands, repeatable")
    add(
        "--look", type=Path, action="append", default=[], metavar="DIR",
        help="images without labels: sheets of what is found in them, may be repeated",
    )  # fmt: skip
    add(
        "--worst",
        type=int,
        default=24,
        metavar="N",
        help="labels on the sheet of the worst, and false hands on another (24); 0 for none",
    )
    add("--clip", type=Path, nargs="+", default=[], metavar="VIDEO", help="clips: hands are followed, no labels needed")
    add(
        "--sheet", type=int, default=0, metavar="N", help="every N-th frame of the clips with what was found, on sheets"
    )
    add("--false-hands", type=Path, metavar="FILE", help="where true hands of the clips are (docs/EVALUATION.md)")
    add(
        "--stereo", type=Path, nargs=3, metavar=("CALIB", "VIDEO", "VIDEO"),
        help="clips of two calibrated cameras; CALIB is the path before _c0.dat, _rot_trans_c0.dat, _c1.dat, ...",
    )  # fmt: skip
    add("--stereo-unit-mm", type=float, metavar="MM", help="unit of CALIB's translations (the one that fits best)")
    add("--markdown", action="store_true", help="print the table of the README alone")


def wants_photos(arguments: argparse.Namespace) -> bool:
    """Whether photographs or clips are to be measured."""
    return bool(arguments.photos or arguments.no_hand or arguments.clip or arguments.stereo or arguments.look)


def evaluate_real(arguments: argparse.Namespace) -> None:
    """Measure on photographs and clips, print tables, write files.

    Raises:
        InvalidInput: options contradict each other.
        PrehendError: weights, labels, images or clips cannot be read.
    """
    from prehend.eval.photographs.tables import photo_tables, readme_table
    from prehend.weights import load_bundle
    from prehend_training.evaluate.network import RUN_NOTE
    from prehend_training.evaluate.photographs.report import SCHEMA
    from prehend_training.storage.shards import commit

    _check(arguments)
    report: dict[str, Any] = {"schema": SCHEMA, "commit": commit(), "columns": {}}
    if not (Path(arguments.detector) / RUN_NOTE).exists():
        bundle = load_bundle(arguments.detector)
        report["detector"] = {"name": bundle.name, "weights_sha256": bundle.weights_sha256}
    paths: list[Path] = []
    if arguments.photos or arguments.no_hand:
        paths += _photos(arguments, report)
    if arguments.look:
        paths += _look(arguments, report)
    if arguments.clip or arguments.stereo:
        paths += _clips(arguments, report)
    sys.stdout.write((readme_table(report) + "\n") if arguments.markdown else photo_tables(report))
    if arguments.out is not None:
        tables = arguments.out / "tables.md"
        paths.append(write_json(report, arguments.out / "metrics.json"))
        replace_text(tables, photo_tables(report))
        for path in (*paths, tables):
            sys.stderr.write(f"{path}\n")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.data or arguments.frames or arguments.dataset:
        raise InvalidInput("photographs and clips are measured apart: leave out --data, --frames and --dataset")
    if arguments.sheet < 0 or arguments.worst < 0:
        raise InvalidInput("--sheet and --worst must not be negative")
    if (arguments.sheet or arguments.look) and arguments.out is None:
        raise InvalidInput(f"--{'sheet' if arguments.sheet else 'look'} needs --out DIR for the sheets")
    if arguments.stereo_unit_mm is not None and not arguments.stereo_unit_mm > 0:
        raise InvalidInput(f"--stereo-unit-mm {arguments.stereo_unit_mm:g} must be positive")
    if arguments.markdown and not (arguments.photos or arguments.no_hand):
        raise InvalidInput("--markdown prints the table of --photos")


def _photos(arguments: argparse.Namespace, report: dict[str, Any]) -> list[Path]:
    """Measure on photographs; the paths of what was written."""
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.photographs.measure import open_estimator
    from prehend_training.evaluate.photographs.report import calibration_report, column_report

    inputs = _inputs(arguments)
    with open_estimator(arguments.what, arguments.detector, EstimatorOptions(tracking=False)) as estimator:
        estimator.warm_up()
        runs = _runs(arguments, estimator, inputs)
        _tell_absent(runs)
        _describe(report, estimator)
        columns: list[PhotoColumn] = [*inputs.columns]
        if inputs.peer is not None:
            columns.append("peer")
        report["columns"] = {column: column_report(runs, column) for column in columns}
        report["calibration"] = calibration_report(runs, inputs.columns[0])
        return _write_photo_files(arguments, report, runs, columns, estimator)


def _runs(arguments: argparse.Namespace, estimator: "Estimator", inputs: "PhotoInputs") -> list["PhotoRun"]:
    from prehend.eval.photographs.labels import find_labels, read_labels
    from prehend_training.evaluate.photographs.measure import (
        PhotoInputs,
        mark_complete,
        of_split,
        pictures_without_hands,
        run_photos,
    )

    runs: list[PhotoRun] = []
    if arguments.photos:
        labels = arguments.labels or find_labels(arguments.photos)
        names = ["all"] if arguments.complete else arguments.complete_set
        photos = of_split(mark_complete(read_labels(labels), names), arguments.split)
        runs += run_photos(estimator, _spread(photos, arguments.limit), (arguments.photos, labels.parent), inputs)
    # boxes of nothing are no question
    own = PhotoInputs(tuple(column for column in inputs.columns if column == "detector"), inputs.cameras)
    for folder in arguments.no_hand if own.columns else ():
        empty = list(pictures_without_hands(folder))
        runs += run_photos(estimator, _spread(empty, arguments.limit), (folder,), own)
    return runs


def _inputs(arguments: argparse.Namespace) -> "PhotoInputs":
    from prehend.io.cameras.side_files import read_boxes
    from prehend_training.evaluate.photographs.measure import PhotoInputs, read_peer

    chosen = arguments.boxes or "both"
    boxes = None if chosen in _COLUMNS else read_boxes(Path(chosen))
    peer = None if arguments.peer is None else read_peer(arguments.peer)
    return PhotoInputs(_COLUMNS.get(chosen, _COLUMNS["both"]), _cameras(arguments), boxes, peer)


def _cameras(arguments: argparse.Namespace) -> "Cameras":
    from prehend.io.cameras.side_files import read_cameras

    return None if arguments.cameras is None else read_cameras(arguments.cameras)


def _describe(report: dict[str, Any], estimator: "Estimator") -> None:
    bundle = estimator.bundle
    report["model"] = {
        "name": bundle.name,
        "network": bundle.network,
        "weights_sha256": bundle.weights_sha256,
    }


def _tell_absent(runs: Sequence["PhotoRun"]) -> None:
    absent = [run.photo.name for run in runs if run.path is None]
    if absent:
        sys.stderr.write(
            f"{len(absent)} of {len(runs)} labelled images are not there, such as {absent[0]}: "
            "their hands count as not found\n"
        )


def _write_photo_files(
    arguments: argparse.Namespace,
    report: dict[str, Any],
    runs: Sequence["PhotoRun"],
    columns: Sequence["PhotoColumn"],
    estimator: "Estimator",
) -> list[Path]:
    from prehend_training.evaluate.photographs.report import worst_false, worst_labels, write_labels_csv
    from prehend_training.evaluate.photographs.sheets import false_sheet, worst_sheet

    out: Path | None = arguments.out
    if out is None:
        return []
    paths = [write_labels_csv(runs, columns, out / "labels.csv")]
    plot = draw_reliability(report["calibration"], out / "reliability.png")
    worst = worst_labels(runs, arguments.worst) if "detector" in columns else []
    if worst:
        paths.append(worst_sheet(worst, estimator.hand_models, out / "worst.jpg"))
    false = worst_false(runs, arguments.worst) if "detector" in columns else []
    if false:
        paths.append(false_sheet(false, estimator.hand_models, out / "false_hands.jpg"))
    return paths if plot is None else [*paths, plot]


def _look(arguments: argparse.Namespace, report: dict[str, Any]) -> list[Path]:
    """Sheets of images without labels; their paths."""
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.photographs.measure import look_at, open_estimator
    from prehend_training.evaluate.photographs.sheets import hands_tile, write_sheets

    report["looked_at"] = {}
    paths = []
    with open_estimator(arguments.what, arguments.detector, EstimatorOptions(tracking=False)) as estimator:
        _describe(report, estimator)
        for folder in arguments.look:
            tile = partial(hands_tile, estimator.hand_models)
            report["looked_at"][str(folder)], tiles = look_at(estimator, folder, _cameras(arguments), tile)
            paths += write_sheets(tiles, arguments.out / "sheets", folder.resolve().name)
    return paths


def _clips(arguments: argparse.Namespace, report: dict[str, Any]) -> list[Path]:
    """Measure on clips; the paths of their sheets."""
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.photographs.clips import read_stereo, read_true_hands, run_clip, stereo_report
    from prehend_training.evaluate.photographs.measure import open_estimator
    from prehend_training.evaluate.photographs.sheets import write_sheets

    truth = {} if arguments.false_hands is None else read_true_hands(arguments.false_hands)
    pair, rig = [], None
    if arguments.stereo:
        rig = read_stereo(arguments.stereo[0])
        pair = arguments.stereo[1:]
    cameras: dict[Path, Cameras] = dict.fromkeys(arguments.clip, _cameras(arguments))
    cameras |= dict(zip(pair, (one.camera for one in rig or ()), strict=True))
    runs: dict[Path, ClipRun] = {}
    paths: list[Path] = []
    report["clips"] = {}
    with open_estimator(arguments.what, arguments.detector, EstimatorOptions()) as estimator:
        estimator.warm_up()
        _describe(report, estimator)
        for path, camera in cameras.items():
            runs[path] = run = run_clip(estimator, path, camera, arguments.sheet)
            report["clips"][str(path.name)] = run.report(truth)
            if run.tiles:
                paths += write_sheets(run.tiles, arguments.out / "sheets", path.stem)
    if rig is not None:
        first, second = (runs[path] for path in pair)
        report["stereo"] = stereo_report(first, second, rig, arguments.stereo_unit_mm)
    return paths


def _spread(photos: Sequence[Any], limit: int | None) -> list[Any]:
    """All images, or `limit` of them evenly spread."""
    if limit is None or limit >= len(photos):
        return list(photos)
    return [photos[round(k * (len(photos) - 1) / max(limit - 1, 1))] for k in range(limit)]
