"""The options of an estimator as arguments of a command (see `prehend.pipeline.options`)."""

import argparse
import sys
from pathlib import Path
from typing import Any

from prehend.cli.arguments.parsing import Parser, count_from, number_between

LOST, OPERATORS, SMOOTHERS = ("drop", "fade", "hold"), ("longest", "largest", "off"), ("one-euro", "kalman")
GRASP_EVENTS = ("at_once", "moved")
"""As in `prehend.pipeline.options`, which takes long to load."""

MOST_THREADS = 1024

LAG_CUTOFF_HZ = 1.5
"""What `--lag` smooths with where `--smooth` is not given [Hz]."""

_DESTINATIONS = (
    "model", "detector", "backend", "provider", "precision", "compiled", "engine_policy", "engine_dir", "object_id",
    "min_score", "max_hands", "fov_deg", "smooth_min_cutoff_hz", "smoother", "hand_model", "threads", "lost",
    "operator", "grasp_events", "temporal_frames", "temporal_lag_s", "hypotheses", "hypothesis_budget_ms",
)  # fmt: skip
"""Names of options that commands set; each argument has the option's name as its destination."""


def add_options(parser: Parser) -> None:
    """Add the arguments; those that are not given leave the options at their defaults."""
    parser.add_argument("--model", metavar="NAME", help="weights: see prehend models (default: unihope-s)")
    parser.add_argument("--detector", metavar="NAME", help="weights of the hand detector (default: palm)")
    parser.add_argument("--finder", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--backend", metavar="NAME", help="onnx, torch or tensorrt (default: onnx)")
    add_engine_options(parser)
    parser.add_argument(
        "--engine-policy",
        metavar="P",
        help="where it cannot run as asked: require (default) fails, build makes the engine, fallback takes backend "
        "onnx on the processor; see docs/ENGINES.md",
    )
    parser.add_argument(
        "--object",
        dest="object_id",
        metavar="ID[,ID]",
        help="what the hands hold, or all that they may hold, from the catalogue: gives its 6D pose; without it a held "
        "object is a box of estimated size",
    )
    parser.add_argument(
        "--min-score",
        type=number_between(0, 1),
        metavar="P",
        help="lowest score of a hand (default: 0.3); a followed one is kept down to 2/3 of it",
    )
    parser.add_argument(
        "--max-hands", type=count_from(1), metavar="N", help="most hands in an image, the surest first (default: 4)"
    )
    parser.add_argument(
        "--fov",
        dest="fov_deg",
        type=number_between(0, 180),
        metavar="DEG",
        help="field of view across the longer side where no camera is known",
    )
    _add_over_time(parser)
    parser.add_argument("--hand-model", type=Path, metavar="FILE", help="a MANO .pkl of yours instead of our hand")
    parser.add_argument(
        "--threads", type=count_from(0, MOST_THREADS), metavar="N", help="of the processor, 0 for all (default)"
    )


def _add_over_time(parser: Parser) -> None:
    """What is followed from image to image."""
    parser.add_argument(
        "--smooth",
        dest="smooth_min_cutoff_hz",
        type=number_between(0, 30),
        metavar="HZ",
        help="steady hands in videos: cutoff of a filter for a hand at rest, say 1.5 (default: none)",
    )
    parser.add_argument(
        "--smoother",
        choices=SMOOTHERS,
        help="that filter: one-euro (default), or kalman, which knows speeds and how sure the network is",
    )
    parser.add_argument(
        "--lost",
        choices=LOST,
        help="a hand out of sight: drop leaves it out (default), hold keeps it for 0.5 s, marked, fade with a score "
        "that falls",
    )
    parser.add_argument(
        "--operator",
        choices=OPERATORS,
        help="which hand of a side is the operator's: the one seen longest (default), the largest, or none",
    )
    parser.add_argument(
        "--grasp-events",
        choices=GRASP_EVENTS,
        help="grasps and releases among events: at_once (default), or moved, 0.6 s late or more and dated to when the "
        "object begins to move with the hand, with few false ones",
    )
    parser.add_argument(
        "--temporal-frames",
        type=count_from(0),
        metavar="N",
        help="frames of a hand that the network draws on: 1 (default) each alone, 5 four older ones, too; 0: as many "
        "as the weights look at",
    )
    parser.add_argument(
        "--hypotheses",
        type=count_from(0),
        metavar="N",
        help="hands that an answer with hidden or unsure joints may mean, say 8: covariances of joints (default: 0)",
    )
    parser.add_argument(
        "--hypothesis-budget",
        dest="hypothesis_budget_ms",
        type=number_between(0, 1000),
        metavar="MS",
        help="time that they may take of an image of a film; they grow over several (default: 8)",
    )


def add_lag(parser: Parser) -> None:
    """For commands that may hold results back."""
    parser.add_argument(
        "--lag",
        dest="temporal_lag_s",
        type=float,  # the options check it: 0 is none
        metavar="S",
        help="steady hands by later images, too: results of what is tracked are held back for S seconds, say 0.2 "
        "(default: 0); takes --smooth 1.5 unless another is given",
    )


def add_engine_options(parser: Parser) -> None:
    """The arguments that choose an engine, for those who make them too."""
    parser.add_argument(
        "--provider",
        metavar="NAME",
        help="what the backend runs on: cpu, cuda, tensorrt, openvino (default: its first)",
    )
    parser.add_argument(
        "--precision",
        metavar="P",
        help="float32 (default), float16, bfloat16 or int8; others than float32 need an engine of prehend export",
    )
    parser.add_argument(
        "--compile",
        dest="compiled",
        action="store_const",
        const=True,
        help="compile the network first; backend torch only",
    )
    parser.add_argument("--engine-dir", type=Path, metavar="DIR", help="folder of the engines (default: in the cache)")


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by their names; tells of names that go with the next version."""
    given = {name: getattr(args, name) for name in _DESTINATIONS if getattr(args, name, None) is not None}
    if given.get("temporal_lag_s"):
        given.setdefault("smooth_min_cutoff_hz", LAG_CUTOFF_HZ)
    if args.finder is not None:
        sys.stderr.write("prehend: --finder goes with the next version: it is --detector now\n")
        given.setdefault("detector", args.finder)
    return given
