"""`prehend view`: what the camera and the estimator see, in a browser or in Rerun."""

import argparse
import os
import sys
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.options import add_options, check_options, no_effect, over_time
from prehend.cli.arguments.parsing import Parser, count_from, number_between
from prehend.cli.arguments.stopping import Stopped, stopped_by_signals
from prehend.cli.running.reading import Loader, add_images, load_for
from prehend.errors import ParameterError, PrehendError
from prehend.ros.middleware.network import add_network_options, use_network

if TYPE_CHECKING:
    from prehend.io.frames import ErrorHandler, Source
    from prehend.view.seen import HeldBoxes

DEFAULT_PORT = 8642

_DESCRIPTION = """Show what the camera and the estimator see, on a page in the browser: image and overlay, hands and
what they hold in 3D, grasps over time, latency. No internet connection and no ROS is needed.

SOURCE is a camera (its number or /dev/videoN), a video, a folder of images, a rosbag, an image, or ros:/TOPIC for the
images of a ROS 2 topic (needs the extra `ros`)."""

_EPILOG = """The page is for this machine alone, unless --host opens it to others: then all who reach the port see
what the camera sees, and may pause it. Files play at their own pace, every frame once, slower where the estimator is
slower; pause, step and loop are on the page. Ctrl-C ends.

--rerun needs the extra `rerun`: without a file it opens Rerun's own viewer, with FILE.rrd it writes a recording, as
fast as it goes, and ends. Put SOURCE before it.

Exit codes: 0 ended, 1 something failed, 2 wrong use."""


def build_parser() -> Parser:
    """The arguments of the verb."""
    parser = Parser("prehend view", _DESCRIPTION, _EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="camera, video, folder, bag, image or ros:/TOPIC")
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help=f"0 takes a free one (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--no-browser", action="store_true", help="tell the address, open no browser")
    parser.add_argument(
        "--rerun", nargs="?", const="", type=_recording, metavar="FILE.rrd", help="show in Rerun, or write"
    )
    parser.add_argument("--loop", action="store_true", help="begin a file again at its end")
    parser.add_argument(
        "--rate",
        type=number_between(0, 1000),
        metavar="HZ",
        help="frames of a file a second (default: as they were taken; unrelated images one a second)",
    )
    parser.add_argument(
        "--track", action=argparse.BooleanOptionalAction, default=None, help="follow hands between frames"
    )
    add_images(parser)
    add_network_options(parser)
    add_options(parser)
    return parser


def run(argv: list[str], load: Loader = load_for) -> int:
    """Run the verb; returns the exit code.

    Args:
        argv: what follows the verb.
        load: makes the estimator.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    check_options(args, parser.prog, "in a view, which tells no events")

    from prehend.io.cameras.side_files import read_cameras

    cameras = None if args.cameras is None else read_cameras(args.cameras)
    with stopped_by_signals(), ExitStack() as stack:
        try:
            return _show(args, load, cameras, stack)
        except Stopped:
            raise
        except KeyboardInterrupt:  # how a view ends
            return 0


def _show(args: argparse.Namespace, load: Loader, cameras: Any, stack: ExitStack) -> int:
    from prehend.view.controls import Controls
    from prehend.view.player import Player

    failures = _ShowFailures()
    opened = _opener(args, cameras is not None, failures)
    waiting = [opened()]  # a source that cannot be opened is told before anything is loaded
    stack.callback(lambda: [source.close() for source in waiting])
    kind, sequence = waiting[0].kind, waiting[0].is_sequence
    if args.track is None and not sequence and (given := over_time(args)):
        _tell(f"{no_effect(given)} on images that are taken each on its own: --track follows hands through a folder")
    estimator = load(args, sequence if args.track is None else args.track)
    stack.callback(estimator.close)
    estimator.warm_up()
    boxes = _boxes(args)
    controls = Controls(args.loop)
    if args.rerun is None:
        screens = [_page(args, kind, controls, estimator, boxes, stack)]
    else:
        screens = [_recorder(args, estimator, boxes, stack)]
    rate_hz = 0 if args.rerun and args.rate is None else args.rate
    player = Player(
        lambda: waiting.pop() if waiting else opened(),
        estimator,
        screens,
        controls,
        _tell,
        failures,
        cameras,
        args.mirrored,
        rate_hz,
    )
    player.run(again=args.rerun is None or (args.loop and not args.rerun))
    if args.rerun:
        sys.stdout.write(f"recording: {args.rerun}\n")
    return 1 if failures.told else 0


class _ShowFailures:
    """Frames that cannot be shown: told, each reason once."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def __call__(self, error: PrehendError) -> None:
        if str(error) not in self.told:
            self.told.add(str(error))
            _tell(str(error))


def _opener(args: argparse.Namespace, own_camera: bool, on_error: "ErrorHandler") -> Callable[[], "Source"]:
    if args.source.startswith("ros:"):
        from prehend.ros.inputs.source import RosTopic

        use_network(args.discovery, args.peer)
        return partial(RosTopic, args.source, on_error)
    if args.discovery or args.peer:
        raise ParameterError(f"--discovery and --peer are of ros:/TOPIC, and {args.source} is none")
    from prehend.io.sources import open_source

    return partial(open_source, args.source, on_error=on_error, topic=args.topic, own_camera=own_camera)


def _page(
    args: argparse.Namespace, kind: str, controls: Any, estimator: Any, boxes: "HeldBoxes", stack: ExitStack
) -> Any:
    """The page: opened, told of, closed with the stack."""
    from prehend.view.feed import Feed
    from prehend.view.packets import constants
    from prehend.view.server import ViewServer

    live = kind == "camera"
    faces = {side: model.faces for side, model in estimator.hand_models.items()}
    hello = {"source": args.source, "live": live, "model": estimator.bundle.name, **constants(faces)}
    feed = Feed(hello, boxes)
    controls.changed = lambda: feed.tell(controls.state)
    controls.changed()
    server = stack.enter_context(ViewServer(feed, None if live else controls.command, args.host, args.port))
    if server.is_open:
        _tell(
            f"open to every machine that reaches {args.host} port {server.port}: what the camera sees is for all to see"
        )
    sys.stdout.write(f"{server.url} shows {args.source}; Ctrl-C ends\n")
    sys.stdout.flush()
    if not args.no_browser and _has_desktop():
        Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    return feed


def _recorder(args: argparse.Namespace, estimator: Any, boxes: "HeldBoxes", stack: ExitStack) -> Any:
    from prehend.view.rerun_ import RerunScreen

    faces = {side: model.faces for side, model in estimator.hand_models.items()}
    return stack.enter_context(RerunScreen.opened(args.source, faces, boxes, Path(args.rerun) if args.rerun else None))


def _boxes(args: argparse.Namespace) -> "HeldBoxes":
    from prehend.object_catalogue import load_objects, object_ids
    from prehend.view.seen import HeldBoxes

    wanted = object_ids(args.object_id)
    return HeldBoxes({name: model for name, model in load_objects().items() if name in wanted} if wanted else {})


def _has_desktop() -> bool:
    """Whether a browser would have a screen; a text browser would take the terminal."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _port(text: str) -> int:
    number = count_from(0)(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text} is above 65535")
    return number


_port.__name__ = "whole number"


def _recording(text: str) -> str:
    if not text.endswith(".rrd"):
        raise argparse.ArgumentTypeError(f"'{text}' does not end with .rrd; SOURCE goes before --rerun")
    return text


def _tell(line: str) -> None:
    sys.stderr.write(f"prehend view: {line}\n")
