import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prehend.errors import PrehendError
from prehend.ros import messages as m

ROOT = Path(__file__).parents[2]
OURS = [f"{m.PACKAGE}/msg/{name}" for name in m.MESSAGE_NAMES]


def test_every_definition_is_registered():
    assert {path.stem for path in (ROOT / "msg").glob("*.msg")} == set(m.MESSAGE_NAMES)
    assert (m.definitions_folder() / "Hand.msg").read_bytes() == (ROOT / "msg" / "Hand.msg").read_bytes()


@pytest.mark.parametrize("name", m.MESSAGE_NAMES)
def test_every_field_is_explained(name):
    text = (ROOT / "msg" / f"{name}.msg").read_text()
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    for number, line in enumerate(lines):
        if line and not line.startswith(("#", " ")) and "=" not in line.split("#")[0]:
            same_block = lines[number - 1] and not lines[number - 1].startswith("#")
            assert "#" in line or same_block, f"{name}.msg: {line}"


def ros_hash(type_name: str) -> str:
    """The type's hash by ROS's own parser and hash, for a type and all that it is made of."""
    from rosidl_adapter.parser import parse_message_string
    from rosidl_generator_type_description import (
        calculate_type_hash,
        extract_full_type_description,
        serialize_individual_type_description,
    )
    from rosidl_parser import definition as d

    def member(field) -> SimpleNamespace:
        kind = field.type
        if kind.pkg_name:
            value = d.NamespacedType([kind.pkg_name, "msg"], kind.type)
        elif kind.type == "string":
            value = d.UnboundedString()
        else:
            value = d.BasicType({"float32": "float", "float64": "double", "bool": "boolean"}.get(kind.type, kind.type))
        if kind.is_array and kind.is_upper_bound:
            value = d.BoundedSequence(value, kind.array_size)
        elif kind.is_array:
            value = d.Array(value, kind.array_size) if kind.array_size else d.UnboundedSequence(value)
        return d.Member(value, field.name)

    described: dict[str, dict] = {}

    def describe(name: str) -> None:
        package, _, short = name.split("/")
        text = m.typestore().generate_msgdef(name, ros_version=2)[0].split("=" * 80)[0]
        if package == m.PACKAGE:
            text = (ROOT / "msg" / f"{short}.msg").read_text()
        members = [member(field) for field in parse_message_string(package, short, text).fields]
        described[name] = serialize_individual_type_description(d.NamespacedType([package, "msg"], short), members)
        for field in described[name]["fields"]:
            nested = field["type"]["nested_type_name"]
            if nested and nested not in described:
                describe(nested)

    describe(type_name)
    return calculate_type_hash(extract_full_type_description(type_name, described))


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("rosidl_adapter", "rosidl_generator_type_description"))),
    reason="needs ROS's own message parser, which comes with rclpy",
)
@pytest.mark.parametrize("type_name", [*OURS, m.TF, m.IMAGE, m.MARKERS, m.DETECTIONS, m.JOINT_STATE])
def test_hashes_are_those_that_ros_computes(type_name):
    assert m.type_hash(type_name) == ros_hash(type_name)


def test_arrays_survive_bytes_exactly():
    data = np.random.default_rng(0).integers(0, 256, 24).astype(np.uint8)
    message = m.make(
        m.COMPRESSED_IMAGE,
        header=m.make(
            "std_msgs/msg/Header", stamp=m.make("builtin_interfaces/msg/Time", sec=5, nanosec=7), frame_id="x"
        ),
        format="jpeg",
        data=data,
    )
    again = m.decode(m.encode(message), m.COMPRESSED_IMAGE)
    np.testing.assert_array_equal(again.data, data)
    assert (again.header, again.format) == (message.header, message.format)


def test_what_is_not_a_message_is_a_known_error():
    with pytest.raises(PrehendError, match="HandArray"):
        m.decode(b"\x00\x01\x00\x00short", m.HAND_ARRAY)


def test_a_built_package_has_its_definitions_in_the_share_folder(tmp_path, monkeypatch):
    pytest.importorskip("ament_index_python", reason="comes with rclpy")
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (tmp_path / "share" / m.PACKAGE).mkdir()
    (index / m.PACKAGE).touch()
    monkeypatch.setattr(m, "__file__", str(tmp_path / "elsewhere" / "messages.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert m.definitions_folder() == tmp_path / "share" / m.PACKAGE / "msg"
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.devnull)
    with pytest.raises(PrehendError, match="build the package"):
        m.definitions_folder()


LISTENER = """
import rclpy
from prehend.ros import messages as m

rclpy.init()
node = rclpy.create_node("quiet")
for name in (m.HAND_ARRAY, m.MODEL_INFO, m.COMPRESSED_IMAGE):
    node.create_subscription(m.message_class(name), "/" + name.split("/")[-1], lambda data: print(data), 10, raw=True)
print("listens")
"""


@pytest.mark.ros
def test_a_program_that_listens_to_several_topics_says_nothing_of_type_supports():
    pytest.importorskip("rclpy", reason="needs the extra 'ros'")
    done = subprocess.run([sys.executable, "-c", LISTENER], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "listens", "")


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A rclpy of another Python, whose C extension does not load."""
    folder = tmp_path / "opt" / "python3.7" / "rclpy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('The C extension is not present\\non the system')\n")
    monkeypatch.setenv("PYTHONPATH", f"{folder.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def prehend(*words):
    command = [sys.executable, "-m", "prehend.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("verb", [["node"], ["play", "clip.mp4"], ["view", "ros:/image"]])
def test_the_rclpy_of_another_python_is_named(foreign, verb):
    done = prehend(*verb)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "python3.7/rclpy cannot be imported: it is of Python 3.7" in done.stderr


def test_a_middleware_that_is_not_there_is_named(monkeypatch):
    """rcl ends the process with exit code 102 and a place in its C."""
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_nobody_cpp")
    done = prehend("node")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "RMW_IMPLEMENTATION is rmw_nobody_cpp, which is not installed here" in done.stderr


def test_a_middleware_of_an_installation_is_left_to_it(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "librmw_other_cpp.so").touch()
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_other_cpp")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere{os.pathsep}{tmp_path}")
    m.check_middleware()
