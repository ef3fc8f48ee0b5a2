"""The launch file that plays a bag: what it starts. launch itself is on no package index; docker/check.sh runs it."""

import argparse
import ast
import os
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch" / "prehend_replay.launch.py"


class Made:
    """Stands for every class of launch; keeps what it is made with."""

    values: ClassVar[dict[str, str]] = {}

    def __init__(self, *arguments, **named):
        self.arguments, self.named = arguments, named

    def perform(self, _context) -> str:
        return self.values[self.arguments[0]]


NAMES = {
    "launch": ("LaunchContext", "LaunchDescription"),
    "launch.actions": (
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "IncludeLaunchDescription",
        "OpaqueFunction",
        "Shutdown",
    ),
    "launch.launch_description_sources": ("PythonLaunchDescriptionSource",),
    "launch.substitutions": ("EnvironmentVariable", "LaunchConfiguration"),
    "launch_ros": (),
    "launch_ros.actions": ("Node",),
    "launch_ros.parameter_descriptions": ("ParameterValue",),
}


@pytest.fixture
def started(monkeypatch, tmp_path):
    """started(**arguments): the included node's arguments, and the player."""
    pytest.importorskip("ament_index_python", reason="needs the extra 'ros'")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    for name, classes in NAMES.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**dict.fromkeys(classes, Made)))

    def start(**given: str) -> tuple[dict[str, str], Made]:
        content = runpy.run_path(str(FILE))
        declared = content["generate_launch_description"]().arguments[0][:-1]
        defaults = {one.arguments[0]: one.named.get("default_value") for one in declared}
        assert [name for name, value in defaults.items() if value is None] == ["bag"] and set(given) <= set(defaults)
        monkeypatch.setattr(Made, "values", {**defaults, **given})
        node, player = content["start"](None)
        assert Path(node.arguments[0].arguments[0]) == ROOT / "launch" / "prehend.launch.py"
        return dict(node.named["launch_arguments"]), player

    return start


def player_options(player: Made) -> argparse.Namespace:
    """The player's command line as the real parser takes it."""
    from prehend.ros.playback.play import add_arguments

    command = player.named["cmd"]
    assert command[1:4] == ["-m", "prehend.cli.main", "play"] and command[0] == sys.executable
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(command[4:])


def test_the_node_hears_what_the_player_plays_on_the_bag_s_time(started):
    node, player = started(bag="/data/run")
    played = player_options(player)
    assert (played.source, played.topic, played.clock, played.loop, played.also) == ("/data/run", None, True, False, [])
    assert node["image"] == played.to and node["camera_info"] == "/camera/camera_info"
    assert node["use_sim_time"] == "true" and node["params_file"] == str(ROOT / "config" / "node.yaml")
    assert not player.named["on_exit"].arguments  # a Shutdown: the bag has ended


def test_every_argument_arrives(started):
    node, player = started(
        bag="b", topic="/cam/rgb", image_transport="compressed", also="/tf /tf_static", start="2.5", loop="true",
        object_id="mug", namespace="left", params_file="mine.yaml",
    )  # fmt: skip
    played = player_options(player)
    assert (played.topic, played.also, played.start, played.loop) == ("/cam/rgb", ["/tf", "/tf_static"], 2.5, True)
    expected = {"image_transport": "compressed", "object_id": "mug", "namespace": "left", "params_file": "mine.yaml"}
    assert node | expected == node


def test_what_it_passes_on_is_what_the_node_s_launch_file_takes(started):
    node, _ = started(bag="b")
    taken = runpy.run_path(str(ROOT / "launch" / "prehend.launch.py"))["ARGUMENTS"]
    assert set(node) <= set(taken)


def test_a_built_package_s_own_program_plays(started, tmp_path, monkeypatch):
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "prehend_ros").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.fspath(tmp_path))
    _, player = started(bag="b")
    assert player.named["cmd"][:2] == [str(tmp_path / "lib" / "prehend_ros" / "prehend"), "play"]


def test_the_documentation_lists_every_launch_file_with_its_arguments():
    rows = re.findall(r"^\| `(\w+\.launch\.py)` \|.*\| (.*) \|$", (ROOT / "docs" / "ROS.md").read_text(), re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows}
    taken = {}
    for path in (ROOT / "launch").glob("*.launch.py"):
        [table] = re.findall(r"^ARGUMENTS = (\{.*?^\})", path.read_text(), re.MULTILINE | re.DOTALL)
        taken[path.name] = [key.value for key in ast.parse(table, mode="eval").body.keys]
    assert told == taken
