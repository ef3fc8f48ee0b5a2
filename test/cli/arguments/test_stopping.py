"""Signals, wrong words and exit codes as a shell sees them."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prehend.cli.arguments.parsing import Parser, count_from, number_between
from prehend.cli.arguments.stopping import Stopped, stopped_by_signals
from prehend.cli.assets.models import accuracy, measured_lines
from prehend.cli.main import VERBS, main, usage
from prehend.resources import resource, resources

NUMBERS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def listening():
    """Under nohup this process inherits that SIGHUP is ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_stops_the_work_and_says_which(number):
    with pytest.raises(Stopped) as stopped, stopped_by_signals():
        os.kill(os.getpid(), number)
        signal.pause()
    assert stopped.value.number == number and isinstance(stopped.value, KeyboardInterrupt)


def test_handlers_are_as_before_whether_it_was_stopped_or_not():
    before = [signal.getsignal(number) for number in NUMBERS]
    with stopped_by_signals():
        assert [signal.getsignal(number) for number in NUMBERS] != before
    assert [signal.getsignal(number) for number in NUMBERS] == before
    with pytest.raises(Stopped), stopped_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_a_signal_that_was_ignored_stays_ignored():
    """`nohup prehend run ...` goes on when its terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_signal_waits_until_the_files_are_finished():
    done = False
    with pytest.raises(Stopped) as stopped, stopped_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            done = True
    assert done and stopped.value.number == signal.SIGTERM


def test_in_a_thread_nothing_is_changed():
    seen = []

    def work():
        with stopped_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("text", ["0", "1", "-1", "nan", "inf", "", "a", "1e999"])
def test_a_number_outside_is_refused_also_where_it_is_none(text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        number_between(0, 1)(text)
    assert number_between(0, 1)("0.5") == 0.5


@pytest.mark.parametrize("text", ["-1", "0", "1.5", "", "a", "nan"])
def test_a_count_is_a_whole_number_from_its_least_on(text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        count_from(1)(text)
    assert count_from(1)("1") == 1


def test_a_count_may_have_a_most():
    """A billion threads would be started one after the other."""
    with pytest.raises(argparse.ArgumentTypeError, match="above 9"):
        count_from(0, 9)("10")
    assert count_from(0, 9)("9") == 9


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--number", "2"], "argument --number: 2 is not between 0 and 1"),
        (["--number", "x"], "argument --number: invalid number value: 'x'"),
        (["--count", "x"], "argument --count: invalid whole number value: 'x'"),
        (["--num", "0.5"], "unrecognized arguments: --num 0.5"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_words_are_one_line_that_names_the_help(capsys, argv, says):
    parser = Parser("prehend toy", "A toy.")
    parser.add_argument("--number", type=number_between(0, 1))
    parser.add_argument("--count", type=count_from(1))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(argv)
    assert ended.value.code == 2 and capsys.readouterr().err == f"prehend toy: {says} (see prehend toy --help)\n"


@pytest.mark.parametrize("word", ["runn", "RUN", "-x", "..", "run "])
def test_an_unknown_verb_lists_those_there_are(capsys, word):
    assert main([word]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and all(verb in err for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "code"),
    [("nonesuch 2>&-", 2), ("2>&-", 2), ("--version <&-", 0), ("nonesuch <&- 2>&-", 2)],
)
def test_a_closed_standard_input_or_error_changes_no_exit_code(words, code):
    command = f"exec {shlex.quote(sys.executable)} -m prehend.cli.main {words}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def test_the_usage_tells_every_verb_and_every_exit_code():
    text = usage()
    assert all(f"  {verb} " in text and said in text for verb, said in VERBS.items())
    assert all(code in text for code in ("0 done", "1 failed", "2 wrong use", "130", "143"))
    assert max(map(len, text.splitlines())) <= 110


def test_files_are_told_one_a_line_or_alone(capsys):
    assert main(["files"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [str(path) for path in resources().values()] and all(Path(line).is_file() for line in lines)
    for name in ("node.yaml", "hands.mp4"):
        assert main(["files", name]) == 0 and capsys.readouterr().out == f"{resource(name)}\n"
    assert main(["files", "nod.yaml"]) == 2
    assert "unknown file 'nod.yaml': choose one of node.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("measured", [{}, {"photographs": {}}, {"photographs": {"detect": {"x": 3}}}, {"else": 1}])
def test_a_manifest_without_figures_has_a_dash(measured):
    assert accuracy(measured) == "-"


def test_figures_of_any_depth_are_lines_in_their_order():
    assert measured_lines({"a": {"b": 0.5, "c": [1]}, "d": None}) == ["a b 0.5", "a c [1]", "d None"]
    assert measured_lines(3) == ["3"] and measured_lines({}) == []
