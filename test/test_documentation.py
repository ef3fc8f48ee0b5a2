"""The commands, links and programs in README, CONTRIBUTING and docs/: what they show is what there is."""

import argparse
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from prehend.cli.main import VERBS, main
from prehend.errors import DISTRIBUTION
from prehend.resources import resource

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {
        path
        for pattern in ("*.md", "docs/*.md", "training/*.md", "training/**/README.md", "src/**/NOTICE.md")
        for path in ROOT.glob(pattern)
    }
)
FENCE = re.compile(r"^```(?:sh|bash|)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    .+\n)+", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(path: Path) -> Iterator[str]:
    """Lines of a page's shell blocks; what goes on with a backslash is one line."""
    text = path.read_text()
    blocks = [
        *FENCE.findall(text),
        *(re.sub("^    ", "", block, flags=re.MULTILINE) for block in INDENTED.findall(text)),
    ]
    for block in blocks:
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            yield line.partition(" #")[0].strip()


def programs(program: str) -> list[tuple[str, list[str]]]:
    found = []
    for path in PAGES:
        for line in commands(path):
            if line.startswith(f"{program} ") and "|" not in line:
                found.append((f"{named(path)}: {line}", shlex.split(line)[1:]))
    return found


class Understood(Exception):
    """The parser has taken the arguments."""


@pytest.mark.parametrize(("shown", "arguments"), programs("prehend"), ids=lambda value: str(value)[:70])
def test_prehend_understands_its_commands(shown, arguments, monkeypatch):
    """The real parsers take every line; nothing is run."""
    if arguments[0] in ("node", "play"):
        pytest.importorskip("rclpy", reason="needs the extra 'ros'")
    if arguments[0] == "node" or re.search(r"\[|\.\.\.", shown.partition(": ")[2]):
        assert arguments[0] in VERBS  # the rest is ROS arguments, or a synopsis
        return
    take = argparse.ArgumentParser.parse_args

    def stop(parser, *given, **named):
        take(parser, *given, **named)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Understood):
        main(arguments)


def test_prehend_train_understands_its_commands():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from prehend_training.cli.main import _parser

    shown = programs("prehend-train")
    assert len(shown) > 20
    for line, arguments in shown:
        if arguments[-1] == "..." or "..." in arguments:
            continue  # goes on as the line before it
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                _parser().parse_args(arguments)
            except SystemExit as ended:
                assert ended.code == 0, f"{line}\n{said.getvalue()}"


def test_source_files_that_pages_name_are_there():
    """A path in backticks lies below the root, a package, the tests or the page; history may name what is gone."""
    bases = [ROOT / base for base in ("", "src", "src/prehend", "training", "training/prehend_training", "test")]
    shown = 0
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for name in re.findall(r"`([\w.-]+/[\w./-]+\.py)(?:::\w+)?`", text):
            if page.name in ("CHANGELOG.md", "RUNS.md"):
                continue
            shown += 1
            assert any((base / name).is_file() for base in [*bases, page.parent]), f"{named(page)}: {name}"
    assert shown > 30


def test_targets_of_make_are_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {arguments[0] for _, arguments in programs("make")}
    assert {"demo", "test", "quick"} <= shown <= targets


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path):
    for target in LINK.findall(path.read_text()):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        page = path if not place else (path.parent / place).resolve()
        assert page.exists(), f"{named(path)} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}, target


def test_every_page_is_in_the_index():
    text = (ROOT / "docs" / "index.md").read_text()
    listed = {(ROOT / "docs" / f"{line}.md").resolve() for line in re.findall(r"^([./\w]+)$", text, re.MULTILINE)}
    assert {path for path in PAGES if path != ROOT / "docs" / "index.md"} <= listed


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_what_pip_is_told_to_install_is_ours(path):
    """`pip install prehend` brings somebody else's program."""
    for words in re.findall(r"pip install ((?:'[^']*'|[^\s`'#;)]|[ ](?! ))+)", path.read_text()):
        assert not re.search(r"(?<![\w./-])prehend(?![\w-])", words), f"{named(path)}: pip install {words}"


