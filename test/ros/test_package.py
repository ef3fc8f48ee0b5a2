"""What the ROS package's files say, as far as it can be checked without ament."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import yaml

import prehend
from prehend.resources import FOLDERS

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / "CMakeLists.txt").read_text()
PACKAGE = ET.parse(ROOT / "package.xml").getroot()


def test_package_and_python_package_agree():
    assert PACKAGE.get("format") == "3"
    assert PACKAGE.findtext("name") == "prehend_ros"
    assert f"project({PACKAGE.findtext('name')})" in CMAKE
    assert PACKAGE.findtext("version") == prehend.__version__
    assert PACKAGE.findtext("license") == "Apache-2.0"
    assert PACKAGE.findtext("member_of_group") == "rosidl_interface_packages"


def test_cmake_builds_every_message_and_installs_what_there_is():
    assert set(re.findall(r"msg/\w+\.msg", CMAKE)) == {f"msg/{path.name}" for path in (ROOT / "msg").glob("*.msg")}
    folders = re.search(r"DIRECTORY ([a-z ]+) DESTINATION \${PYTHON_INSTALL_DIR}/prehend/share", CMAKE).group(1).split()
    assert sorted(folders) == sorted(FOLDERS) and all(any((ROOT / folder).iterdir()) for folder in folders)
    assert (ROOT / re.search(r"PACKAGE_DIR (\S+)\)", CMAKE).group(1) / "__init__.py").is_file()


def test_dependencies_of_the_messages_are_declared():
    used = set(re.findall(r"^(\w+)/\w+", "\n".join(p.read_text() for p in (ROOT / "msg").glob("*.msg")), re.MULTILINE))
    assert used == set(re.search(r"DEPENDENCIES (.*)\n", CMAKE).group(1).split())
    assert used == {entry.text for entry in PACKAGE.findall("depend")}
    assert used == set(re.findall(r"find_package\((\w+_(?:msgs|interfaces)) ", CMAKE))


def test_the_script_that_cmake_writes_runs_the_command():
    script = re.search(r'file\(WRITE \S+\s+"(.*)"\)', CMAKE).group(1).replace("\\n", "\n")
    compile(script, "prehend", "exec")
    assert "from prehend.cli.main import main" in script


class Launched:
    """Stands for every class of launch and launch_ros, which PyPI does not have; keeps what it is made with."""

    values: ClassVar[dict[str, str]] = {}

    def __init__(self, *arguments, **named):
        self.arguments, self.named = arguments, named

    def perform(self, _context) -> str:
        return self.values.get(self.arguments[0], "")


class LaunchedParameter(Launched):
    """As launch has it: a substitution is converted to the type, a plain value has to be of it."""

    def __init__(self, value, *, value_type):
        if not isinstance(value, Launched) and not isinstance(value, value_type):
            raise TypeError(f"value='{value}' is not an instance of {value_type}")
        super().__init__(value, value_type=value_type)

    @property
    def value(self):
        text = self.arguments[0].perform(None)
        return text if self.named["value_type"] is str else yaml.safe_load(text)


def launched(monkeypatch: pytest.MonkeyPatch, file: str = "prehend.launch.py", **values: str) -> dict:
    """What a launch file makes the node with when these arguments are given."""
    pytest.importorskip("ament_index_python", reason="needs the extra 'ros'")
    if not os.environ.get("AMENT_PREFIX_PATH"):
        monkeypatch.setenv("AMENT_PREFIX_PATH", "/no/ros")
    names = {
        "launch": ("LaunchContext", "LaunchDescription"),
        "launch.actions": ("DeclareLaunchArgument", "OpaqueFunction"),
        "launch.substitutions": ("LaunchConfiguration",),
        "launch_ros": (),
        "launch_ros.actions": ("Node",),
    }
    described = SimpleNamespace(ParameterValue=LaunchedParameter)
    monkeypatch.setitem(sys.modules, "launch_ros.parameter_descriptions", described)
    for name, classes in names.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**dict.fromkeys(classes, Launched)))
    content = runpy.run_path(str(ROOT / "launch" / file))
    monkeypatch.setattr(Launched, "values", {"params_file": "file.yaml", **values})
    declared = content["generate_launch_description"]().arguments[0]
    assert {one.arguments[0] for one in declared[:-1]} == set(content["ARGUMENTS"]) >= set(values)
    return content["start_node"](None)[0].named


def test_launch_arguments_win_over_the_file_only_where_they_are_given(monkeypatch):
    assert launched(monkeypatch)["parameters"] == ["file.yaml"]
    file, given = launched(monkeypatch, object_id="007", image_transport="compressed", use_sim_time="true")[
        "parameters"
    ]
    assert file == "file.yaml"
    assert {name: one.value for name, one in given.items()} == {
        "object_id": "007",
        "image_transport": "compressed",
        "use_sim_time": True,
    }
    known = yaml.safe_load((ROOT / "config" / "node.yaml").read_text())["/**"]["ros__parameters"]
    assert set(given) <= {*known, "use_sim_time"}


def test_two_cameras_are_launched_as_one_node(monkeypatch):
    file = "prehend_two_cameras.launch.py"
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/no/ros")  # colcon test has the built package there
    plain = launched(monkeypatch, file, cameras="front,left")
    assert plain["remappings"] == [] and plain["arguments"] == ["-m", "prehend.cli.main", "node"]
    given = launched(
        monkeypatch, file, cameras="front, left", images="/a/image,/b/image", rig="true", rig_file="x.yaml"
    )
    assert given["remappings"] == [("front/image_raw", "/a/image"), ("left/image_raw", "/b/image")]
    parameters = {name: one.value for name, one in given["parameters"][1].items()}
    assert parameters == {"cameras": "front, left", "rig": True, "rig_file": "x.yaml"}
    known = yaml.safe_load((ROOT / "config" / "node.yaml").read_text())["/**"]["ros__parameters"]
    assert set(parameters) <= set(known)
    with pytest.raises(RuntimeError, match="give one each"):
        launched(monkeypatch, file, cameras="front,left", images="/a/image")


def test_the_launch_file_finds_parameters_and_program_where_it_lies(monkeypatch, tmp_path):
    """From a wheel there is no ROS package: then the Python package's own program runs."""
    packages = pytest.importorskip("ament_index_python.packages", reason="needs the extra 'ros'")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(packages.PackageNotFoundError):
        packages.get_package_prefix("prehend_ros")
    assert launched(monkeypatch)["arguments"] == ["-m", "prehend.cli.main", "node"]
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "prehend_ros").touch()
    assert launched(monkeypatch)["package"] == "prehend_ros"
    launch = runpy.run_path(str(ROOT / "launch" / "prehend.launch.py"))
    assert launch["PARAMETERS"] == ROOT / "config" / "node.yaml" and launch["PARAMETERS"].is_file()


def test_the_executable_has_its_run_bit(tmp_path):
    """With --symlink-install the file that CMake makes is the one that runs."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("needs cmake")
    lines = re.search(r"file\(WRITE.*?WORLD_EXECUTE\)", CMAKE, re.DOTALL).group(0)
    script = tmp_path / "script.cmake"
    script.write_text(f'set(CMAKE_CURRENT_BINARY_DIR "{tmp_path}/build")\n{lines}\n')
    subprocess.run([cmake, "-P", str(script)], check=True)
    assert os.access(tmp_path / "build" / "prehend", os.X_OK)


def test_the_opencv_of_ros_distributions_does():
    """4.5.4 of Humble and 4.6 of Jazzy have no cv2.typing, which newer ones' hints use."""
    using = [path for path in (ROOT / "src").rglob("*.py") if "cv2.typing" in path.read_text()]
    assert using == []
