"""How a command ends: what went wrong as one line, and the exit code."""

import sys
from collections.abc import Callable
from pathlib import Path

from prehend.cli.arguments.parsing import WRONG_USE
from prehend.cli.arguments.stopping import Stopped
from prehend.cli.arguments.streams import complain, forget_stdout, settle_stdout, unwritten
from prehend.errors import ParameterError, PrehendError, UnknownName

FAILED, INTERRUPTED, SIGNALLED = 1, 130, 128
WRONG_USES = (ParameterError, UnknownName)
"""Errors of `prehend` that are wrong use of a command, not its failure."""


def ended(
    command: str,
    work: Callable[[], int],
    interrupted: str = "",
    wrong_uses: tuple[type[PrehendError], ...] = WRONG_USES,
) -> int:
    """Do the work of a command.

    Args:
        command: name and verb, which the line begins with.
        work: gives the exit code of a success. What it wrote has left the process, or a line says why not.
        interrupted: what to say after Ctrl-C; nothing if it is empty.
        wrong_uses: errors that end with the code for wrong use.

    Returns:
        Exit code: 0, 1 failed, 2 wrong use, 130 interrupted, 128 and the number of another signal.

    Raises:
        SystemExit: from the parser, for --help (0) and wrong arguments (2).
    """
    try:
        return _written(work)
    except PrehendError as error:
        complain(f"{command}: {error}\n")
        return WRONG_USE if isinstance(error, wrong_uses) else FAILED
    except Stopped as stopped:
        return SIGNALLED + stopped.number
    except KeyboardInterrupt:
        complain(f"{command}: {interrupted}\n" if interrupted else "")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has left, as in `prehend models | head -1`
        forget_stdout()
        return 0
    except OSError as error:
        if not (why := _of_the_system(error)):
            raise
        complain(f"{command}: {why}\n")
        return FAILED
    finally:
        settle_stdout()


def _written(work: Callable[[], int]) -> int:
    """The work with its output on its way, that of a parser's help too."""
    try:
        code = work()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def _of_the_system(error: OSError) -> str:
    """Why the command failed, where it is the system's doing: a full disk, a file or a folder that is not there. Empty
    where it may be a fault of ours."""
    if error.filename is not None:
        from prehend.files import reason  # loads NumPy, which no help waits for

        return f"{error.filename}: {reason(error)}"
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return "the current folder is gone: go to another one"
    return unwritten(error)


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True
