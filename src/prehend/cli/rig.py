"""`prehend rig`: recordings of several calibrated cameras in, fused hands in the rig's frame out."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from prehend.cli.options import add_options, given_options
from prehend.cli.parsing import Parser, number_between
from prehend.cli.stopping import stopped_by_signals
from prehend.errors import MissingDependency, ParameterError, SourceError

_DESCRIPTION = """Find the hands that several calibrated cameras see at once, and make one hand of all views of it, in
the rig's frame: metric 3D joints, mesh, grasp, what is held, and how each view agrees.

RIG is a file with the cameras' poses and intrinsics (docs/CAMERAS.md), or Kalibr's camchain.yaml. SOURCE is a
video, a folder of images or a bag of one camera: in the order of RIG, or with the camera's name, as left=left.mp4.
Of a bag that holds several cameras name the topic: left=drive.mcap:/left/image_raw."""

_EPILOG = """Frames whose stamps lie no further apart than --window are one set; a set without some camera's frame is
made of the others'. A hand that one camera alone sees is what that camera says of it.

    prehend rig table.yaml front.mp4 left.mp4 --json hands.json --overlay pictures

The JSON has schema prehend.predictions/2 with what is said of a camera's frame said of the rig's; each hand has
"views" (its error against each camera) and "joint_std_m". Overlays show all cameras side by side.

Exit codes: 0 done, 1 something failed (a line says what; the rest was done), 2 wrong use."""


def build_parser() -> Parser:
    """The arguments of the verb."""
    parser = Parser("prehend rig", _DESCRIPTION, _EPILOG)
    parser.add_argument("rig", type=Path, metavar="RIG", help="file of the cameras' poses and intrinsics")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="video, folder or bag; NAME=... of that camera")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write predictions (schema prehend.predictions/2); - is the standard output: a JSON line a set",
    )
    parser.add_argument("--mesh", action="store_true", help="write the meshes' vertices to the JSON too")
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="write what happens to the hands; - is the standard output"
    )
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write a video of all cameras side by side")
    parser.add_argument(
        "--window",
        type=number_between(0, 10),
        metavar="S",
        help="frames of one set lie no further apart than this (default: 0.02)",
    )
    parser.add_argument("--exact", action="store_true", help="frames of one set have the same stamp")
    parser.add_argument("--topic", metavar="NAME", help="image topic of bags that have several")
    add_options(parser)
    return parser


def run(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    args = build_parser().parse_args(argv)
    check(args)

    import cv2

    from prehend.cli.rig_job import RigJob, assigned, sources_of
    from prehend.io.event_lines import EventLines
    from prehend.io.overlay_files import OverlayFolder
    from prehend.pipeline.options import EstimatorOptions, changed
    from prehend.rig.estimator import load_rig
    from prehend.rig.files import read_rig
    from prehend.rig.matching import WINDOW_S

    if args.threads:
        cv2.setNumThreads(args.threads)
    rig = read_rig(args.rig)
    names = assigned(args.sources, rig, args.rig)
    sources = sources_of(names, args.topic)
    options = changed(EstimatorOptions(), **given_options(args))
    window_s = 0.0 if args.exact else WINDOW_S if args.window is None else args.window
    with stopped_by_signals(), ExitStack() as stack:
        overlay = None if args.overlay is None else stack.enter_context(OverlayFolder(args.overlay))
        events = None if args.events is None else stack.enter_context(EventLines(args.events))
        job = stack.enter_context(RigJob(lambda: load_rig(names, options), rig, args.json, overlay, events, args.mesh))
        try:
            job.take(sources, window_s)
        except (SourceError, MissingDependency) as error:  # a file that cannot be written ends it all
            job.fail(error)
    told = sys.stderr if "-" in (str(args.json), str(args.events)) else sys.stdout
    for line in job.summary():
        told.write(f"{line}\n")
    return job.exit_code()


def check(args: argparse.Namespace) -> None:
    """Raise `ParameterError` for arguments that contradict each other."""
    if args.exact and args.window is not None:
        raise ParameterError("--exact is a window of nothing: leave --window or --exact out")
    if args.mesh and args.json is None:
        raise ParameterError("--mesh goes with --json: give --json FILE")
    inputs = [Path(name.rpartition("=")[2]).resolve() for name in args.sources]
    for name, path in (("--json", args.json), ("--events", args.events), ("--overlay", args.overlay)):
        if path is not None and path.resolve() in [*inputs, args.rig.resolve()]:
            raise ParameterError(f"{name} {path} is an input: give another name")
    if args.overlay is not None and args.overlay.is_file():
        raise ParameterError(f"--overlay {args.overlay} is a file: give a folder")
    if args.json is not None and args.events is not None and args.json.resolve() == args.events.resolve():
        raise ParameterError(f"--json and --events are both {args.json}: give another file to one of them")
