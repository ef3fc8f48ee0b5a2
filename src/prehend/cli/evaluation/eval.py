"""`prehend eval`: sources, outputs or predictions in, a judgement out."""

import argparse
from pathlib import Path

from prehend.cli.arguments.parsing import Parser
from prehend.cli.arguments.stopping import stopped_by_signals
from prehend.cli.running.reading import Loader, add_reading, begin, load_for
from prehend.errors import ParameterError

_DESCRIPTION = """Judge what is said about hands, offline and in lock-step: every frame once, in order, no ROS needed.

SOURCE is a rosbag (folder, .db3, .mcap, .bag), a video, a folder of images or an image, which are run here; a
predictions file (`prehend run --json`); or the output folder of an earlier `prehend eval`."""

_EPILOG = """--truth WHAT, as often as needed; without it the report has what needs none (jitter, lost spans, events,
steadiness, latency):
  FILE                labels (prehend.labels/1, prehend.photo_labels/1, COCO keypoints of hands, COCO-WholeBody),
                      a predictions file whose answers count as true, or BOP's scene_gt.json
  freihand[:SPLIT]    and ho3d_v2, ho3d_v3, dexycb, hanco: SOURCE is the dataset's folder (needs prehend_training)
  /topic              of the bag itself: HandArray; Bool or String of grasp marks (/topic=left or =right for one hand)
  /topic=ID           PoseStamped of an object of the catalogue, or of a tracked wrist: /topic=left, /topic=right
  tf:FRAME=ID         the same from /tf

The output folder gets report.html (one file, no network), metrics.json, frames.csv, events.csv, bop.csv,
latency.json, and predictions/ and truth/, from which it can be judged again. Several sources stand side by side;
where they share frames the differences are paired, with a bootstrap interval.

The same input makes the same bytes, apart from wall times: these are in latency.json, predictions/ and the report,
and --no-timing leaves them out. Started again with the same arguments it goes on after the last source that was
finished.

Exit codes: 0 done, 1 something failed (a line says what; the rest was done), 2 wrong use."""


def build_parser() -> Parser:
    """The arguments of the verb."""
    parser = Parser("prehend eval", _DESCRIPTION, _EPILOG)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="bag, video, images, predictions or output folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the report and tables")
    parser.add_argument("--truth", action="append", default=[], metavar="WHAT", help="what is true, see below")
    parser.add_argument(
        "--rigid", action="store_true", help="nothing moves, the camera neither: tell how steady the answers are"
    )
    parser.add_argument(
        "--meshes", type=Path, metavar="DIR", help="meshes of objects for ADD: ID.ply, or BOP's obj_000001.ply"
    )
    parser.add_argument(
        "--bop-ids", type=Path, metavar="FILE", help="JSON or YAML {number: id} of BOP's objects; obj_000001 needs none"
    )
    parser.add_argument(
        "--bag-out",
        type=Path,
        metavar="FILE.mcap",
        help="write our hands, TF, markers and events at the images' stamps",
    )
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="TOPIC", help="topics to copy into --bag-out; all copies everything"
    )
    parser.add_argument("--save-table", type=Path, metavar="FILE", help="the table of runs: .csv or .md")
    parser.add_argument("--no-timing", action="store_true", help="no wall times: all files are the same bytes twice")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: sources on the machines of a Ray cluster"
    )
    parser.add_argument(
        "--ray-address", metavar="ADDRESS", help="of the cluster (default: RAY_ADDRESS, else this machine)"
    )
    add_reading(parser)
    return parser


def run(argv: list[str], load: Loader = load_for) -> int:
    """Run the verb; returns the exit code.

    Args:
        argv: what follows the verb.
        load: makes estimators.
    """
    args = begin(build_parser(), argv, check)

    from prehend.cli.evaluation.job import Evaluation

    with stopped_by_signals():
        return Evaluation(args, load).run()


def check(args: argparse.Namespace) -> None:
    """Raise `ParameterError` for arguments that contradict each other."""
    from prehend.cli.evaluation.plan import is_output

    if args.out.exists() and not args.out.is_dir():
        raise ParameterError(f"--out {args.out} is a file: give a folder")
    out = args.out.resolve()
    for name in args.sources:
        path = Path(name)
        if path.is_dir() and (out == path.resolve() or path.resolve() in out.parents) and not is_output(path):
            raise ParameterError(f"--out {args.out} lies among the inputs ({name}): give another folder")
        if is_output(path) and out == path.resolve():
            raise ParameterError(f"--out {args.out} is the source itself: give another folder")
    if args.bag_out is not None and (len(args.sources) > 1 or args.bag_out.suffix != ".mcap"):
        raise ParameterError("--bag-out takes one source and a name that ends with .mcap")
    if args.keep and args.bag_out is None:
        raise ParameterError("--keep goes with --bag-out")
    if args.ray_address is not None and args.engine != "ray":
        raise ParameterError("--ray-address goes with --engine ray")
    if args.save_table is not None and args.save_table.suffix.lower() not in (".csv", ".md"):
        raise ParameterError(f"--save-table {args.save_table}: expected a name that ends with .csv or .md")
    if args.mirrored and args.truth:
        raise ParameterError("--mirrored turns the images back, and --truth is about them as they are: leave one out")
