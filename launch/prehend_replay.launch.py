"""Play a bag into the node on the bag's own time: `ros2 launch prehend_ros prehend_replay.launch.py bag:=FOLDER`.

It ends when the bag ends, unless `loop:=true`. Hands have the stamps of the bag's images, so recordings fit.
"""

import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

NODE = Path(__file__).resolve().with_name("prehend.launch.py")
PARAMETERS = Path(__file__).resolve().parents[1] / "config" / "node.yaml"
IMAGES = "/camera/image_raw"

ARGUMENTS = {
    "bag": (None, "folder or file of the bag"),
    "topic": ("", "image topic of the bag; empty takes the one that it has"),
    "image_transport": ("", "compressed for a bag of compressed images; empty leaves it to the params_file"),
    "also": ("", 'further topics of the bag to play, such as "/tf /tf_static"; all; empty for none'),
    "start": ("0.0", "seconds to leave out at the beginning"),
    "loop": ("false", "true begins again at the end"),
    "object_id": ("", "what is held: a name in the object catalogue; empty leaves it to the params_file"),
    "namespace": ("", "of the node"),
    "params_file": (str(PARAMETERS), "values of all other parameters"),
}
PASSED = ("image_transport", "object_id", "namespace", "params_file")
"""Arguments of prehend.launch.py."""


def generate_launch_description() -> LaunchDescription:
    """The player and the node."""
    declared = [
        DeclareLaunchArgument(name, description=text, **({} if default is None else {"default_value": default}))
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def program() -> list[str]:
    """The ROS package's program, or the installed Python package's."""
    try:
        return [str(Path(get_package_prefix("prehend_ros")) / "lib" / "prehend_ros" / "prehend")]
    except PackageNotFoundError:
        return [sys.executable, "-m", "prehend.cli.main"]


def start(context: LaunchContext) -> list[IncludeLaunchDescription | ExecuteProcess]:
    """The node first: the player waits until somebody subscribes."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(NODE)),
        launch_arguments=[
            ("image", IMAGES),
            ("camera_info", f"{IMAGES.rpartition('/')[0]}/camera_info"),
            ("use_sim_time", "true"),
            *((name, value[name]) for name in PASSED),
        ],
    )
    also = ["--also", *value["also"].split()] if value["also"].strip() else []
    topic = ["--topic", value["topic"]] if value["topic"] else []
    loop = ["--loop"] if value["loop"].lower() in ("true", "1") else []
    options = ["--to", IMAGES, "--clock", "--wait", "60", "--start", value["start"]]
    player = ExecuteProcess(
        cmd=[*program(), "play", value["bag"], *options, *topic, *loop, *also],
        name="prehend_play",
        output="screen",
        on_exit=Shutdown(reason="the bag has ended"),
    )
    return [node, player]
