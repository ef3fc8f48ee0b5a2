"""The verbs of `prehend-train` that fine-tune the palm detector."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.annotation import add_known, known_boxes
from prehend_training.cli.parsing.options import add_verb, number_from


def add_palm_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    palms: argparse.ArgumentParser = verbs.add_parser("palms", help="fine-tune the palm detector on photographs")
    steps = palms.add_subparsers(dest="step", required=True)
    label = add_verb(
        steps,
        "label",
        _label,
        "label the palms of photographs with a detector: hands that come back from the mirror image are kept, what "
        "does not is left out of training",
    )
    label.add_argument("folder", type=Path, help="photographs, in folders of their own")
    label.add_argument("--out", type=Path, required=True, metavar="LABELS", help="file to write (.json)")
    label.add_argument("--detector", default="palm", metavar="WHAT", help="run, or name or folder of weights (palm)")
    label.add_argument(
        "--landmarks", type=Path, metavar="FILE",
        help="hand_landmark_full as `prehend-train trunk` writes it: gives region and side, and drops what is no hand",
    )  # fmt: skip
    add_known(label, "public")
    label.add_argument(
        "--every", action="append", default=[], metavar="FOLDER=N", help="only each N-th image of a folder"
    )
    label.add_argument(
        "--presence", type=float, default=0.8, help="least probability that the landmark network gives (0.8)"
    )
    label.add_argument("--sure", type=float, default=0.6, help="lowest score of a hand that is kept (0.6)")
    train = add_verb(steps, "train", _train, "train the detector on frames and photographs; goes on where it stopped")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    train.add_argument("--preset", default="palm", help="what to train (palm)")
    train.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="frames, may be repeated"
    )
    train.add_argument("--labels", type=Path, required=True, metavar="LABELS", help="file of `palms label`")
    train.add_argument(
        "--start", type=Path, required=True, metavar="FILE", help="file of `trunk --kind palm`, or a run"
    )
    budget = train.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    train.add_argument("--threads", type=int, default=0, help="torch threads (0: torch's choice)")
    blend = add_verb(steps, "blend", _blend, "write a run with the mean of a run's weights and the published ones")
    blend.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    blend.add_argument("--start", type=Path, required=True, metavar="FILE", help="file of `trunk --kind palm`")
    blend.add_argument("--share", type=float, default=0.7, help="of the run's weights (0.7)")
    blend.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder to make")
    _add_measure_step(steps)


def _add_measure_step(steps: Any) -> None:
    measure = add_verb(
        steps, "measure", _measure, "look at photographs for validation with a detector and choose its thresholds: the "
        "lowest with few false hands"
    )  # fmt: skip
    measure.add_argument("detector", metavar="WHAT", help="run, or name or folder of weights")
    _add_choice(measure, "the numbers in the run's measured.json", 0.01, "at the thresholds")
    sure = add_verb(
        steps, "sure", _sure, "how what the detector finds is weighed: its score and what the hand network says of two "
        "crops, by photographs for validation; and the lowest presence that lets in few false hands"
    )  # fmt: skip
    sure.add_argument("hands", metavar="WHAT", help="run, or name or folder of weights, of the hand network")
    sure.add_argument("--detector", default="palm", metavar="WHAT", help="run, or name or folder of weights (palm)")
    _add_choice(sure, "it in the run's calibration.json", 0.003, "let in")


def _add_choice(verb: argparse.ArgumentParser, noted: str, false: float, where: str) -> None:
    """Add what a choice on photographs for validation asks for."""
    verb.add_argument("folder", type=Path, help="photographs, in folders of their own")
    add_known(verb, "public")
    verb.add_argument("--write", action="store_true", help=f"note {noted} or the weights' manifest")
    verb.add_argument(
        "--false",
        type=number_from(0),
        default=false,
        metavar="SHARE",
        help=f"most false hands an image {where} ({false})",
    )
    verb.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th image (1)")


def _blend(arguments: argparse.Namespace) -> None:
    from prehend_training.palms.blend import blend_palms

    blend_palms(arguments.run_folder, arguments.start, arguments.share, arguments.out)


def _measure(arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.network import open_measured
    from prehend_training.palms.measure import measure_photographs, note_measured
    from prehend_training.photos.facts import read_facts

    if arguments.every < 1:
        raise InvalidInput(f"--every {arguments.every}: expected a number of at least 1")
    facts, boxes = read_facts(arguments.sources), known_boxes(arguments)
    report = measure_photographs(
        open_measured(arguments.detector).backend, arguments.folder, facts, boxes, arguments.every, arguments.false
    )
    if arguments.write:
        note_measured(Path(arguments.detector), report)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _sure(arguments: argparse.Namespace) -> None:
    from prehend.pipeline.detection.detect import Detector
    from prehend.pipeline.estimator import Estimator
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.network import open_measured
    from prehend_training.palms.unsure import choose_sure, fit_fresh, note_sure, try_found
    from prehend_training.photos.facts import read_facts

    if arguments.every < 1:
        raise InvalidInput(f"--every {arguments.every}: expected a number of at least 1")
    facts, boxes = read_facts(arguments.sources), known_boxes(arguments)
    detector = Detector(open_measured(arguments.detector).backend)
    with Estimator(open_measured(arguments.hands).backend, config=EstimatorOptions(tracking=False)) as estimator:
        tried = try_found(estimator, detector, arguments.folder, facts, boxes, arguments.every)
    report, rule = choose_sure(*tried, arguments.false), fit_fresh(*tried, arguments.false)
    report["fresh"] = None if rule is None else rule._asdict()
    if arguments.write:
        note_sure(Path(arguments.hands), report["sure"], rule)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.train.loop.machine import Budget, Machine
    from prehend_training.train.presets import preset
    from prehend_training.train.tasks.palms import PALM_PRESETS, train_palms

    name = preset(arguments.preset).name
    chosen = next((one for one in PALM_PRESETS if one.name == name), None)
    if chosen is None:
        raise InvalidInput(f"preset '{name}' is of no palm detector: prehend-train train {name}")
    machine, budget = Machine(threads=arguments.threads), Budget(arguments.minutes, arguments.steps)
    train_palms(chosen, arguments.data, arguments.labels, arguments.start, arguments.run_folder, machine, budget)


def _label(arguments: argparse.Namespace) -> None:
    from prehend.models.trunks.hand_landmarks import HandLandmarks
    from prehend_training.evaluate.network import open_measured
    from prehend_training.palms.labels import write_palm_labels
    from prehend_training.palms.pseudo import Labeller, PseudoLabelRule, label_photographs
    from prehend_training.photos.facts import read_facts
    from prehend_training.pretrained.files import load_pretrained

    landmarks = None
    if arguments.landmarks is not None:
        landmarks = HandLandmarks().eval()
        load_pretrained(arguments.landmarks, landmarks)
    rule = PseudoLabelRule(sure=arguments.sure, presence=arguments.presence)
    labeller = Labeller(open_measured(arguments.detector).backend, landmarks, rule)
    every = dict(_every(text) for text in arguments.every)
    labels = label_photographs(arguments.folder, labeller, read_facts(arguments.sources), known_boxes(arguments), every)
    write_palm_labels(arguments.out, labels)
    for prefix, said in labels.about["counts"].items():
        sys.stdout.write(f"{prefix}: {', '.join(f'{count} {name}' for name, count in said.items())}\n")


def _every(text: str) -> tuple[str, int]:
    prefix, _, number = text.partition("=")
    if not number.isdecimal() or int(number) < 1:
        raise InvalidInput(f"--every {text}: expected FOLDER=N with N at least 1")
    return prefix, int(number)
