"""Start the node: `ros2 launch prehend_ros prehend.launch.py image:=/camera/image_raw`.

Where prehend was installed with pip and `prehend_ros` is not built: `ros2 launch "$(prehend files prehend.launch.py)"`.
"""

import sys
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS = Path(__file__).resolve().parents[1] / "config" / "node.yaml"
"""Beside this folder in the built ROS package, in a wheel and in a checkout."""

ARGUMENTS = {
    "image": ("/camera/image_raw", "topic of the images; for compressed ones the same name without /compressed"),
    "camera_info": ("/camera/camera_info", "topic of the calibration"),
    "image_transport": ("", "raw or compressed; empty leaves it to the params_file"),
    "object_id": ("", "what is held: a name in the object catalogue; empty leaves it to the params_file"),
    "namespace": ("", "of the node"),
    "use_sim_time": ("", "true when a bag with /clock is played; empty leaves it to the params_file"),
    "params_file": (str(PARAMETERS), "values of all other parameters"),
}


def generate_launch_description() -> LaunchDescription:
    """One node; every parameter is in the file that `params_file` names, and arguments that are given win."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])


def command() -> dict[str, Any]:
    """What to run: the ROS package's program, or the installed Python package's."""
    try:
        get_package_prefix("prehend_ros")
    except PackageNotFoundError:
        return {"executable": sys.executable, "arguments": ["-m", "prehend.cli.main", "node"]}
    return {"package": "prehend_ros", "executable": "prehend", "arguments": ["node"]}


def start_node(context: LaunchContext) -> list[Node]:
    """The node; an argument that is empty is no parameter, or it would win over the file."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    # a name is a name, even where it looks like a number; launch converts substitutions alone: "true" is no bool to it
    kinds = {"image_transport": str, "object_id": str, "use_sim_time": bool}
    given = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in kinds.items() if value[name]
    }
    node = Node(
        **command(),
        name="prehend",
        namespace=value["namespace"],
        parameters=[value["params_file"], *([given] if given else [])],
        remappings=[("image_raw", value["image"]), ("camera_info", value["camera_info"])],
        output="screen",
    )
    return [node]
