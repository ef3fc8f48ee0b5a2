"""Starting ROS where a robot's machine is not as it should be: no log folder, a transport left half made by a kill."""

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from prehend.errors import ParameterError
from prehend.ros import use_large_data
from prehend.ros.messages import require_rclpy
from prehend.ros.middleware.borders import Border, reason

LONGEST_START_S = 20.0
"""Fast DDS starts in tenths of a second, on a machine with ten times too much to do in some; after this it hangs."""

LONGEST_END_S = 10.0
"""The same of leaving."""

_END_TEXT = (
    "prehend: Fast DDS does not let go for {:g} s (it waits for its own TCP transport): the process ends; what was "
    "published is out\n"
)
_LAST_DOMAIN = 232
_PORT_FILES = "fastdds_port*"
_SHARED_MEMORY = Path("/dev/shm")
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""SIGHUP comes when the terminal is closed; who wants the node to live on starts it with nohup, which ignores it."""
_FEWEST_FILES = 256
"""Descriptors: a node of ours has about 25, and Fast DDS says of too few that a type is not supported."""

_TELLER = """
import os, select, sys, time
until, text = float(sys.argv[1]), sys.argv[2]
told = select.select([0], [], [], max(until - time.monotonic(), 0))[0]
if not (told and os.read(0, 1)) and time.monotonic() >= until:
    sys.stderr.write(text)
"""
"""Waits for a byte; a process of its own, since a hanging Fast DDS holds Python's lock. On a busy machine it may begin
when all is over: the time until which it waits is one that both processes know (monotonic, of the system)."""


def start_ros(
    args: Sequence[str], node_name: str, longest_s: float = LONGEST_START_S, kind: str = "rclpy.node", **options: Any
) -> tuple[Any, list[str]]:
    """Initialise rclpy and make a node; signals have their default effect meanwhile, and a watchdog ends a hang.

    Args:
        args: of the command line, without the program.
        node_name: unless remapped.
        longest_s: after which the start counts as hanging.
        kind: the module whose `Node` it is: rclpy.node, or rclpy.lifecycle.
        options: of rclpy's `Node`.

    Returns:
        The node, and what a person should know about the start.

    Raises:
        ParameterError: arguments, names or the domain are none that ROS takes.
    """
    rclpy = require_rclpy()
    _check_domain()
    use_large_data()
    _allow_files()
    fault = log_folder_fault()
    notes = [f"{fault}: no log file is kept; set ROS_LOG_DIR to a folder that can be written"] if fault else []
    given = ["prehend", *(["--ros-args", "--disable-external-lib-logs", "--"] if fault else []), *args]
    with _default_signals(), watchdog(longest_s):
        try:
            rclpy.init(args=given, signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
            left = rclpy.utilities.remove_ros_args(given)[1:]
        except RuntimeError as error:  # rclpy's errors for arguments have no better common class
            raise ParameterError(_explain(args, reason(error))) from error
        if left:
            raise ParameterError(_explain(left, f"unknown argument {left[0]}: ROS arguments follow --ros-args"))
        with Border(ParameterError, "ROS refuses to start"):
            return import_module(kind).Node(node_name, **options), notes


def end_ros(node: Any = None, longest_s: float = LONGEST_END_S) -> None:
    """Destroy a node, if one is given, and leave ROS; a watchdog ends a hang with exit code 1.

    Fast DDS 3.2 can wait for itself without end when it takes down the TCP transport of LARGE_DATA
    (`TCPChannelResourceBasic::disconnect`), and holds Python's lock: the process would be deaf to signals, too. What
    was published went out before.
    """
    rclpy = require_rclpy()
    if node is None and not rclpy.ok():  # it never began
        return
    with watchdog(longest_s, _END_TEXT.format(longest_s)):
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def process_age_s() -> float | None:
    """For how long this process lives [s]; None where the system does not tell (/proc, Linux)."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _check_domain() -> None:
    """Fast DDS ends the process without an error of its own for numbers that have no port."""
    domain = os.environ.get("ROS_DOMAIN_ID", "").strip()
    if domain and not (domain.isdecimal() and len(domain) < 5 and int(domain) <= _LAST_DOMAIN):
        raise ParameterError(f"ROS_DOMAIN_ID is {domain}, allowed: 0 to {_LAST_DOMAIN} (0 to 101 is safe everywhere)")


