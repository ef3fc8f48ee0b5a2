"""The command `prehend`: finds the verb and turns errors into one line and an exit code."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from prehend import __version__
from prehend.cli.arguments.stopping import Stopped
from prehend.errors import ParameterError, PrehendError, UnknownName

VERBS = {
    "run": "images, videos, cameras or bags in; predictions and overlays out",
    "rig": "several calibrated cameras in; one hand from all views of it",
    "eval": "judge bags, videos, images or predictions, with a truth or without; a report to look at",
    "view": "look on: a page in the browser, or Rerun",
    "node": "the ROS 2 node",
    "play": "publish images, a video or a bag as a camera's ROS 2 topics",
    "export": "engines of the weights, for one machine",
    "models": "the weights that are here, and what they can do",
    "objects": "the things whose pose can be told; import a mesh of your own",
    "hand": "ask the prior what hands look like: generate, complete, reconstruct, fit",
    "files": "where the demo clip, parameters, layouts and examples lie",
    "doctor": "check this installation",
}

FAILED, WRONG_USE, INTERRUPTED, SIGNALLED = 1, 2, 130, 128

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
    _mend_streams()
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
        code = int(import_module(f"prehend.cli.{verb}").run(rest))
        sys.stdout.flush()
        return code
    except PrehendError as error:
        _complain(f"prehend {verb}: {error}\n")
        return WRONG_USE if isinstance(error, (ParameterError, UnknownName)) else FAILED
    except Stopped as stopped:
        return SIGNALLED + stopped.number
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has left, as in `prehend models | head -1`
        _forget_stdout()
        return 0
    except FileNotFoundError as error:
        if error.filename is not None or _has_folder():
            raise
        _complain(f"prehend {verb}: the current folder is gone: go to another one\n")
        return FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF) or error.filename is not None:
            raise
        _forget_stdout()
        _complain(f"prehend {verb}: the output cannot be written: {(error.strerror or str(error)).lower()}\n")
        return FAILED


def usage() -> str:
    """The help of the command without a verb."""
    width = max(map(len, VERBS))
    return _USAGE.format(verbs="\n".join(f"  {verb:{width}}  {text}" for verb, text in VERBS.items()))


def _mend_streams() -> None:
    """Names that are not UTF-8 are shown escaped, and a stream that was closed before the start takes what comes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(line: str) -> None:
    try:
        sys.stderr.write(line)
    except OSError:  # nobody is left to hear it
        return


def _forget_stdout() -> None:
    """What is still in its buffer must not fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _silence_opencv() -> None:
    """Keep OpenCV's and FFmpeg's own lines off the terminal: our errors say the same with the file's name."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


if __name__ == "__main__":
    sys.exit(main())
