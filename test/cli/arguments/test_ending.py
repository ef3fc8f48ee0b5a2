"""However a command ends: an exit code, at most one line, and what it wrote has left it."""

import errno
import os
import subprocess
import sys

import pytest

from prehend.cli.arguments.ending import ended
from prehend.cli.arguments.stopping import Stopped
from prehend.errors import AssetError, InvalidInput, ParameterError, SourceError, UnknownName


def raising(error):
    def work():
        raise error

    return work


OURS = [
    (SourceError("x.png: gone"), 1),
    (AssetError("no weights"), 1),
    (InvalidInput("a shape"), 1),
    (ParameterError("a against b"), 2),
    (UnknownName("model", "x", ["y"]), 2),
]


@pytest.mark.parametrize(("error", "code"), OURS)
def test_an_error_of_ours_is_its_line_behind_the_command(error, code, capsys):
    assert ended("prehend fly", raising(error)) == code
    out, said = capsys.readouterr()
    assert (out, said) == ("", f"prehend fly: {error}\n")


@pytest.mark.parametrize(("error", "_"), OURS)
def test_a_command_may_count_every_error_as_its_failure(error, _, capsys):
    assert ended("x", raising(error), wrong_uses=()) == 1
    assert capsys.readouterr().err == f"x: {error}\n"


@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_code_of_the_work_is_handed_on(code, capsys):
    assert ended("x", lambda: code) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", ["", "go on with the same command"])
def test_an_interruption_is_told_where_there_is_something_to_say(words, capsys):
    assert ended("x", raising(KeyboardInterrupt()), words) == 130
    assert capsys.readouterr().err == (f"x: {words}\n" if words else "")


@pytest.mark.parametrize("number", [15, 1])
def test_a_signal_is_in_the_exit_code(number, capsys):
    assert ended("x", raising(Stopped(number)), "not said") == 128 + number
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b.png"), "a/b.png: no such file"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "/root/x: permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "the output cannot be written: no space left"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_its_place(error, words, capsys):
    assert ended("x", raising(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"x: {words}") and said.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        ValueError("a fault"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        FileNotFoundError("nowhere"),  # though the current folder is there
    ],
)
def test_a_fault_of_ours_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        ended("x", raising(error))


def test_without_a_folder_to_stand_in_it_says_so(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ended("x", os.getcwd) == 1
    assert capsys.readouterr().err == "x: the current folder is gone: go to another one\n"


PROGRAM = """
import sys
from prehend.cli.arguments.ending import ended
def work():
    {work}
sys.exit(ended("x", work))
"""


def run(work, out):
    program = PROGRAM.format(work=work)
    return subprocess.run([sys.executable, "-c", program], stdout=out, stderr=subprocess.PIPE, text=True, timeout=300)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("end", ["return 0", "raise SystemExit(0)"])
def test_results_that_are_lost_are_no_success(end):
    """A parser that wrote its help ends with SystemExit, and nobody got it."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(f"print('result'); {end}", full)
    assert done.returncode == 1 and done.stderr == "x: the output cannot be written: no space left on device\n"


def test_a_reader_that_left_is_no_failure():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = run("print('result'); return 0", out)
    assert done.returncode == 0 and done.stderr == ""
