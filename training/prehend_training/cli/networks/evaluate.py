"""The verb of `prehend-train` that measures networks: on crops, on whole images, on real datasets."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import count_from
from prehend.errors import InvalidInput
from prehend_training.cli.networks.evaluate_photos import add_photo_options, evaluate_real, wants_photos
from prehend_training.cli.parsing.data import add_data_options, chosen_data
from prehend_training.cli.parsing.options import add_verb, keep_old_option, warn_renamed

if TYPE_CHECKING:
    from prehend_training.evaluate.frames import BoxSource
    from prehend_training.evaluate.network import Measured

_SOURCES: dict[str, "tuple[BoxSource, ...]"] = {
    "true": ("true",),
    "detector": ("detector",),
    "both": ("true", "detector"),
}


def add_evaluate_verb(verbs: Any) -> None:
    """Add the verb of this module."""
    verb = add_verb(
        verbs,
        "evaluate",
        _evaluate,
        "measure a run or weights by the papers' protocols (docs/EVALUATION.md) and print their tables; of a run on "
        "--data also writes RUN/measured.json, which export wants",
    )
    _add_fits(verbs)
    verb.add_argument("what", metavar="WHAT", help="folder of a run, name of shipped weights, or folder of weights")
    verb.add_argument(
        "--data", type=Path, action="append", default=[], metavar="DIR", help="crops of another seed than the "
        "training's (frames for a detector, sequences too for h2onet and unihope-s-time, views for sima), may be "
        "repeated: hands with labelled boxes, looked at one by one; places beside them, for presence. Views alone: "
        "the hands that sima is measured on, each view by itself; RUN/measured.json stays",
    )  # fmt: skip
    verb.add_argument(
        "--frames", type=Path, action="append", default=[], metavar="DIR",
        help="whole images, may be repeated: the pipeline with labelled boxes and with the detector",
    )  # fmt: skip
    verb.add_argument("--dataset", metavar="NAME", help="a real dataset; its readers' README names them")
    verb.add_argument("--root", type=Path, metavar="DIR", help="its folder (PREHEND_DEXYCB, ... otherwise)")
    verb.add_argument(
        "--split", help="of the dataset (the one the papers measure on), or of the labels of --photos (all)"
    )
    verb.add_argument("--mano", type=Path, metavar="DIR", help="folder of your MANO files: meshes of --dataset")
    verb.add_argument("--models", type=Path, metavar="DIR", help="folder of the YCB models: ADD of --dataset ho3d_*")
    verb.add_argument(
        "--boxes",
        metavar="{true,detector,both}",
        help="labelled boxes, the detector's, or both side by side (both for --frames and --photos, true for "
        "--dataset); "
        "with --photos also a FILE of boxes as of `prehend run --boxes`, in place of the labels'",
    )
    verb.add_argument("--detector", default="palm", metavar="WEIGHTS", help="of the detector, by name or folder (palm)")
    keep_old_option(verb, "--finder", "--detector")
    verb.add_argument("--out", type=Path, metavar="DIR", help="folder of JSON, CSV, tables and plots")
    verb.add_argument("--limit", type=int, metavar="N", help="largest number of images")
    add_photo_options(verb)


def _add_fits(verbs: Any) -> None:
    """Add the verbs that fit what answers are worth."""
    calibrate = add_verb(
        verbs,
        "calibrate",
        _calibrate,
        "make the presence, grasp and side scores of a run probabilities and say how far its rotations are off, by "
        "held-out crops: RUN/calibration.json, which export takes into the manifest",
    )
    calibrate.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    add_data_options(calibrate)
    calibrate.add_argument("--samples", type=count_from(1), default=2048, metavar="N", help="crops to look at (2048)")
    spread = add_verb(
        verbs,
        "spread",
        _spread,
        "fit how far joints are off by how sure the network is, on held-out sequences: the numbers of "
        "prehend.pipeline.networks.uncertainty",
    )
    spread.add_argument("what", metavar="WEIGHTS", help="name or folder of the weights")
    spread.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="sequences; repeatable"
    )
    spread.add_argument("--detector", default="palm", metavar="WEIGHTS", help="of the detector (palm)")
    steady = add_verb(
        verbs,
        "steady",
        _steady,
        "what the filters of the runtime make of a network's answers for held-out sequences, at once and after a wait "
        "for later frames (docs/TIME.md)",
    )
    steady.add_argument("what", metavar="WEIGHTS", help="name or folder of the weights")
    steady.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="sequences; repeatable"
    )
    steady.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw it, too: error by how hidden fingers are, tremor against delay"
    )
    _add_events(verbs)


def _add_events(verbs: Any) -> None:
    events = add_verb(
        verbs,
        "events",
        _events,
        "which grasps and releases of held-out sequences are told as events, how late they are dated, and how many are "
        "told that are none (docs/TIME.md)",
    )
    events.add_argument("what", metavar="WEIGHTS", help="name or folder of the weights")
    events.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="sequences; repeatable"
    )
    events.add_argument(
        "--detector", metavar="WEIGHTS", help="of the detector (default: the labels say where hands are)"
    )
    how = events.add_mutually_exclusive_group()
    how.add_argument("--at-once", action="store_true", help="events as they are told without a wait")
    how.add_argument(
        "--fit",
        action="store_true",
        help="train the networks that tell what goes with a hand (grasp-motion) and when "
        "grasps begin and end (grasp-dates), and choose the numbers of prehend.pipeline.tracking.grasp_path",
    )
    events.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="with --fit: where the weights of both are written, each in a folder of its name",
    )


def _events(arguments: argparse.Namespace) -> None:
    from prehend.pipeline.load import load_estimator
    from prehend_training.evaluate.films.event_fit import fitted, save_fit
    from prehend_training.evaluate.films.events import events_on, judged

    if arguments.out is not None and not arguments.fit:
        raise InvalidInput("--out is where --fit writes the networks that it trains: give both, or neither")
    at_once = arguments.at_once or arguments.fit
    detector, how = arguments.detector or "palm", "at_once" if at_once else "moved"
    with load_estimator(model=arguments.what, detector=detector, grasp_events=how) as estimator:
        watched = events_on(estimator, arguments.data, boxes=arguments.detector is None)
    if not arguments.fit:
        sys.stdout.write(json.dumps(judged(watched), indent=1) + "\n")
        return
    fit = fitted(watched)
    sys.stdout.write(json.dumps(fit.numbers, indent=1) + "\n")
    if arguments.out is not None:
        save_fit(fit, arguments.out, arguments.data, arguments.what)


def _calibrate(arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.calibrate import calibrate_run
    from prehend_training.evaluate.network import run_preset

    data = chosen_data(arguments, run_preset(arguments.run_folder))
    found = calibrate_run(arguments.run_folder, data, arguments.samples)
    for name, told in found.items():
        numbers = ", ".join(f"{key} {value}" for key, value in told.items() if not isinstance(value, list))
        sys.stdout.write(f"{name}: {numbers}\n")


def _spread(arguments: argparse.Namespace) -> None:
    from prehend.pipeline.load import load_estimator
    from prehend_training.evaluate.films.spread import spread_on

    with load_estimator(model=arguments.what, detector=arguments.detector, temporal_frames=1) as estimator:
        sys.stdout.write(json.dumps(spread_on(estimator, arguments.data), indent=1) + "\n")


def _steady(arguments: argparse.Namespace) -> None:
    from prehend.backends import open_backend
    from prehend.weights import load_bundle
    from prehend_training.evaluate.films.fused import evaluate_steady
    from prehend_training.evaluate.films.steady_plot import draw_steady

    bundle = load_bundle(arguments.what)
    if "encode" not in bundle.stages:
        raise InvalidInput(f"{bundle.name} ({bundle.network}) is no crop network: give the weights of one")
    backend = open_backend("onnx", bundle, threads=1)
    try:
        told = evaluate_steady(backend, arguments.data)
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        if arguments.plot is not None:
            draw_steady(told, arguments.plot)
    finally:
        backend.close()


def _evaluate(arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.detector import evaluate_detector
    from prehend_training.evaluate.network import open_measured

    if not (arguments.data or arguments.frames or arguments.dataset or wants_photos(arguments)):
        raise InvalidInput("nothing to measure on: give --data, --frames, --dataset, --photos or --clip")
    if arguments.limit is not None and arguments.limit <= 0:
        raise InvalidInput(f"--limit {arguments.limit} must be positive")
    if arguments.boxes == "finder":
        warn_renamed("--boxes finder", "--boxes detector")
        arguments.boxes = "detector"
    if wants_photos(arguments):
        evaluate_real(arguments)
        return
    if arguments.boxes not in (None, *_SOURCES):
        raise InvalidInput(f"--boxes {arguments.boxes}: choose one of {', '.join(_SOURCES)}; a file goes with --photos")
    measured = open_measured(arguments.what)
    if measured.sees_through_time:
        _evaluate_through_time(measured, arguments)
        return
    if measured.fuses and _are(arguments.data, "sequences"):
        _evaluate_fused(measured, arguments)
        return
    if measured.sees_views or (not measured.is_detector and _are(arguments.data, "views")):
        _evaluate_views(measured, arguments)
        return
    if not measured.is_detector:
        _evaluate_crop_network(measured, arguments)
        return
    if arguments.frames or arguments.dataset:
        raise InvalidInput(
            "a detector alone is measured on --data; with --frames it is the --detector of a crop network"
        )
    report = evaluate_detector(measured.backend, arguments.data, arguments.limit)
    _tell(measured, report)


def _tell(measured: "Measured", report: dict[str, Any]) -> None:
    _note(measured, report)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _evaluate_through_time(measured: "Measured", arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.films.through_time import evaluate_through_time

    if arguments.frames or arguments.dataset or not arguments.data:
        raise InvalidInput(f"{measured.backend.bundle.network} is measured on --data: crops, or sequences")
    report = evaluate_through_time(measured.backend, arguments.data, arguments.limit)
    _tell(measured, report)


def _evaluate_fused(measured: "Measured", arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.films.fused import compared, evaluate_fused

    report = evaluate_fused(measured.backend, measured.answering(), arguments.data)
    report["fused_against_single"] = compared(report)
    _tell(measured, report)


def _evaluate_views(measured: "Measured", arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.crops import CropReader
    from prehend_training.evaluate.views import evaluate_crop_views, evaluate_views

    if arguments.frames or arguments.dataset or not arguments.data:
        raise InvalidInput(
            f"{measured.backend.bundle.network} is measured on --data: folders of views, and these alone"
        )
    if measured.sees_views:
        _tell(measured, evaluate_views(measured.backend, arguments.data, arguments.limit))
        return
    reader = CropReader(measured.backend, always_fuses=measured.always_fuses)
    report = evaluate_crop_views(reader, arguments.data, arguments.limit)
    # what a bundle tells of a crop network are crops: RUN/measured.json stays
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _evaluate_crop_network(measured: "Measured", arguments: argparse.Namespace) -> None:
    from prehend.eval.papers.tables import markdown
    from prehend_training.evaluate.reports import evaluate_crops, evaluate_dataset, evaluate_frames, write_report

    reports = {}
    if arguments.data:
        evaluation = evaluate_crops(measured, arguments.data, arguments.limit)
        reports["crops"] = evaluation.report
        _note(measured, evaluation.summary)
    if arguments.frames:
        sources = _SOURCES[arguments.boxes or "both"]
        reports["frames"] = evaluate_frames(measured, arguments.frames, sources, arguments.detector, arguments.limit)
    if arguments.dataset:
        reports[arguments.dataset] = evaluate_dataset(
            measured,
            arguments.dataset,
            arguments.root,
            arguments.split,
            _SOURCES[arguments.boxes or "true"],
            arguments.mano,
            arguments.models,
            arguments.detector,
            arguments.limit,
        )
    sys.stdout.write("\n".join(markdown(report) for report in reports.values()))
    if arguments.out is not None:
        for name, report in reports.items():
            for path in write_report(report, arguments.out / name):
                sys.stdout.write(f"{path}\n")


def _are(data: list[Path], kind: str) -> bool:
    """Whether there are folders, and all of a kind."""
    from prehend_training.storage.shards import ShardFolder

    return bool(data) and all(ShardFolder.open(path).kind == kind for path in data)


def _note(measured: "Measured", summary: dict[str, Any]) -> None:
    from prehend_training.evaluate.network import note_measured

    if measured.run is not None:
        note_measured(measured.run, summary)
