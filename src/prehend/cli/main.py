"""The command `prehend`: finds the verb and turns errors into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from prehend import __version__
from prehend.errors import ParameterError, PrehendError, UnknownName

VERBS = {
    "run": "images, videos, cameras or bags in; predictions and pictures out",
    "node": "the ROS 2 node",
    "play": "publish images, a video or a bag as a camera's ROS 2 topics",
    "models": "the weights that are here, and what they can do",
    "doctor": "check this installation",
}

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

_USAGE = """usage: prehend VERB [...]

What human hands are doing, from a camera: metric 3D joints and mesh, grasp, and the pose of what is held.

{verbs}

prehend VERB --help explains a verb; prehend --version tells the version.
Exit codes: 0 done, 1 failed (one line says why), 2 wrong use, 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: what follows `prehend`; None takes the process's arguments.

    Returns:
        Exit code: 0, 1 failed, 2 wrong use, 130 interrupted.

    Raises:
        SystemExit: from the verb's parser, for --help (0) and wrong arguments (2).
    """
    verb, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if verb in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    if verb == "--version":
        sys.stdout.write(f"prehend {__version__}\n")
        return 0
    if verb not in VERBS:
        said = f"unknown verb '{verb}'" if verb else "a verb is missing"
        sys.stderr.write(f"prehend: {said}: choose one of {', '.join(VERBS)} (see prehend --help)\n")
        return WRONG_USE
    _silence_opencv()
    try:
        return int(import_module(f"prehend.cli.{verb}").run(rest))
    except PrehendError as error:
        sys.stderr.write(f"prehend {verb}: {error}\n")
        return WRONG_USE if isinstance(error, (ParameterError, UnknownName)) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has left, as in `prehend models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def usage() -> str:
    """The help of the command without a verb."""
    width = max(map(len, VERBS))
    return _USAGE.format(verbs="\n".join(f"  {verb:{width}}  {text}" for verb, text in VERBS.items()))


def _silence_opencv() -> None:
    """Keep OpenCV's and FFmpeg's own lines off the terminal: our errors say the same with the file's name."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


if __name__ == "__main__":
    sys.exit(main())
