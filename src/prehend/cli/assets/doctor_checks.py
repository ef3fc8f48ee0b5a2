"""The checks of `prehend doctor`. Each names one thing and says in a line what is there, or how to get it."""

import ctypes.util
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from prehend import __version__
from prehend.errors import PrehendError, how_to_install
from prehend.ros import TRANSPORT_VARIABLES, profile_variable

Status = Literal["ok", "missing", "broken"]

_NEEDED = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
    "yaml": "pyyaml",
    "tqdm": "tqdm",
}
_EXTRAS = {"rosbags": "bag", "torch": "torch", "tensorrt": "tensorrt", "rclpy": "ros"}
_PROBE_SIZE = (64, 48)


class Check(NamedTuple):
    """Result of one check; "missing" is said of optional things only."""

    name: str
    status: Status
    detail: str


def all_checks() -> Iterator[Check]:
    """Every check, the basic ones first; a later one is left out where it cannot work without an earlier one."""
    yield _python()
    modules = [_module(module, package) for module, package in _NEEDED.items()]
    yield from modules
    if all(check.status == "ok" for check in modules):
        yield _guarded("video", _video)
        yield _guarded("onnxruntime providers", _providers)
        yield _guarded("hand model", _hand_model)
        yield from _weights()
        yield _guarded("files", _files)
        yield _guarded("one image", _one_image)
    yield from (_extra(module, extra) for module, extra in _EXTRAS.items())
    yield _ros()
    yield _transport()
    yield _egl()
    yield _cameras()


def _python() -> Check:
    version = platform.python_version()
    fits = (3, 10) <= sys.version_info[:2] <= (3, 12)
    where = f"{version} at {sys.executable}, prehend {__version__}, {platform.platform()}, {os.cpu_count()} processors"
    return Check("python", "ok" if fits else "broken", where if fits else f"{version}: needs 3.10 to 3.12")


def _module(module: str, package: str) -> Check:
    try:
        importlib.import_module(module)
    except ImportError as error:  # not there, or a library it links to is not
        return Check(module, "broken", f"{error}: pip install {package}")
    return Check(module, "ok", _version(package))


def _extra(module: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(module, "missing", f"not installed: {how_to_install(extra)}")
    return Check(module, "ok", _version(module))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a system package, or another distribution of the module
        return "installed"


def _guarded(name: str, probe: Callable[[], str]) -> Check:
    """A check that is broken where its probe raises an error of ours."""
    try:
        return Check(name, "ok", probe())
    except PrehendError as error:
        return Check(name, "broken", str(error))


def _video() -> str:
    """Write a short video and read it again."""
    import numpy as np

    from prehend.io.films.writing import VideoWriter
    from prehend.io.sources import open_source

    width, height = _PROBE_SIZE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.mp4"
        writer = VideoWriter(path, 30.0)
        for level in (0, 128, 255):
            writer.write(np.full((height, width, 3), level, np.uint8))
        writer.close()
        with open_source(str(path)) as source:
            frames = sum(1 for _ in source)
    return f"writes {writer.codec}, read {frames} of 3 frames again"


def _providers() -> str:
    import onnxruntime

    return ", ".join(onnxruntime.get_available_providers())


def _hand_model() -> str:
    from prehend.hand_model import load_hand_model

    model = load_hand_model()
    return f"{model.name}, {model.num_vertices} vertices, sha256 {model.sha256[:12]}"


def _files() -> str:
    from prehend.resources import resources

    paths = list(resources().values())
    return f"{len(paths)} in {paths[0].parents[1]}: see prehend files"


def _weights() -> Iterator[Check]:
    from prehend.weights import SHIPPED, available, load_bundle

    names = available()
    if not names:
        yield Check("weights", "broken", f"none in {SHIPPED}: install the package again")
    for name in names:
        yield _guarded(f"weights {name}", lambda name=name: f"sha256 {load_bundle(name).weights_sha256[:12]}")  # type: ignore[misc]


def _one_image() -> str:
    """Run the default chain on an empty image."""
    import numpy as np

    from prehend.pipeline.load import load_estimator

    width, height = _PROBE_SIZE
    with load_estimator() as estimator:
        estimator.warm_up()
        result = estimator.estimate(np.zeros((height, width, 3), np.uint8))
    return f"{len(result.hands)} hands in an empty image, {result.timing_ms['total']:.1f} ms"


def _ros() -> Check:
    distribution = os.environ.get("ROS_DISTRO")
    if distribution is None:
        return Check("ROS environment", "missing", "ROS_DISTRO is not set: no ROS installation is sourced")
    built = importlib.util.find_spec("prehend_ros") is not None
    package = "prehend_ros is built" if built else "prehend_ros is not built: colcon build it for `ros2 topic echo`"
    return Check("ROS environment", "ok", f"{distribution}, {package}")


def _transport() -> Check:
    chosen = [f"{name}={os.environ[name]}" for name in TRANSPORT_VARIABLES if name in os.environ]
    if not chosen:
        hint = (
            f"{profile_variable()} is not set: camera drivers lose large images (docs/ROS.md; ours set it themselves)"
        )
        return Check("Fast DDS transports", "missing", hint)
    return Check("Fast DDS transports", "ok", ", ".join(chosen))


def _egl() -> Check:
    library = ctypes.util.find_library("EGL")
    return Check("EGL", "ok" if library else "missing", library or "not found: only rendering training data needs it")


def _cameras() -> Check:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return Check("camera devices", "ok" if found else "missing", ", ".join(found) or "none")
