"""What `pip install` gives somebody who has no checkout: built, installed and run outside of it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import pytest

from prehend import __version__
from prehend.errors import DISTRIBUTION

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE", "src", "msg", "config", "launch", "examples")

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as a user's shell runs it: nothing of the checkout is on any path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the source archive, so that both are whole."""
    pytest.importorskip("setuptools", reason="needs the extra 'dev'")
    folder = tmp_path_factory.mktemp("wheel")
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "tree" / name, symlinks=True, ignore=leave_out)
        else:
            (folder / "tree").mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / "tree" / name)
    code = "from setuptools import build_meta; print('made', build_meta.build_sdist('..'))"
    made = run(sys.executable, "-c", code, folder=folder / "tree")
    assert made.returncode == 0, made.stderr
    archive = folder / made.stdout.split()[-1]
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", str(archive)]
    made = run(*pip, folder=folder)
    assert made.returncode == 0, made.stderr
    [path] = folder.glob("*.whl")
    assert path.name == f"{DISTRIBUTION.replace('-', '_')}-{__version__}-py3-none-any.whl"
    return path


@pytest.fixture(scope="module")
def home(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel alone; its dependencies are those of the tests."""
    home = tmp_path_factory.mktemp("home")
    assert run(sys.executable, "-m", "venv", "--without-pip", home / "venv", folder=home).returncode == 0
    [site] = (home / "venv" / "lib").glob("python*/site-packages")
    # a path of a .pth is searched, but its own .pth files, those of an editable checkout, are not read
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [sys.executable, "-m", "pip", "--python", home / "venv" / "bin" / "python", "install", "--no-deps"]
    done = run(*pip, "--no-index", "--force-reinstall", wheel, folder=home)
    assert done.returncode == 0, done.stderr
    return home


def prehend(home: Path, *arguments: str | Path) -> str:
    done = run(home / "venv" / "bin" / "prehend", *arguments, folder=home)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_it_is_this_version_and_not_the_checkout(home):
    assert prehend(home, "--version") == f"prehend {__version__}\n"
    code = "import prehend, pathlib; p = pathlib.Path(prehend.__file__); print(p, (p.parent / 'py.typed').exists())"
    where, typed = run(home / "venv" / "bin" / "python", "-c", code, folder=home).stdout.split()
    assert where.startswith(str(home)) and typed == "True"


def test_the_doctor_finds_all_that_is_needed(home):
    checks = {check["name"]: check for check in json.loads(prehend(home, "doctor", "--json"))}
    assert all(check["status"] != "broken" for check in checks.values())
    assert str(home) in checks["files"]["detail"]


def test_files_of_every_folder_are_in_it(home):
    names = {Path(line).name for line in prehend(home, "files").splitlines()}
    there = [
        path for folder in ("config", "launch", "examples") for path in (ROOT / folder).iterdir() if path.is_file()
    ]
    assert names == {path.name for path in there}
    assert len(there) == len(prehend(home, "files").splitlines())


def test_the_clip_becomes_hands(home):
    clip = cv2.VideoCapture(prehend(home, "files", "hands.mp4").strip())
    _, picture = clip.read()
    cv2.imwrite(str(home / "photo.png"), picture)
    prehend(home, "run", "photo.png", "--json", "hands.json", "--object", "mug", "--overlay", "drawn")
    content = json.loads((home / "hands.json").read_text())
    assert content["complete"] and content["frames"][0]["hands"]
    assert any((home / "drawn").iterdir())


def test_the_node_has_its_messages(home):
    pytest.importorskip("rosbags", reason="needs the extra 'bag'")
    code = "from prehend.ros.messages import HAND_ARRAY, typestore; print(HAND_ARRAY in typestore().types)"
    done = run(home / "venv" / "bin" / "python", "-c", code, folder=home)
    assert done.stdout == "True\n", done.stderr
    pytest.importorskip("rclpy", reason="needs the extra 'ros'")
    assert "usage: prehend node" in prehend(home, "node", "--help")


def test_the_hint_for_an_extra_is_a_command_that_works_though_nothing_is_published(home):
    """pip takes the extras of what is installed; without an index it can have asked nobody else."""
    pytest.importorskip("rosbags", reason="needs the extra 'bag'")
    code = "from prehend.errors import how_to_install; print(how_to_install('bag'))"
    hint = run(home / "venv" / "bin" / "python", "-c", code, folder=home).stdout
    assert hint == f"pip install '{DISTRIBUTION}[bag]'\n"
    pip = [sys.executable, "-m", "pip", "--python", home / "venv" / "bin" / "python", "install", "--dry-run"]
    done = run(*pip, "--no-index", f"{DISTRIBUTION}[bag]", folder=home)
    assert done.returncode == 0 and f"{DISTRIBUTION}[bag]" in done.stdout, done.stderr


def test_without_a_distribution_the_hint_is_the_checkout(tmp_path):
    # beside src/prehend lies the note of an editable install
    (tmp_path / "prehend").symlink_to(ROOT / "src" / "prehend")
    code = (
        "import sys; sys.path.insert(0, '.'); from prehend.errors import how_to_install; print(how_to_install('ros'))"
    )
    done = run(sys.executable, "-S", "-E", "-c", code, folder=tmp_path)
    assert done.stdout == "pip install '.[ros]' in a checkout of prehend\n", done.stderr
