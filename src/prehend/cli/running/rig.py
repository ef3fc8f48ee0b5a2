"""`prehend rig`: recordings of several calibrated cameras in, fused hands in the rig's frame out."""

import argparse
from pathlib import Path

from prehend.cli.arguments.options import add_options, given_options
from prehend.cli.arguments.parsing import Parser, number_between
from prehend.cli.arguments.stopping import stopped_by_signals
from prehend.cli.running.reading import add_results, add_topic, begin, check_results, open_results, tell
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
    add_results(parser, "set", "a video of all cameras side by side")
    parser.add_argument(
        "--window",
        type=number_between(0, 10),
        metavar="S",
        help="frames of one set lie no further apart than this (default: 0.02)",
    )
    parser.add_argument("--exact", action="store_true", help="frames of one set have the same stamp")
    add_topic(parser)
    add_options(parser)
    return parser


def run(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    args = begin(build_parser(), argv, check)

    from prehend.cli.running.rig_job import RigJob, assigned, sources_of
    from prehend.pipeline.options import EstimatorOptions, changed
    from prehend.rig.estimator import load_rig
    from prehend.rig.files import read_rig
    from prehend.rig.matching import WINDOW_S

    rig = read_rig(args.rig)
    names = assigned(args.sources, rig, args.rig)
    sources = sources_of(names, args.topic)
    options = changed(EstimatorOptions(), **given_options(args))
    window_s = 0.0 if args.exact else WINDOW_S if args.window is None else args.window
    with (
        stopped_by_signals(),
        open_results(args) as (overlay, events),
        RigJob(lambda: load_rig(names, options), rig, args.json, overlay, events, args.mesh) as job,
    ):
        try:
            job.take(sources, window_s)
        except (SourceError, MissingDependency) as error:  # a file that cannot be written ends it all
            job.fail(error)
    return tell(job, args)


def check(args: argparse.Namespace) -> None:
    """Raise `ParameterError` for arguments that contradict each other."""
    if args.exact and args.window is not None:
        raise ParameterError("--exact is a window of nothing: leave --window or --exact out")
    if args.mesh and args.json is None:
        raise ParameterError("--mesh goes with --json: give --json FILE")
    inputs = [Path(name.rpartition("=")[2]).resolve() for name in args.sources]
    taken = [*inputs, args.rig.resolve()]
    if args.overlay is not None and args.overlay.resolve() in taken:
        raise ParameterError(f"--overlay {args.overlay} is an input: give another name")
    check_results(args, taken)
