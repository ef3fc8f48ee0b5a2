"""Standard streams that are closed or full: real processes, as a shell starts them."""

import os
import shlex
import subprocess
import sys

import pytest

PREHEND, TRAIN = "prehend.cli.main", "prehend_training.cli.main"
CLOSED = "the output cannot be written: the standard output is closed"


def shell(module: str, words: str) -> subprocess.CompletedProcess:
    code = f"import sys; from {module} import main; sys.exit(main())"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {words}"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120, env=environment
    )


@pytest.mark.parametrize("words", ["models", "files", "objects list", "--version", "eval --help"])
def test_what_is_written_to_a_closed_standard_output_is_an_error(words):
    done = shell(PREHEND, f"{words} >&-")
    assert (done.returncode, done.stderr) == (1, f"prehend {words.split()[0]}: {CLOSED}\n")


@pytest.mark.parametrize("words", ["models", "--version"])
def test_a_full_one_is_told_the_same_way(words):
    done = shell(PREHEND, f"{words} >/dev/full")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "no space left" in done.stderr


@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-"])
def test_wrong_use_stays_wrong_use(streams):
    done = shell(PREHEND, f"models --nonesuch {streams}")
    assert done.returncode == 2 and "Traceback" not in done.stderr and CLOSED not in done.stderr


def test_other_streams_that_are_closed_with_it_change_nothing():
    assert shell(PREHEND, "files <&- >&- 2>&-").returncode == 1


def test_training_says_it_too_and_lets_a_reader_leave():
    pytest.importorskip("prehend_training")
    for words in ("presets", "presets --help"):
        done = shell(TRAIN, f"{words} >&-")
        assert (done.returncode, done.stderr) == (1, f"prehend-train presets: {CLOSED}\n")
    done = shell(TRAIN, "presets | true")
    assert done.stderr == ""
