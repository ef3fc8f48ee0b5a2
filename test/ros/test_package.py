"""What the ROS package's files say, as far as it can be checked without ament."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import yaml

import prehend

ROOT = Path(__file__).parents[2]
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
    for folder in re.search(r"DIRECTORY (launch config) ", CMAKE).group(1).split():
        assert any((ROOT / folder).iterdir())
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


def test_the_launch_file_compiles_and_names_what_exists():
    text = (ROOT / "launch" / "prehend.launch.py").read_text()
    compile(text, "prehend.launch.py", "exec")
    assert "def generate_launch_description" in text
    parameters = yaml.safe_load((ROOT / "config" / "node.yaml").read_text())["/**"]["ros__parameters"]
    given = re.search(r"parameters=\[(.*?)\n        \],", text, re.DOTALL).group(1)
    names = set(re.findall(r'(?<!\[)"(\w+)"', given))
    assert names and names <= {*parameters, "use_sim_time"}


def test_layouts_show_topics_that_the_node_has():
    topics = {"/prehend/markers", "/prehend/overlay/compressed", "/camera/image_raw", "/tf"}
    rviz = yaml.safe_load((ROOT / "config" / "prehend.rviz").read_text())
    shown = {display["Topic"]["Value"] for display in rviz["Visualization Manager"]["Displays"] if "Topic" in display}
    assert shown and shown <= topics
    foxglove = (ROOT / "config" / "prehend_foxglove.json").read_text()
    assert set(re.findall(r'"(/[a-z_/]+)"', foxglove)) <= topics | {
        "/prehend/hands",
        "/diagnostics",
        "/camera/camera_info",
    }
