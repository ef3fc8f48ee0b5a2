"""What commands that run sources have in common: how these are read, how hands are found, how it begins."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prehend.cli.options import add_lag, add_options, given_options
from prehend.cli.parsing import Parser, number_between

if TYPE_CHECKING:
    from prehend.cli.run_job import Run
    from prehend.io.side_files import GivenCamera, SourceTable
    from prehend.pipeline.load import HandEstimator
    from prehend.types import FoundHand

    Sides = tuple[SourceTable[list[FoundHand]] | None, SourceTable[GivenCamera] | GivenCamera | None]


class Loader(Protocol):
    """Makes the estimator a run needs."""

    def __call__(self, args: argparse.Namespace, tracking: bool) -> "HandEstimator":
        """The estimator for these arguments, which follows hands or not."""


def add_reading(parser: Parser) -> None:
    """Add what says how sources are read and hands are found."""
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="boxes of the hands, instead of the detector")
    parser.add_argument("--cameras", type=Path, metavar="FILE", help="intrinsics")
    add_options(parser)
    add_lag(parser)
    parser.add_argument(
        "--track", action=argparse.BooleanOptionalAction, default=None, help="follow hands between frames"
    )
    parser.add_argument("--topic", metavar="NAME", help="image topic of a bag that has several")
    parser.add_argument(
        "--mirrored", action="store_true", help="the images are mirrored, as selfies are: turn them back"
    )
    parser.add_argument(
        "--max-megapixels",
        type=number_between(0, 1000),
        default=67,
        metavar="N",
        help="refuse larger images before they are decoded (default: 67)",
    )


def load_for(args: argparse.Namespace, tracking: bool) -> "HandEstimator":
    """The estimator that the arguments ask for."""
    from prehend.pipeline.load import load_estimator

    return load_estimator(**given_options(args), tracking=tracking)


def begin(parser: Parser, argv: list[str], check: Callable[[argparse.Namespace], None]) -> argparse.Namespace:
    """The arguments of a command, checked; OpenCV uses as many threads as they say.

    Raises:
        ParameterError: they contradict each other.
    """
    args = parser.parse_args(argv)
    check(args)

    import cv2

    if args.threads:
        cv2.setNumThreads(args.threads)
    return args


def read_sides(args: argparse.Namespace) -> "Sides":
    """The boxes and cameras that were given.

    Raises:
        PrehendError: a file cannot be read.
    """
    from prehend.io.side_files import read_boxes, read_cameras

    boxes = None if args.boxes is None else read_boxes(args.boxes)
    return boxes, None if args.cameras is None else read_cameras(args.cameras)


def open_run(
    args: argparse.Namespace,
    load: Loader,
    sides: "Sides",
    json_path: Path | None,
    **more: Any,
) -> "Run":
    """What takes the sources.

    Args:
        args: of `add_reading`.
        load: makes estimators.
        sides: of `read_sides`.
        json_path: of the predictions.
        more: further arguments of `Run`.
    """
    from prehend.cli.run_job import Run

    if args.temporal_lag_s:
        from prehend.pipeline.options import EstimatorOptions

        more["lag"] = EstimatorOptions(**given_options(args))
    told = {"max_pixels": int(args.max_megapixels * 1e6), "mirrored": args.mirrored, "overlay": None, **more}
    return Run(lambda tracking: load(args, tracking), *sides, json_path, **told)
