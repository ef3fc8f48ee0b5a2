"""One node for two cameras or more: `ros2 launch prehend_ros prehend_two_cameras.launch.py cameras:=front,left`.

With `rig:=true` it makes one hand of all views; the cameras' poses come from /tf, or from a file (docs/CAMERAS.md).
Where prehend was installed with pip: `ros2 launch "$(prehend files prehend_two_cameras.launch.py)"`.
"""

import runpy
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

ONE = runpy.run_path(str(Path(__file__).with_name("prehend.launch.py")))
"""The launch file of one camera: what to run, and where the parameters lie."""

ARGUMENTS = {
    "cameras": ("front,left", "names of the cameras, separated by commas; the first leads a rig"),
    "images": ("", "topics of their images, in the same order; empty: /NAME/image_raw. camera_info lies beside each"),
    "rig": ("", "true makes one hand of all views; empty leaves it to the params_file"),
    "rig_file": ("", "file of the cameras' poses; empty: /tf tells them, or the params_file names one"),
    "image_transport": ("", "raw or compressed; empty leaves it to the params_file"),
    "namespace": ("", "of the node"),
    "use_sim_time": ("", "true when a bag with /clock is played; empty leaves it to the params_file"),
    "params_file": (str(ONE["PARAMETERS"]), "values of all other parameters"),
}


def generate_launch_description() -> LaunchDescription:
    """One node; arguments that are given win over the params_file."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext) -> list[Node]:
    """The node; an argument that is empty is no parameter, or it would win over the file."""
    value: dict[str, Any] = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    kinds = {"cameras": str, "rig": bool, "rig_file": str, "image_transport": str, "use_sim_time": bool}
    given = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in kinds.items() if value[name]
    }
    cameras, images = ([one.strip() for one in value[name].split(",") if one.strip()] for name in ("cameras", "images"))
    if images and len(images) != len(cameras):
        raise RuntimeError(f"{len(images)} topics in images for {len(cameras)} cameras: give one each, or none")
    node = Node(
        **ONE["command"](),
        name="prehend",
        namespace=value["namespace"],
        parameters=[value["params_file"], *([given] if given else [])],
        remappings=[(f"{name}/image_raw", topic) for name, topic in zip(cameras, images, strict=False)],
        output="screen",
    )
    return [node]
