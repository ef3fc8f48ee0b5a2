"""Builds the ROS package in a real ROS 2 workspace without a ROS installation: `python tools/ros_workspace.py kilted`.

PyPI has ROS 2 Jazzy and Kilted as wheels, with ament_cmake and rosidl (no launch, no rclcpp). They go into an
environment of their own; colcon then builds prehend_ros and test/ros/workspace/prehend_reader, which reads HandArray in
C++ and nests it, and runs the tests of both. Needs cmake, a C++ compiler and pip's index; the first time
takes about ten minutes on one core.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"prehend_ros": ROOT, "prehend_reader": ROOT / "test" / "ros" / "workspace" / "prehend_reader"}
DISTROS = ("jazzy", "kilted")
ROS_PARTS = (
    "rclpy[fastrtps]", "common-interfaces", "rosidl-default-generators", "rosidl-core-generators", "ament-package",
    "ament-cmake", "ament-cmake-python", "ament-cmake-pytest", "ament-cmake-include-directories", "ament-cmake-gtest",
    "ament-cmake-gmock", "ament-cmake-ros", "ament-cmake-export-include-directories", "ament-cmake-export-interfaces",
    "ament-cmake-export-libraries",
)  # fmt: skip
"""Without ros-DISTRO-; the wheels do not name all that their CMake files ask for."""

ONLY_IN = {"jazzy": ("python-cmake-module",), "kilted": ("ament-cmake-ros-core",)}
OTHERS = (
    "colcon-common-extensions", "pytest", "numpy", "opencv-python-headless", "onnxruntime", "safetensors", "pyyaml",
    "tqdm", "scipy", "rosbags", "hypothesis",
)  # fmt: skip
_BUILDERS_PYTHON = r"/opt/python/cp\d+-cp\d+/"


def main() -> int:
    """Build and test; the exit code says whether everything passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("distro", choices=DISTROS)
    parser.add_argument("--folder", type=Path, help="where all goes (default: out/ros_workspace/DISTRO)")
    parser.add_argument("--symlink-install", action="store_true", help="as developers build")
    args = parser.parse_args()
    missing = [program for program in ("cmake", "c++", "make") if shutil.which(program) is None]
    if missing:
        print(f"ros_workspace: not here: {', '.join(missing)}", file=sys.stderr)
        return 1
    folder = (args.folder or ROOT / "out" / "ros_workspace" / args.distro).resolve()
    try:
        venv = environment(folder / "venv", args.distro)
        workspace(folder)
        colcon(folder, venv, args.distro, "build", *(["--symlink-install"] if args.symlink_install else []),
               "--cmake-args", f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}")  # fmt: skip
        colcon(
            folder, venv, args.distro, "test", "--return-code-on-test-failure", "--event-handlers", "console_direct+"
        )
    except subprocess.CalledProcessError as error:
        print(f"ros_workspace: failed: {' '.join(map(str, error.cmd))[:200]}", file=sys.stderr)
        return 1
    print(f"ros_workspace: {args.distro}: built and tested in {folder}")
    return 0


def environment(venv: Path, distro: str) -> Path:
    """The distribution's wheels and colcon, made once."""
    done = venv / ".complete"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        names = [f"ros-{distro}-{part}" for part in (*ROS_PARTS, *ONLY_IN[distro])]
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", *names, *OTHERS], check=True)
        mend(venv)
        (venv / "COLCON_IGNORE").touch()  # its share/ holds the package.xml of a hundred packages
        done.touch()
    return venv


def mend(venv: Path) -> None:
    """The wheels' CMake files name folders of the machine that they were built on."""
    code = "import numpy; print(numpy.get_include())"
    numpy = subprocess.run([venv / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
    folders = {
        rf"{_BUILDERS_PYTHON}lib/python[\d.]+/site-packages/numpy/_?core/include": numpy.stdout.strip(),
        rf"{_BUILDERS_PYTHON}include/python3\.\d+": sysconfig.get_paths()["include"],
    }
    for path in (venv / "share").glob("*/cmake/*.cmake"):
        text = path.read_text()
        for theirs, ours in folders.items():
            text = re.sub(theirs, ours, text)
        if text != path.read_text():
            path.write_text(text)


def workspace(folder: Path) -> None:
    """A workspace whose sources are links into the checkout."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    for name, source in PACKAGES.items():
        link = folder / "src" / name
        link.unlink(missing_ok=True)
        link.symlink_to(source)


def colcon(folder: Path, venv: Path, distro: str, *arguments: str) -> None:
    """Run colcon in the workspace, with the wheels as the ROS installation beneath.

    Raises:
        CalledProcessError: it failed.
    """
    left_out = ("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    variables |= {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        "AMENT_PREFIX_PATH": str(venv),
        "CMAKE_PREFIX_PATH": str(venv),
        "ROS_DISTRO": distro,
        "ROS_VERSION": "2",
        "ROS_PYTHON_VERSION": "3",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    subprocess.run([venv / "bin" / "colcon", *arguments], cwd=folder, env=variables, check=True)


if __name__ == "__main__":
    sys.exit(main())
