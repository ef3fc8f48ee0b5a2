"""The command `prehend`: finds the verb."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from prehend import __version__
from prehend.cli.arguments.ending import ended
from prehend.cli.arguments.parsing import WRONG_USE
from prehend.cli.arguments.streams import complain, mend_streams

VERBS = {
    "run": "images, videos, cameras or bags in; predictions and overlays out",
    "rig": "several calibrated cameras in; one hand from all views of it",
    "eval": "judge bags, videos, images or predictions, with a truth or without; a report to look at",
    "view": "look on: a page in the browser, or Rerun",
    "node": "the ROS 2 node",
    "play": "publish images, a video or a bag as a camera's ROS 2 topics",
    "export": "engines of the weights, for one machine",
    "models": "the weights that are here, and what they can do",
    "objects": "the objects whose pose can be told; import a mesh of your own",
    "hand": "ask the prior what hands look like: generate, complete, reconstruct, fit",
    "files": "where the demo clip, parameters, layouts and examples lie",
    "doctor": "check this installation",
}

_ROOMS = {
    "running": ("run", "rig", "view", "node", "play"),
    "evaluation": ("eval",),
    "assets": ("export", "models", "objects", "hand", "files", "doctor"),
}
"""Where the verbs' modules lie, which have their names."""

_USAGE = """usage: prehend VERB [...]

What human hands are doing, from a camera: metric 3D joints and mesh, grasp, and the pose of what is held.

{verbs}

prehend VERB --help explains a verb; prehend --version tells the version.
Exit codes: 0 done, 1 failed (one line says why), 2 wrong use, 130 interrupted, 143 ended by SIGTERM.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: what follows `prehend`; None takes the process's arguments.

    Returns:
        Exit code: 0, 1 failed, 2 wrong use, 130 interrupted, 128 and the number of another signal.

    Raises:
        SystemExit: from the verb's parser, for --help (0) and wrong arguments (2).
    """
    # OpenBLAS's threads spin after each product, however small: a node took twice the processor time, and its answers
    # twice as long at the 95th percentile. Read when NumPy is imported, which no module above does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mend_streams()
    verb, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if verb not in (*VERBS, *_TEXTS):
        said = f"unknown verb '{verb}'" if verb else "a verb is missing"
        complain(f"prehend: {said}: choose one of {', '.join(VERBS)} (see prehend --help)\n")
        return WRONG_USE
    _silence_opencv()
    work = _TEXTS.get(verb) or (lambda: int(_module(verb).run(rest)))
    return ended(f"prehend {verb}", work)


def _module(verb: str) -> Any:
    [room] = (room for room, verbs in _ROOMS.items() if verb in verbs)
    return import_module(f"prehend.cli.{room}.{verb}")


def usage() -> str:
    """The help of the command without a verb."""
    width = max(map(len, VERBS))
    return _USAGE.format(verbs="\n".join(f"  {verb:{width}}  {text}" for verb, text in VERBS.items()))


def _silence_opencv() -> None:
    """Keep OpenCV's and FFmpeg's own lines off the terminal: our errors say the same with the file's name."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def _help() -> int:
    sys.stdout.write(usage())
    return 0


def _version() -> int:
    sys.stdout.write(f"prehend {__version__}\n")
    return 0


_TEXTS = {"-h": _help, "--help": _help, "--version": _version}


if __name__ == "__main__":
    sys.exit(main())