def _allow_files() -> None:
    """Raise the number of descriptors that the process may have, where it is very low.

    Raises:
        ParameterError: it may not be raised so far.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FEWEST_FILES:
        return
    wanted = _FEWEST_FILES if hard == resource.RLIM_INFINITY else min(hard, _FEWEST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < _FEWEST_FILES // 4:
        raise ParameterError(f"this process may open {wanted} files at once, ROS needs more: ulimit -n {_FEWEST_FILES}")


def _explain(args: Sequence[str], said: str) -> str:
    """What rclpy says about arguments, in the words of the way out."""
    for before, word in zip(("", *args), args, strict=False):
        if ":=" in word and word in said and before not in ("-p", "--param", "-r", "--remap"):
            return f"unknown argument {word}: to remap a topic write --ros-args -r {word}"
    return said


def log_folder_fault() -> str:
    """Why ROS could not write its log; empty if it can. Looks where rcl_logging looks, and makes the folder."""
    environment = os.environ
    named = environment.get("ROS_LOG_DIR") or environment.get("ROS_HOME")
    home = environment.get("HOME")
    if not named and not home:
        return "HOME is not set"
    folder = Path(environment.get("ROS_LOG_DIR") or Path(environment.get("ROS_HOME") or f"{home}/.ros") / "log")
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except (OSError, RuntimeError, ValueError) as error:
        return f"{folder} cannot be written ({getattr(error, 'strerror', None) or error})"


@contextmanager
def watchdog(longest_s: float, text: str = "") -> Iterator[None]:
    """End the process with exit code 1 and a line on stderr, `text` or that of a start, if the block takes longer.

    Fast DDS waits without end, and holding Python's lock, for a port of shared memory that another process began to
    make when it was killed. No signal handler and no thread of Python can run then.
    """
    said = text or _hang_text(longest_s)
    until = str(time.monotonic() + longest_s)
    teller = subprocess.Popen([sys.executable, "-I", "-S", "-c", _TELLER, until, said], stdin=subprocess.PIPE)
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(longest_s + 1, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            teller.communicate(b"x")  # in time


def _hang_text(longest_s: float) -> str:
    empty = [path.name for path in sorted(_SHARED_MEMORY.glob(_PORT_FILES)) if _is_empty(path)]
    named = f" (all zeros: {', '.join(empty[:4])})" if empty else ""
    return (
        f"prehend: Fast DDS does not start for {longest_s:g} s: probably a killed process left a port of shared memory "
        f"half made{named}. Stop all ROS nodes, then: rm /dev/shm/*fastdds*; or set FASTDDS_BUILTIN_TRANSPORTS=UDPv4\n"
    )


def _is_empty(path: Path) -> bool:
    try:
        with path.open("rb") as file:  # the locks beside them, `_el`, are empty as they should be
            head = file.read(4096)
    except OSError:
        return False
    return bool(head) and not any(head)


@contextmanager
def _default_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process as they do without Python."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _SIGNALS if not _is_ignored(number)}
    try:
        yield
    finally:
        restore_signals(before)


Handlers = dict[signal.Signals, Any]


def stop_on_signals(stop: Any) -> Handlers:
    """Set the event `stop` on SIGINT, SIGTERM and SIGHUP; returns what to give to `restore_signals`."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    return {number: signal.signal(number, handler) for number in _SIGNALS if not _is_ignored(number)}


def _is_ignored(number: int) -> bool:
    """Whether a signal that only some send was ignored from the start; shells ignore SIGINT of jobs in the background,
    and ROS's launch sends it all the same."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN


def restore_signals(before: Handlers) -> None:
    """Undo `stop_on_signals`."""
    for number, handler in before.items():
        signal.signal(number, handler)
