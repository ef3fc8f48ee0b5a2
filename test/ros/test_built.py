"""What `colcon build` made, tried where it was made: `colcon test`, or any shell with the workspace's setup file."""

import ctypes
import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

from prehend import __version__
from prehend.ros import messages as m

ROOT = Path(__file__).parents[2]
OURS = [f"{m.PACKAGE}/msg/{name}" for name in m.MESSAGE_NAMES]


def _prefix() -> Path | None:
    if importlib.util.find_spec("ament_index_python") is None:
        return None
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        return Path(get_package_prefix(m.PACKAGE))
    except (PackageNotFoundError, OSError):  # the latter: no workspace is set up at all
        return None


PREFIX = _prefix()
pytestmark = pytest.mark.skipif(PREFIX is None, reason="needs prehend_ros, built by colcon (tools/ros_workspace.py)")


class _TypeSupport(ctypes.Structure):
    """rosidl_message_type_support_t, as far as the hash is concerned; see rosidl_runtime_c."""

    _fields_ = (
        ("identifier", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("handle", ctypes.c_void_p),
        ("type_hash", ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_uint8 * 33), ctypes.c_void_p)),
    )


def compiled_hash(generated: type) -> str:
    """RIHS01 hash that the compiled library of a generated class tells."""
    type(generated).__import_type_support__()
    capsule = type(generated)._TYPE_SUPPORT
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer(capsule, name(capsule))
    told = _TypeSupport.from_address(address).type_hash(address).contents
    return f"RIHS{told[0]:02d}_{bytes(told[1:]).hex()}"


@pytest.mark.skipif(os.environ.get("ROS_DISTRO") == "humble", reason="Humble's types have no hashes")
@pytest.mark.parametrize("type_name", OURS)
def test_hashes_agree(type_name):
    """Ours, the generator's, and the compiled library's; what DDS tells is the library's."""
    name = type_name.rpartition("/")[2]
    listed = json.loads((PREFIX / "share" / m.PACKAGE / "msg" / f"{name}.json").read_text())["type_hashes"]
    hashes = {entry["type_name"]: entry["hash_string"] for entry in listed}
    generated = m.message_class(type_name)
    assert type(generated).__name__ != "BytesOnly"
    assert m.type_hash(type_name) == hashes[type_name] == compiled_hash(generated)


def test_what_we_write_is_what_the_generated_class_reads():
    from prehend_ros.msg import HandArray
    from rclpy.serialization import deserialize_message, serialize_message

    written = HandArray(latency_ms=4.5, dropped=7)
    written.header.frame_id = "camera"
    read = m.decode(serialize_message(written), m.HAND_ARRAY)
    assert (read.header.frame_id, read.latency_ms, read.dropped) == ("camera", 4.5, 7)
    assert deserialize_message(m.encode(read), HandArray) == written


def test_the_program_runs():
    program = PREFIX / "lib" / m.PACKAGE / "prehend"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, f"prehend {__version__}"), done.stderr


def test_nothing_dangles_and_everything_is_there():
    assert not [path for path in PREFIX.rglob("*") if path.is_symlink() and not path.exists()]
    share = PREFIX / "share" / m.PACKAGE
    for folder, pattern in (("msg", "*.msg"), ("launch", "*.py"), ("config", "*")):
        names = {path.name for path in (ROOT / folder).glob(pattern) if not path.name.startswith("__")}
        assert names and names <= {path.name for path in (share / folder).iterdir()}
    assert Path(m.__file__).is_relative_to(PREFIX), "another prehend comes first on the path"
    assert m.definitions_folder().name == "msg"
