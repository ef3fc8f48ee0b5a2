import os
import subprocess
import sys

import pytest

from prehend import __version__
from prehend.cli.main import VERBS, main
from prehend.errors import ParameterError, SourceError, UnknownName

HEAVY = ("numpy", "cv2", "onnxruntime", "torch", "rclpy")


def status(argv):
    try:
        return main(argv)
    except SystemExit as ended:
        return ended.code


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    assert all(f"  {verb}" in capsys.readouterr().out for verb in VERBS if verb == "run")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"prehend {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    if verb == "play":
        pytest.importorskip("rclpy", reason="the extra 'ros' is not installed")
    assert status([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: prehend {verb} ")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["--fast"],
        ["run"],
        ["run", "x.png", "--speed", "9"],
        ["run", "x.png", "--fov", "0"],
        ["run", "x.png", "--fov", "nan"],
        ["run", "x.png", "--fov", "wide"],
        ["run", "x.png", "--threads", "-1"],
        ["run", "x.png", "--js", "out.json"],
        ["models", "extra"],
        ["doctor", "--jso"],
    ],
)
def test_wrong_use_is_2_and_one_line(argv, capsys):
    assert status(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "--help)" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("x.png: gone"), 1),
        (ParameterError("a against b"), 2),
        (UnknownName("model", "x", ["y"]), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code):
    def fail(argv):
        raise error

    monkeypatch.setattr("prehend.cli.assets.models.run", fail)
    assert main(["models"]) == code
    said = capsys.readouterr().err
    assert said == ("" if code == 130 else f"prehend models: {error}\n")


def test_errors_that_are_not_ours_are_not_hidden(monkeypatch):
    def fail(argv):
        raise ZeroDivisionError

    monkeypatch.setattr("prehend.cli.assets.models.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["models"])


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["models", "--help"], ["node", "--help"]])
def test_help_loads_nothing_heavy(argv):
    code = (
        "import sys, contextlib\nfrom prehend.cli.main import main\n"
        f"with contextlib.suppress(SystemExit): main({argv})\n"
        f"sys.stderr.write(str([m for m in {HEAVY} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]"


@pytest.mark.parametrize(("wanted", "threads"), [(None, "1"), ("2", "2")])
def test_no_thread_of_a_linear_algebra_library_spins_beside_ours(wanted, threads):
    """Where the machine has several cores, NumPy alone would start one for each."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    code = (
        "import os\nfrom prehend.cli.main import main\nmain(['files'])\nimport numpy\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment if wanted is None else environment | {"OPENBLAS_NUM_THREADS": wanted},
        capture_output=True,
        text=True,
        check=True,
    )
    said, running = done.stdout.split()[-2:]
    assert said == threads and int(running) <= int(threads)
