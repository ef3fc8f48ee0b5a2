"""The container file, as far as it can be checked without building it; CI builds it."""

import ast
import re
import shlex
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker"
LINES = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text()).splitlines()
COPIED = [words[1:-1] for line in LINES if (words := shlex.split(line, comments=True))[:1] == ["COPY"]]
ROSDEP = {"python3-numpy": "numpy", "python3-opencv": "opencv-python-headless", "python3-scipy": "scipy",
          "python3-tqdm": "tqdm", "python3-yaml": "pyyaml"}  # fmt: skip


def test_what_is_copied_is_there_and_not_left_out():
    paths = [path for group in COPIED for path in group]
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path
    first, *allowed = [
        line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"
    ]
    kept = {line.removeprefix("!") for line in allowed if line.startswith("!")}
    assert first == "*" and kept == {path.split("/")[0] for path in paths}


def test_what_cmake_installs_is_copied():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    paths = {path for group in COPIED for path in group}
    for names in re.findall(r"install\(DIRECTORY ([a-z/ ]+?) DESTINATION", cmake):
        assert {name.split("/")[0] for name in names.split()} <= paths
    assert {"src", "msg", "package.xml", "CMakeLists.txt"} <= paths


def test_instructions_are_known_and_scripts_are_bash():
    known = {"ARG", "FROM", "SHELL", "ENV", "RUN", "COPY", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert {line.split()[0] for line in LINES if line.strip() and not line.startswith("#")} == known
    for script in FOLDER.glob("*.sh"):
        assert script.read_text().startswith("#!/usr/bin/env bash\n")
    named = set(re.findall(r"docker/(\w+\.\w+)", "\n".join(LINES)))
    assert named == {path.name for path in FOLDER.iterdir() if path.name.endswith((".sh", ".txt"))}


def test_the_tests_and_launch_files_that_it_runs_are_there():
    script = (FOLDER / "check.sh").read_text()
    tests, files = re.findall(r"test/\S+\.py", script), re.findall(r"\w+\.launch\.py", script)
    assert len(tests) > 3 and all((ROOT / path).is_file() for path in tests)
    assert sorted(files) == sorted(path.name for path in (ROOT / "launch").glob("*.launch.py"))


def test_every_launch_file_is_started_with_each_of_its_arguments():
    script = re.sub(r"\\\n\s*", "", (FOLDER / "launched.sh").read_text())
    given: dict[str, set[str]] = {}
    for name, arguments in re.findall(r"(\w+\.launch\.py) (.*)", script):
        given.setdefault(name, set()).update(re.findall(r"(\w+):=", arguments))
    taken = {}
    for path in (ROOT / "launch").glob("*.launch.py"):
        [table] = re.findall(r"^ARGUMENTS = (\{.*?^\})", path.read_text(), re.MULTILINE | re.DOTALL)
        taken[path.name] = {key.value for key in ast.parse(table, mode="eval").body.keys}
    assert given == taken


def test_rosdep_and_pip_together_bring_every_dependency():
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli", reason="pytest brings it")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", text).group() for text in project["dependencies"]} | {"rosbags"}
    pip = [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    asked = {re.match(r"[\w-]+", line).group() for line in pip}
    package = {entry.text for entry in ET.parse(ROOT / "package.xml").getroot().findall("exec_depend")}
    assert needed <= asked | {ROSDEP[name] for name in package if name in ROSDEP}
    [numpy] = [line for line in pip if line.startswith("numpy")]
    assert numpy.endswith("<2")
    text = (ROOT / "docs" / "ROS.md").read_text()
    assert '"numpy<2"' in text and all(
        name in text for name in needed - {ROSDEP[name] for name in package & set(ROSDEP)}
    )


def test_ci_builds_it_for_each_distribution_and_tries_the_wheels():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert jobs["ros-installed"]["strategy"]["matrix"]["distro"] == ["humble", "jazzy"]
    assert "docker/Dockerfile" in jobs["ros-installed"]["steps"][-1]["run"]
    text = (ROOT / "tools" / "ros_workspace.py").read_text()
    [distros] = re.findall(r"^DISTROS = \((.*)\)", text, re.MULTILINE)
    assert jobs["ros-wheels"]["strategy"]["matrix"]["distro"] == [name.strip(' "') for name in distros.split(",")]
    assert "tools/ros_workspace.py" in jobs["ros-wheels"]["steps"][-1]["run"]
