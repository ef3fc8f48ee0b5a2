"""`prehend run`: sources in, predictions and overlays out."""

import argparse
from pathlib import Path

from prehend.cli.arguments.parsing import Parser
from prehend.cli.arguments.stopping import stopped_by_signals
from prehend.cli.running.reading import (
    Loader,
    add_reading,
    add_results,
    begin,
    check_results,
    load_for,
    open_results,
    open_run,
    read_sides,
    tell,
)
from prehend.errors import ParameterError

_DESCRIPTION = """Find the hands in images, videos, cameras and bags: metric 3D joints, mesh, grasp, and what is held.

SOURCE is an image, a folder (every image below it, in natural order), a video, a camera (its number or
/dev/videoN), or a rosbag (folder, .db3, .mcap, .bag; no ROS needed)."""

_EPILOG = """Hands are tracked through videos, cameras and bags. The images of a folder count as unrelated: --track
takes each folder as one sequence instead (of one image size); --no-track takes every frame of a video on its own.

--boxes   {source: [{"box_px": [x0, y0, x1, y1], "side": "left" | "right" | null}]} replaces the detector;
          without a side the network tells it
--cameras {source: K}, {source: {"K": K, "distortion": [...], "width": W, "height": H}}, or one calibration
          for all: YAML of ROS's camera_info_manager, `ros2 topic echo` of a camera_info, OpenCV (YAML, JSON,
          XML), Kalibr, VINS, ORB-SLAM, or K or fx, fy, cx, cy in JSON. It replaces a bag's camera_info
A source fits an entry when their paths are the same or one ends with the other. Images are taken upright
(EXIF) and with square pixels, K is for that image, or for the stored one if it gives its size. With --mirrored
every result is about the image turned back, and K is for the image as it comes. Without a camera its field of view is
assumed, and distances are rough.

Stopped by Ctrl-C or SIGTERM it keeps what is done; the JSON then says "complete": false.

Exit codes: 0 done, 1 something failed (a line says what; the rest was done), 2 wrong use."""


def build_parser() -> Parser:
    """The arguments of the verb."""
    parser = Parser("prehend run", _DESCRIPTION, _EPILOG)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="image, folder, video, camera or bag")
    add_results(parser, "frame", "overlays: images, .mp4 for what moves")
    parser.add_argument(
        "--json-version", type=int, choices=(1, 2), default=2, metavar="N", help="schema of the JSON: 1 or 2 (default)"
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

    sides = read_sides(args)
    with stopped_by_signals(), open_results(args) as (overlay, events):
        more = {"overlay": overlay, "events": events, "mesh": args.mesh, "version": args.json_version}
        with open_run(args, load, sides, args.json, **more) as job:
            for name in args.sources:
                job.take(name, topic=args.topic, track=args.track, prefixed=len(args.sources) > 1)
    return tell(job, args)


def check(args: argparse.Namespace) -> None:
    """Raise `ParameterError` for arguments that contradict each other."""
    for option in ("min_score", "max_hands"):
        if args.boxes is not None and getattr(args, option) is not None:
            name = f"--{option.replace('_', '-')}"
            raise ParameterError(f"{name} goes with the detector, and --boxes replaces it: leave one of them out")
    if args.mesh and (args.json is None or args.json_version == 1):
        raise ParameterError("--mesh goes with --json of schema 2: give --json FILE, leave out --json-version 1")
    inputs = [Path(name).resolve() for name in args.sources if Path(name).exists()]
    if args.overlay is not None:
        folder = args.overlay.resolve()
        for path in inputs:
            if folder == (path if path.is_dir() else path.parent) or (path.is_dir() and path in folder.parents):
                raise ParameterError(f"--overlay {args.overlay} lies among the inputs ({path}): give another folder")
    check_results(args, inputs)
