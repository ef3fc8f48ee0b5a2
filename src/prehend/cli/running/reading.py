"""What commands that run sources have in common: how these are read, how hands are found, where results go."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prehend.cli.arguments.options import add_lag, add_options, check_options, given_options, over_time
from prehend.cli.arguments.parsing import Parser, number_between
from prehend.errors import ParameterError

if TYPE_CHECKING:
    from prehend.cli.running.run_job import Run
    from prehend.io.cameras.side_files import GivenCamera, SourceTable
    from prehend.io.results.event_lines import EventLines
    from prehend.io.results.overlay_files import OverlayFolder
    from prehend.pipeline.load import HandEstimator
    from prehend.types import FoundHand

    Sides = tuple[SourceTable[list[FoundHand]] | None, SourceTable[GivenCamera] | GivenCamera | None]


class Loader(Protocol):
    """Makes the estimator a run needs."""

    def __call__(self, args: argparse.Namespace, tracking: bool) -> "HandEstimator":
        """The estimator for these arguments, which follows hands or not."""


class FinishedJob(Protocol):
    """Took the sources."""

    def summary(self) -> list[str]:
        """What was done, in lines."""

    def exit_code(self) -> int:
        """0, or 1 where something failed."""


def add_topic(parser: Parser) -> None:
    """Add what says which of a bag's images are meant."""
    parser.add_argument("--topic", metavar="NAME", help="image topic of a bag that has several")


def add_images(parser: Parser) -> None:
    """Add what says which images are meant and how they were taken."""
    parser.add_argument("--cameras", type=Path, metavar="FILE", help="intrinsics, as prehend run --help explains")
    add_topic(parser)
    parser.add_argument(
        "--mirrored", action="store_true", help="the images are mirrored, as selfies are: turn them back"
    )


def add_reading(parser: Parser) -> None:
    """Add what says how sources are read and hands are found."""
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="boxes of the hands, instead of the detector")
    add_images(parser)
    add_options(parser)
    add_lag(parser)
    parser.add_argument(
        "--track", action=argparse.BooleanOptionalAction, default=None, help="follow hands between frames"
    )
    parser.add_argument(
        "--max-megapixels",
        type=number_between(0, 1000),
        default=67,
        metavar="N",
        help="refuse larger images before they are decoded (default: 67)",
    )


def add_results(parser: Parser, unit: str, overlays: str) -> None:
    """Add what says where results are written.

    Args:
        parser: of the command.
        unit: what a line of JSON is about.
        overlays: what overlays are.
    """
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write predictions (schema prehend.predictions/2); - is the standard output: a JSON line a {unit}",
    )
    parser.add_argument("--mesh", action="store_true", help="write the meshes' vertices to the JSON too")
    parser.add_argument(
        "--events",
        type=Path,
        metavar="FILE",
        help="write what happens to the hands of what is tracked: a JSON line an event; - is the standard output",
    )
    parser.add_argument("--overlay", type=Path, metavar="DIR", help=f"write {overlays}")


def check_results(args: argparse.Namespace, inputs: Sequence[Path]) -> None:
    """Raise `ParameterError` where results would overwrite resolved inputs or one another."""
    if args.overlay is not None and args.overlay.is_file():
        raise ParameterError(f"--overlay {args.overlay} is a file: give a folder")
    for name, path in (("--json", args.json), ("--events", args.events)):
        if path is not None and (path.is_dir() or path.resolve() in inputs):
            raise ParameterError(f"{name} {path} is {'a folder' if path.is_dir() else 'an input'}: give a file")
    if args.json is not None and args.events is not None and args.json.resolve() == args.events.resolve():
        raise ParameterError(f"--json and --events are both {args.json}: give another file to one of them")


@contextmanager
def open_results(args: argparse.Namespace) -> "Iterator[tuple[OverlayFolder | None, EventLines | None]]":
    """Overlays and events as the arguments of `add_results` want them."""
    from prehend.io.results.event_lines import EventLines
    from prehend.io.results.overlay_files import OverlayFolder

    with ExitStack() as stack:
        overlay = None if args.overlay is None else stack.enter_context(OverlayFolder(args.overlay))
        yield overlay, None if args.events is None else stack.enter_context(EventLines(args.events))


def tell(job: "FinishedJob", args: argparse.Namespace) -> int:
    """Say in the end what was done, where no results are written to; returns the exit code."""
    told = sys.stderr if "-" in (str(args.json), str(args.events)) else sys.stdout
    for line in job.summary():
        told.write(f"{line}\n")
    return job.exit_code()


def load_for(args: argparse.Namespace, tracking: bool) -> "HandEstimator":
    """The estimator that the arguments ask for; where nothing is tracked, nothing waits for later images."""
    from prehend.pipeline.load import load_estimator

    given = given_options(args)
    if not tracking:
        given.pop("temporal_lag_s", None)
    return load_estimator(**given, tracking=tracking)


def begin(parser: Parser, argv: list[str], check: Callable[[argparse.Namespace], None]) -> argparse.Namespace:
    """The arguments of a command, checked; OpenCV uses as many threads as they say. What has no effect is told.

    Raises:
        ParameterError: they contradict each other.
    """
    args = parser.parse_args(argv)
    check(args)
    check_options(args, parser.prog, _untold(args))

    import cv2

    if args.threads:
        cv2.setNumThreads(args.threads)
    return args


def _untold(args: argparse.Namespace) -> str:
    """Why no event is told; empty where it is, or a report tells it."""
    if not hasattr(args, "events") or args.events is not None:
        return ""
    in_json = args.json is not None and getattr(args, "json_version", 2) > 1
    return "" if in_json else "without --events or --json"


def read_sides(args: argparse.Namespace) -> "Sides":
    """The boxes and cameras that were given.

    Raises:
        PrehendError: a file cannot be read.
    """
    from prehend.io.cameras.side_files import read_boxes, read_cameras

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
    from prehend.cli.running.run_job import Run

    if args.temporal_lag_s:
        from prehend.pipeline.options import EstimatorOptions

        more["lag"] = EstimatorOptions(**given_options(args))
    more["in_vain"] = over_time(args) if args.track is None else ()
    told = {"max_pixels": int(args.max_megapixels * 1e6), "mirrored": args.mirrored, "overlay": None, **more}
    return Run(lambda tracking: load(args, tracking), *sides, json_path, **told)
