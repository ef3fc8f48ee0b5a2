"""The verbs `hhmr` of `prehend-train`: the diffusion on hand meshes, trained and judged."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import count_from
from prehend.errors import InvalidInput
from prehend.files import replace_text
from prehend_training.cli.networks.train import add_train_verb
from prehend_training.cli.parsing.options import add_verb

if TYPE_CHECKING:
    from prehend.prior.sampler import HandPrior


def add_hhmr_verb(verbs: Any) -> None:
    """Add the verb."""
    hhmr = add_verb(verbs, "hhmr", _none, "train and judge a diffusion on hand meshes")
    steps = hhmr.add_subparsers(dest="step", required=True)
    add_train_verb(steps)
    judge = add_verb(steps, "evaluate", _evaluate, "draw, complete and fit held-out hands, beside a PCA of equal data")
    judge.add_argument("prior", metavar="WHAT", help="run, or name or folder of weights")
    judge.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="held-out shards, may be repeated"
    )
    judge.add_argument(
        "--train-data", type=Path, action="append", default=[], metavar="DIR", help="what the PCA learns from (none)"
    )
    judge.add_argument("--drawn", type=count_from(1), default=256, metavar="N", help="hands to draw (256)")
    judge.add_argument(
        "--hands", type=count_from(1), default=32, metavar="N", help="hands to complete, to fit and to read (32)"
    )
    judge.add_argument("--steps", type=count_from(1), default=25, help="of denoising (25)")
    judge.add_argument("--times", type=_steps, default=(10, 25, 50), metavar="N,N", help="steps to time (10,25,50)")
    judge.add_argument("--seed", type=count_from(0), default=0, help="of the noise (0)")
    open_ = add_verb(steps, "hypotheses", _hypotheses, "judge what a running estimator says that hands may be")
    open_.add_argument("what", metavar="WEIGHTS", help="name or folder of the hand network's weights")
    open_.add_argument("--data", type=Path, required=True, metavar="DIR", help="held-out shards of crops")
    open_.add_argument("--first", type=count_from(0), default=0, metavar="N", help="image to begin with (0)")
    open_.add_argument("--count", type=count_from(1), default=256, metavar="N", help="images (256)")
    open_.add_argument("--hypotheses", type=count_from(1), default=8, metavar="N", help="of each hand (8)")


def _steps(text: str) -> tuple[int, ...]:
    """Type of an argument: whole numbers from 1 on, separated by commas."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text}: expected numbers from 1 on, such as 10,25")
    return tuple(map(int, parts))


def _none(_: argparse.Namespace) -> None:
    """The parser asks for a step."""


def _evaluate(arguments: argparse.Namespace) -> None:
    from prehend.hand_model.asset import load_hand_model
    from prehend.prior.sampler import HandPrior
    from prehend_training.evaluate.hhmr import PriorCheck, flat_hands, measure_prior, table_of
    from prehend_training.prior.gaussian import COMPONENTS, GaussianHands
    from prehend_training.prior.poses import poses_of_folders
    from prehend_training.train.tasks.hhmr import POSES_A_FOLDER

    check = PriorCheck(arguments.drawn, arguments.hands, arguments.steps, arguments.seed, arguments.times)
    held_out = poses_of_folders(arguments.data)
    prior = _prior(arguments.prior)
    reports = {prior.name: measure_prior(prior, held_out, check)}
    if prior.crop_size is not None:
        reports[prior.name]["read"] = _read_from_images(prior, arguments)
    if arguments.train_data:
        meshes, _ = flat_hands(prior, poses_of_folders(arguments.train_data, POSES_A_FOLDER // 5))
        baseline = HandPrior(GaussianHands(meshes).eval(), load_hand_model(), f"PCA of {COMPONENTS}")
        reports[baseline.name] = measure_prior(baseline, held_out, check)
    if Path(arguments.prior).is_dir() and (Path(arguments.prior) / "run.json").exists():
        replace_text(Path(arguments.prior) / "measured.json", json.dumps({"prior": reports}, indent=1) + "\n")
    sys.stdout.write(table_of(reports))


def _read_from_images(prior: "HandPrior", arguments: argparse.Namespace) -> dict[str, float]:
    """What a prior reads from the held-out images, beside the shipped crop network."""
    from prehend.backends import BackendSettings, open_backend
    from prehend.pipeline.options import EstimatorOptions
    from prehend.prior.sampler import Sampling
    from prehend.weights import load_bundle
    from prehend_training.evaluate.crops import CropReader
    from prehend_training.evaluate.labels import Shards
    from prehend_training.evaluate.prior_images import image_report

    beside = CropReader(open_backend("onnx", load_bundle(EstimatorOptions().model), BackendSettings(threads=1)))
    samples = Shards(arguments.data)
    return image_report(prior, samples, arguments.hands, Sampling(arguments.steps, arguments.seed), beside)


def _hypotheses(arguments: argparse.Namespace) -> None:
    from prehend.pipeline.load import load_estimator
    from prehend_training.evaluate.hypotheses import looks_at, report_of, table_of
    from prehend_training.storage.shards import ShardFolder

    rows = range(arguments.first, arguments.first + arguments.count)
    with load_estimator(model=arguments.what, tracking=False) as estimator:
        looks = looks_at(estimator, ShardFolder.open(arguments.data), rows, arguments.hypotheses)
    sys.stdout.write(table_of(report_of(looks)))


def _prior(what: str) -> "HandPrior":
    """The prior of a run or of weights."""
    from prehend.hand_model.asset import load_hand_model
    from prehend.models.meshes.hhmr import HHMR
    from prehend.prior.sampler import HandPrior
    from prehend_training.train.loop.checkpoint import load_result
    from prehend_training.train.presets import preset_of_run
    from prehend_training.train.runs import RESULT

    run = Path(what)
    if not (run / "run.json").exists():
        return HandPrior.of_weights(what)
    network = preset_of_run(run).build()
    if not isinstance(network, HHMR):
        raise InvalidInput(f"{run} is no run of an HHMR")
    load_result(run / RESULT, network)
    return HandPrior(network.eval(), load_hand_model(), run.name)
