"""The options of an estimator as arguments of a command (see `prehend.pipeline.options`)."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prehend.cli.arguments.parsing import Parser, count_from, number_between, number_from
from prehend.cli.arguments.streams import complain
from prehend.errors import ParameterError

LOST, OPERATORS, SMOOTHERS = ("drop", "fade", "hold"), ("longest", "largest", "off"), ("one-euro", "kalman")
GRASP_EVENTS = ("at_once", "moved")
"""As in `prehend.pipeline.options`, which takes long to load."""

MOST_THREADS, MOST_CUTOFF_HZ, MOST_LAG_S = 1024, 30.0, 1.0
"""The last two as in the pipeline."""

LAG_CUTOFF_HZ = 1.5
"""What `--lag` smooths with where `--smooth` is not given [Hz]."""

_ARGUMENTS = {
    "model": "--model", "detector": "--detector", "backend": "--backend", "provider": "--provider",
    "precision": "--precision", "compiled": "--compile", "engine_policy": "--engine-policy",
    "engine_dir": "--engine-dir", "object_id": "--object", "min_score": "--min-score", "max_hands": "--max-hands",
    "fov_deg": "--fov", "smooth_min_cutoff_hz": "--smooth", "smoother": "--smoother", "hand_model": "--hand-model",
    "threads": "--threads", "lost": "--lost", "operator": "--operator", "grasp_events": "--grasp-events",
    "temporal_frames": "--temporal-frames", "temporal_stride_s": "--temporal-stride", "temporal_lag_s": "--lag",
    "hypotheses": "--hypotheses", "hypothesis_budget_ms": "--hypothesis-budget",
}  # fmt: skip
"""Names of options that commands set, and their arguments; each has the option's name as its destination."""

_OVER_TIME = (
    "smooth_min_cutoff_hz", "smoother", "temporal_lag_s", "lost", "grasp_events", "temporal_frames",
    "temporal_stride_s", "hypothesis_budget_ms",
)  # fmt: skip
"""Options without effect on images that are taken each on its own."""


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
        type=number_from(0, MOST_CUTOFF_HZ),
        metavar="HZ",
        help="steady hands in videos: cutoff of a filter for a hand at rest, say 1.5, up to 30; 0: none (default)",
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
        "--temporal-stride",
        dest="temporal_stride_s",
        type=number_from(0.01, 1.0),
        metavar="S",
        help="time between these frames (default: 0.167, with which the weights were trained)",
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
        type=number_from(0, MOST_LAG_S),
        metavar="S",
        help="steady hands by later images, too: results of what is tracked are held back for S seconds, say 0.2, up "
        "to 1 (default: 0); takes --smooth 1.5 unless another is given",
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
    given = _given(args)
    if given.get("temporal_lag_s"):
        given.setdefault("smooth_min_cutoff_hz", LAG_CUTOFF_HZ)
    if args.finder is not None:
        sys.stderr.write("prehend: --finder goes with the next version: it is --detector now\n")
        given.setdefault("detector", args.finder)
    return given


def check_options(args: argparse.Namespace, prog: str, untold: str = "") -> None:
    """Check what several arguments say together, and tell of those that have no effect, one line each.

    Args:
        args: of `add_options`, and `--lag`, `--track` and `--events` where the command has them.
        prog: the command, which a line begins with.
        untold: why no event is told, whatever happens: "without --events", say; empty where they are told.

    Raises:
        ParameterError: they contradict each other.
    """
    tracked, lag_s = getattr(args, "track", None) is not False, getattr(args, "temporal_lag_s", None)
    if lag_s and not tracked:
        raise ParameterError(f"--lag {lag_s:g} smooths hands that are tracked: leave --lag or --no-track out")
    if lag_s and args.smooth_min_cutoff_hz == 0:
        raise ParameterError(f"--lag {lag_s:g} smooths and --smooth 0 does not: leave one of them out")
    _check_frames(args.temporal_frames, args.temporal_stride_s)
    for line in _in_vain(args, tracked, untold):
        complain(f"{prog}: {line}\n")


def over_time(args: argparse.Namespace) -> list[str]:
    """The arguments that were given, and ask for something, but have no effect on images taken each on its own."""
    given = _asked(args, _OVER_TIME)
    return given if getattr(args, "events", None) is None else [*given, "--events"]


def of_the_estimator(args: argparse.Namespace) -> list[str]:
    """The arguments that were given and have no effect where nothing is estimated."""
    beside = {"boxes": "--boxes", "cameras": "--cameras", "mirrored": "--mirrored"}
    given = [_ARGUMENTS[name] for name in _given(args) if name not in ("hand_model", "threads")]
    given += ["--detector"] if args.finder is not None and args.detector is None else []
    given += [flag for name, flag in beside.items() if getattr(args, name)]
    return given if args.track is None else [*given, "--track" if args.track else "--no-track"]


def no_effect(flags: Iterable[str]) -> str:
    """`--smooth and --lost have no effect`."""
    *others, last = flags
    return f"{', '.join(others)} and {last} have no effect" if others else f"{last} has no effect"


def _given(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in _ARGUMENTS if getattr(args, name, None) is not None}


def _asked(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """The arguments of those options that are given and say something else than goes without them."""
    from prehend.pipeline.options import option_default  # takes long to load

    given = _given(args)
    return [_ARGUMENTS[name] for name in names if name in given and given[name] != option_default(name)]


def _in_vain(args: argparse.Namespace, tracked: bool, untold: str) -> list[str]:
    """What to say of arguments that were given and have no effect, whatever the sources are."""
    if not tracked:
        given = over_time(args)
        return [f"{no_effect(given)} with --no-track"] if given else []
    lines = []
    if _asked(args, ["smoother"]) and not (args.smooth_min_cutoff_hz or getattr(args, "temporal_lag_s", None)):
        lines.append("--smoother has no effect without --smooth")
    if _asked(args, ["grasp_events"]) and untold:
        lines.append(f"--grasp-events has no effect {untold}")
    if _asked(args, ["temporal_stride_s"]) and args.temporal_frames in (None, 1):
        lines.append("--temporal-stride has no effect without --temporal-frames")
    if _asked(args, ["hypothesis_budget_ms"]) and not args.hypotheses:
        lines.append("--hypothesis-budget has no effect without --hypotheses")
    return lines


def _check_frames(frames: int | None, stride_s: float | None) -> None:
    """Frames that no weights can look at; how many these look at they say themselves."""
    if frames is None or frames < 2:
        return
    from prehend.pipeline.frames.memory import MemoryOptions, most_frames  # takes long to load
    from prehend.pipeline.options import option_default

    most = most_frames(option_default("temporal_stride_s") if stride_s is None else stride_s, MemoryOptions.horizon_s)
    if frames > most:
        raise ParameterError(
            f"--temporal-frames {frames} reach back farther than the {MemoryOptions.horizon_s:g} s that are "
            f"remembered: take {most} at most, or 0 for as many as the weights look at"
        )