def said_by_the_program_of_the_readme(number: int, folder: Path) -> str:
    programs = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    command = [sys.executable, "-c", programs[number]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program_of_the_readme_runs(tmp_path):
    clip = cv2.VideoCapture(str(resource("hands.mp4")))
    cv2.imwrite(str(tmp_path / "photo.jpg"), clip.read()[1])
    assert re.search(r"^1 (left|right) \[", said_by_the_program_of_the_readme(0, tmp_path), re.MULTILINE)


def test_the_program_of_the_readme_that_waits_for_later_images_tells_all_of_them(tmp_path):
    clip = cv2.VideoCapture(str(resource("hands.mp4")))
    frames = [clip.read()[1] for _ in range(8)]
    writer = cv2.VideoWriter(str(tmp_path / "my.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    lines = re.findall(r"^(\d) (\S+) \[array", said_by_the_program_of_the_readme(1, tmp_path), re.MULTILINE)
    assert [int(index) for index, _ in lines] == list(range(8))
    waited = [float(lag_s) for _, lag_s in lines]
    assert waited == pytest.approx([0.2] * 5 + [2 / 15, 1 / 15, 0], abs=1e-6), "three images at 15 Hz"


def test_the_node_of_the_readme_hears_its_player():
    pytest.importorskip("rclpy", reason="needs the extra 'ros'")
    from prehend.ros.playback.play import DEFAULT_TOPIC

    [node], [player] = (
        [line for line in commands(ROOT / "README.md") if line.startswith(f"prehend {verb} ")]
        for verb in ("node", "play")
    )
    assert f"-r image_raw:={DEFAULT_TOPIC}" in node and "--topic" not in player


@pytest.mark.slow
def test_the_commands_of_the_readme_without_ros_run(tmp_path):
    """All of that section, on a short video and photographs of the clip."""
    clip, frames = cv2.VideoCapture(str(resource("hands.mp4"))), []
    while len(frames) < 6 and (frame := clip.read()[1]) is not None:
        frames.append(frame)
    writer = cv2.VideoWriter(str(tmp_path / "my.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), frames[0])
    section = re.search(r"^## Without ROS\n(.*?)^```python", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = []
    for line in INDENTED.findall(section.group(1))[0].splitlines():
        program, *arguments = shlex.split(line.replace("$(prehend files hands.mp4)", "my.mp4"), comments=True)
        if program == "pip" or arguments[0] == "view":
            continue  # test_wheel.py installs; a camera is needed, and test/cli/running/test_view.py looks on
        done = subprocess.run(
            [sys.executable, "-m", "prehend.cli.main", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        ran.append(arguments[0])
    assert {"run", "doctor"} <= set(ran) and (tmp_path / "hands.json").exists()


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs the extra 'docs'")
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    command = re.search(r"-m (sphinx .*) out/docs", (ROOT / "Makefile").read_text()).group(1)
    assert "-W" in command
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in ("prehend.pipeline", "prehend_training.train.tasks"):
        assert (tmp_path / "docs" / "api" / f"{page}.html").exists()


def test_the_distribution_is_named_once():
    for path in (ROOT / "pyproject.toml", ROOT / "training" / "pyproject.toml"):
        assert not re.search(r'"prehend\[', path.read_text())
    assert f'name = "{DISTRIBUTION}"' in (ROOT / "pyproject.toml").read_text()


def test_every_dependency_says_what_it_is_for():
    """Behind it, or before a group of packages that are one (ROS)."""
    for path in (ROOT / "pyproject.toml", ROOT / "training" / "pyproject.toml"):
        text = path.read_text().partition("\n[tool.")[0]
        for line in re.findall(r'^    "[a-z][^"]*",?.*$', text, re.MULTILINE):
            named = re.match(r'    "(?:ros-|av>)', line)
            assert named or re.search(r"# \S", line), f"{path.name}: {line.strip()}"


def test_hints_name_the_distribution_that_installs_the_extra():
    files = [path for part in ("src", "training", "tools", "docs") for path in (ROOT / part).rglob("*.*")]
    texts = {path: path.read_text() for path in files if path.suffix in (".py", ".md", ".yaml")}
    assert len(texts) > 500
    assert not [path for path, text in texts.items() if re.search(r"pip install [^\n]*['\" ]prehend\[", text)]
