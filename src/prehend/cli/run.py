"""`prehend run`: sources in, predictions and overlays out."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from prehend.cli.parsing import Parser
from prehend.cli.reading import Loader, add_reading, begin, load_for, open_run, read_sides
from prehend.cli.stopping import stopped_by_signals
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
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write predictions (schema prehend.predictions/2); - is the standard output: a JSON line a frame",
    )
    parser.add_argument("--mesh", action="store_true", help="write the meshes' vertices to the JSON too")
    parser.add_argument(
        "--json-version", type=int, choices=(1, 2), default=2, metavar="N", help="schema of the JSON: 1 or 2 (default)"
    )
    parser.add_argument(
        "--events",
        type=Path,
        metavar="FILE",
        help="write what happens to the hands of what is tracked: a JSON line an event; - is the standard output",
    )
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write overlays: images, .mp4 for what moves")
    add_reading(parser)
    return parser


def run(argv: list[str], load: Loader = load_for) -> int:
    """Run the verb; returns the exit code.

    Args:
        argv: what follows the verb.
        load: makes estimators.
    """
    args = begin(build_parser(), argv, check)

    from prehend.io.event_lines import EventLines
    from prehend.io.overlay_files import OverlayFolder

    sides = read_sides(args)
    with stopped_by_signals(), ExitStack() as stack:
        overlay = None if args.overlay is None else stack.enter_context(OverlayFolder(args.overlay))
        events = None if args.events is None else stack.enter_context(EventLines(args.events))
        more = {"overlay": overlay, "events": events, "mesh": args.mesh, "version": args.json_version}
        job = stack.enter_context(open_run(args, load, sides, args.json, **more))
        for name in args.sources:
            job.take(name, topic=args.topic, track=args.track, prefixed=len(args.sources) > 1)
    told = sys.stderr if "-" in (str(args.json), str(args.events)) else sys.stdout
    for line in job.summary():
        told.write(f"{line}\n")
    return job.exit_code()


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
        if args.overlay.is_file():
            raise ParameterError(f"--overlay {args.overlay} is a file: give a folder")
    for name, path in (("--json", args.json), ("--events", args.events)):
        if path is not None and (path.is_dir() or path.resolve() in inputs):
            raise ParameterError(f"{name} {path} is {'a folder' if path.is_dir() else 'an input'}: give a file")
    if args.json is not None and args.events is not None and args.json.resolve() == args.events.resolve():
        raise ParameterError(f"--json and --events are both {args.json}: give another file to one of them")
