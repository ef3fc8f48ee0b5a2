"""What sorts the tests, and what runs them before a commit and in CI."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from durations import NOTHING_S, QUICK_S, durations, functions, longest_quick, merged
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_seconds_of_a_function_are_those_of_all_its_parameters(tmp_path):
    (tmp_path / "test_naps.py").write_text(
        "import time, pytest\n\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_nap(n):\n    time.sleep(0.1)\n\n"
        "class TestMore:\n    def test_long(self):\n        time.sleep(0.25)\n\n"
        "def test_at_once():\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = durations(tmp_path / "report.xml")
    assert found["test_naps.py::test_long"] >= 0.2 and found["test_naps.py::test_nap"] >= 0.2
    assert functions(tmp_path) == set(found)


def test_a_report_of_some_tests_changes_these_alone():
    known = {"test_a.py::test_one": 3.0, "test_a.py::test_two": 1.0, "test_gone.py::test_gone": 9.0}
    there = {"test_a.py::test_one", "test_a.py::test_two", "test_b.py::test_new"}
    found = merged(known, {"test_a.py::test_two": 4.0, "test_b.py::test_new": 0.0}, there)
    assert list(found.items()) == [
        ("test_a.py::test_two", 4.0),
        ("test_a.py::test_one", 3.0),
        ("test_b.py::test_new", 0.0),
    ]


@given(st.lists(st.integers(0, 50).map(lambda tenths: tenths / 10)), st.floats(0.1, 30))
def test_as_many_of_the_shortest_are_quick_as_fit(seconds, budget_s):
    longest = longest_quick(seconds, budget_s)
    assert sum(one for one in seconds if one <= longest) <= budget_s + 1e-6
    longer = [one for one in seconds if one > longest]
    if longer:
        more = [one for one in seconds if one <= min(longer)]
        assert sum(max(one, NOTHING_S) for one in more) > budget_s


def test_most_of_the_tests_are_quick():
    """The budget holds them: were the shortest alone longer than it, `make quick` would run none."""
    seconds = list(json.loads((ROOT / "test" / "durations.json").read_text()).values())
    longest = longest_quick(seconds, QUICK_S)
    assert sum(one <= longest for one in seconds) > 0.6 * len(seconds)


def test_what_nobody_measured_is_left_out_and_told(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "test" / "conftest.py").read_text())
    (tmp_path / "durations.json").write_text('{"test_some.py::test_old": 0.0, "test_some.py::test_long": 99.0}')
    names = ("old", "long", "new")
    (tmp_path / "test_some.py").write_text("".join(f"def test_{name}():\n    pass\n\n" for name in names))
    quick = re.search(r"^LANE := (.*)$", MAKEFILE, re.MULTILINE).group(1)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-m", quick, "."]
    paths = os.pathsep.join([str(ROOT / "tools"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert re.findall(r"::test_(\w+) PASSED", done.stdout) == ["old"]
    assert "1 new tests were left out: make durations" in done.stdout


@pytest.mark.parametrize(
    ("file", "lane"),
    [
        ("test_wheel.py", "slow"),
        ("ros/playback/test_play.py", "ros"),
        ("training/scenes/render/test_render.py", "render"),
    ],
)
def test_lanes_are_marks_that_quick_leaves_out(file, lane):
    quick = re.search(r"^LANE := (.*)$", MAKEFILE, re.MULTILINE).group(1)
    assert f"not {lane}" in quick
    if lane == "ros":
        pytest.importorskip("rosbags", reason="needs the extra 'ros'")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", f"test/{file}"]
    of_lane = subprocess.run([*command, "-m", lane], cwd=ROOT, capture_output=True, text=True)
    of_quick = subprocess.run([*command, "-m", quick], cwd=ROOT, capture_output=True, text=True)
    told = set(re.findall(r"^test/\S+", of_lane.stdout, re.MULTILINE))
    assert told and not told & set(re.findall(r"^test/\S+", of_quick.stdout, re.MULTILINE))


def test_commits_are_checked_as_make_check_does():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    checks = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE).group(1)
    tools = re.findall(r"\$\(BIN\)/(ruff format|ruff check|mypy)", checks)
    assert [re.search(r"/(ruff format|ruff check|mypy)", hook["entry"]).group(1) for hook in hooks] == tools
    pytest.importorskip("pre_commit", reason="needs the extra 'dev'")
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, check=True)


def test_hooks_mend_what_is_committed(tmp_path):
    """The hooks themselves, on a file that two of them change; types are left out: they are of the whole tree."""
    pytest.importorskip("pre_commit", reason="needs the extra 'dev'")
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "careless.py").write_text(
        '"""A module."""\nimport sys\nimport os\nprint( os.sep,sys.path )  # noqa: T201\n'
    )
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "careless.py", ".pre-commit-config.yaml"], cwd=tmp_path, check=True)
    environment = os.environ | {"SKIP": "mypy", "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    first, second = (
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True) for _ in range(2)
    )
    assert first.returncode == 1 and second.returncode == 0, first.stdout + first.stderr + second.stdout
    assert (tmp_path / "careless.py").read_text().splitlines()[1:4] == ["", "import os", "import sys"]


def test_ci_runs_one_script_everywhere_and_with_every_python():
    assert "tools/ci.sh" in (ROOT / ".ci" / "run").read_text()
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["ci"]
    assert any("tools/ci.sh" in step.get("run", "") for step in job["steps"])
    text = (ROOT / "pyproject.toml").read_text()
    low, high = map(int, re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups())
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(low, high)]
    assert re.search(r"for version in (.*); do", MAKEFILE).group(1).split() == job["strategy"]["matrix"]["python"]
    script = (ROOT / "tools" / "ci.sh").read_text()
    assert re.findall(r"^make (\w+)$", script, re.MULTILINE) == ["check", "docs", "test"]


@pytest.fixture
def checkout(tmp_path):
    """(folder, what runs make there): the Makefile and one test, installed for this Python, alone on the path."""
    version = f"3.{sys.version_info.minor}"
    (tmp_path / "training").mkdir()
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt", "training/pyproject.toml", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_one.py").write_text("import sys\n\n\ndef test_one():\n    print('in', sys.prefix)\n")
    environment = tmp_path / f".venv-{version}"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    for name in ("lib", "pyvenv.cfg"):
        if (Path(sys.prefix) / name).exists():
            (environment / name).symlink_to(Path(sys.prefix) / name)
    (environment / ".dev").touch()
    (tmp_path / "bin").mkdir()
    for name in ("make", "sh", "env"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "bin" / f"python{version}").symlink_to(sys.executable)

    def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
        return subprocess.run(["make", *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True)

    return tmp_path, run_make


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_pythons_tests_with_each_python_that_is_here_and_says_which_is_not(checkout):
    folder, run_make = checkout
    version = f"3.{sys.version_info.minor}"
    done = run_make("pythons", "TEST_ARGS=-s -p no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"in {folder / '.venv-'}{version}" in done.stdout and f"tested with Python {version}\n" in done.stdout
    left_out = {"3.10", "3.11", "3.12"} - {version}
    assert set(re.findall(r"^python(\S+) is not here: left out", done.stdout, re.MULTILINE)) == left_out


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_pythons_fails_where_a_test_fails_or_no_python_is_here(checkout):
    folder, run_make = checkout
    (folder / "test" / "test_one.py").write_text("def test_one():\n    assert False\n")
    assert run_make("pythons").returncode != 0
    (folder / "bin" / f"python3.{sys.version_info.minor}").unlink()
    done = run_make("pythons")
    assert done.returncode != 0 and "nothing was tested" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("bash") is None, reason="needs make and bash")
def test_ci_with_a_python_of_its_own_does_not_use_the_environment_of_another(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "ci.sh").symlink_to(ROOT / "tools" / "ci.sh")
    (tmp_path / "Makefile").write_text("VENV ?= .venv\ncheck docs test:\n\t@echo $@ $(VENV)\n")
    plain = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "VENV", "MAKEFLAGS")}

    def ran(**environment: str) -> list[str]:
        command = ["bash", str(tmp_path / "tools" / "ci.sh")]
        done = subprocess.run(command, env=plain | environment, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("check", "docs", "test")]

    own = f".venv-3.{sys.version_info.minor}"
    assert ran() == ["check .venv", "docs .venv", "test .venv"]
    assert ran(PYTHON=sys.executable) == [f"check {own}", f"docs {own}", f"test {own}"]
    assert ran(PYTHON=sys.executable, VENV="mine") == ["check mine", "docs mine", "test mine"]
