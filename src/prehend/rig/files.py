"""Rigs as files: our own YAML, and Kalibr's camchain of several cameras."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prehend.errors import InvalidInput, PrehendError, SourceError
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.io.cameras.calibration_files import GivenCamera, given_camera, is_calibration, read_calibration
from prehend.rig.calibration import RigCalibration, RigCamera, checked_pose
from prehend.types import FloatArray

_POSES = ("T_rig_camera", "T_camera_rig", "position_m")
_WAYS = "T_rig_camera (4 x 4), T_camera_rig (its inverse), or position_m and quaternion_xyzw"


def read_rig(path: Path) -> RigCalibration:
    """The rig in a file.

    Our own form has `frame` and `cameras`, by name: each with a pose (`T_rig_camera`, 4 x 4, from the camera's optical
    frame to the rig's; or `T_camera_rig`, the other way round as OpenCV's calibration gives it; or `position_m` and
    `quaternion_xyzw` as TF has them) and, where it is not told elsewhere, its intrinsics, as `prehend run --cameras`
    takes them, or under `camera` the name of a file of them. Kalibr's camchain.yaml is read as it is: its first camera
    is the rig's frame.

    Raises:
        SourceError: it cannot be read, or is no rig; the text names the camera and the way out.
    """
    content = read_calibration(path)
    try:
        if isinstance(content, dict) and isinstance(content.get("cameras"), dict):
            frame = content.get("frame", "rig")
            if not isinstance(frame, str) or not frame.strip("/ "):
                raise InvalidInput(f"frame is {frame!r}, expected a name")
            cameras = {str(name): _camera(str(name), entry, path.parent) for name, entry in content["cameras"].items()}
            return RigCalibration(frame.strip("/ "), cameras)
        if isinstance(content, dict) and content and all(re.fullmatch(r"cam\d+", str(key)) for key in content):
            return _camchain(content)
        raise InvalidInput("no rig: expected 'cameras' with a pose each, or Kalibr's camchain")
    except PrehendError as error:
        raise SourceError(f"{path}: {error}") from error


def _camera(name: str, entry: Any, folder: Path) -> RigCamera:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InvalidInput(f"a camera is called {name!r}: names have letters, digits and _ (they are names of topics)")
    if not isinstance(entry, dict):
        raise InvalidInput(f"camera {name}: expected a pose and intrinsics by name")
    given = [key for key in _POSES if key in entry]
    if len(given) != 1:
        problem = "has no pose" if not given else f"has {' and '.join(given)}"
        raise InvalidInput(f"camera {name} {problem}: give one of {_WAYS}")
    try:
        return RigCamera(_pose(entry, given[0]), _intrinsics(entry, folder))
    except PrehendError as error:
        raise InvalidInput(f"camera {name}: {error}") from error


def _pose(entry: Mapping[str, Any], kind: str) -> FloatArray:
    try:
        numbers = np.array(entry[kind], np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{kind} is not made of numbers") from error
    if kind == "position_m":
        return _pose_of(numbers, entry.get("quaternion_xyzw"))
    if numbers.size == 16:
        numbers = numbers.reshape(4, 4)
    T = checked_pose(numbers)
    return T if kind == "T_rig_camera" else np.asarray(np.linalg.inv(T))


def _pose_of(place: FloatArray, turn: Any) -> FloatArray:
    try:
        quaternion = np.array(turn, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput("quaternion_xyzw is not made of numbers") from error
    if place.shape != (3,) or quaternion.shape != (4,) or not 0.9 < np.linalg.norm(quaternion) < 1.1:
        raise InvalidInput("position_m has 3 numbers and quaternion_xyzw 4, of length 1: x, y, z, w")
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_from_quaternion(quaternion), place
    return checked_pose(T)


def _intrinsics(entry: Mapping[str, Any], folder: Path) -> GivenCamera | None:
    if "camera" in entry:
        if not isinstance(entry["camera"], str):
            raise InvalidInput("'camera' is the name of a file with its intrinsics")
        return given_camera(read_calibration(folder / entry["camera"]))
    return given_camera(entry) if is_calibration(entry) else None


def _camchain(content: Mapping[str, Any]) -> RigCalibration:
    """Kalibr's: `T_cn_cnm1` takes points of the camera before to those of the camera."""
    cameras: dict[str, RigCamera] = {}
    T_rig_camera: FloatArray = np.eye(4)
    for number, key in enumerate(sorted(content, key=lambda name: int(str(name)[3:]))):
        entry = content[key]
        if not isinstance(entry, dict):
            raise InvalidInput(f"camera {key}: expected what Kalibr writes")
        if number:
            if "T_cn_cnm1" not in entry:
                raise InvalidInput(f"camera {key} has no pose: Kalibr writes it as T_cn_cnm1")
            T_rig_camera = T_rig_camera @ np.linalg.inv(_pose({"T_rig_camera": entry["T_cn_cnm1"]}, "T_rig_camera"))
        cameras[str(key)] = RigCamera(T_rig_camera, given_camera(entry))
    return RigCalibration("cam0", cameras)
