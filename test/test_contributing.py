"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", TEXT, re.DOTALL | re.MULTILINE))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PARTS = (
    "src", "training", "test", "config", "docs", "msg", "launch", "tools", "examples", "pyproject.toml", "package.xml",
)  # fmt: skip
PROGRAMS = {"prehend": "prehend.cli.main", "prehend-train": "prehend_training.cli"}


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture
def copy(tmp_path) -> Path:
    """The repository by hard links; whoever writes to a file makes a new one (see `put`)."""
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info", "api")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, symlinks=True, ignore=skip, copy_function=link_or_copy)
        else:
            shutil.copy2(ROOT / part, tmp_path / part)
    return tmp_path


def put(root: Path, head: str, body: str) -> Path:
    """Do what a block's first line says: a new file, or more at the end of one, or after a line of it."""
    name, _, where = head.partition(", ")
    path = root / name
    if not where:
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
        return path
    old = path.read_text()
    path.unlink()  # its link in the repository stays as it is
    if where == "at the end":
        path.write_text(old + body)
        return path
    line = where.removeprefix("after: ") + "\n"
    assert where.startswith("after: ") and old.count("\n" + line) == 1, f"{name} has no single line {line!r}"
    path.write_text(old.replace("\n" + line, "\n" + line + body))
    return path


def do(root: Path, line: str, environment: dict[str, str]) -> None:
    """Run one line of a shell block."""
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        environment[name] = value
        return
    program, *arguments = shlex.split(line, comments=True)
    module = PROGRAMS.get(program)
    command = [sys.executable, "-m", module, *arguments] if module else [sys.executable, *arguments]
    assert module or program == "python", line
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_there_is_a_recipe_for_each_thing_that_is_added_often():
    assert [name.split(maxsplit=1)[1] for name in RECIPES] == [
        "metric",
        "preset",
        "model",
        "parameter of the node",
        "object",
        "dataset",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_following_it_works(name, copy):
    if "training/" in RECIPES[name] or "prehend-train" in RECIPES[name]:
        pytest.importorskip("torch", reason="needs the extra 'train'")
    environment = {**os.environ, "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy / 'training'}"}
    written = []
    for language, text in BLOCK.findall(RECIPES[name]):
        if language == "sh":
            for line in text.splitlines():
                do(copy, line, environment)
        else:
            head, _, body = text.partition("\n")
            written.append(put(copy, head.removeprefix("# "), body))
    python = sorted({str(path) for path in written if path.suffix == ".py"})
    assert written and RECIPES[name].count("```sh") == 1
    if python:  # what a reader copies is in our style
        ruff = [sys.executable, "-m", "ruff"]
        for check in (["format", "--check", "-q"], ["check", "-q"]):
            done = subprocess.run([*ruff, *check, *python], cwd=copy, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_of_the_table_is_a_target():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", TEXT)) | set(re.findall(r"^make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"check", "quick", "test", "format", "coverage", "docs"} <= named <= targets
