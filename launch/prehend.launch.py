"""Start the node: `ros2 launch prehend_ros prehend.launch.py image:=/camera/image_raw`."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": ("/camera/image_raw", "topic of the images; for compressed ones the same name without /compressed"),
    "camera_info": ("/camera/camera_info", "topic of the calibration"),
    "image_transport": ("", "raw or compressed; empty leaves it to the params_file"),
    "object_id": ("", "what is held: a name in the object catalogue; empty leaves it to the params_file"),
    "namespace": ("", "of the node"),
    "use_sim_time": ("", "true when a bag with /clock is played; empty leaves it to the params_file"),
    "params_file": (
        PathJoinSubstitution([FindPackageShare("prehend_ros"), "config", "node.yaml"]),
        "values of all other parameters",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """One node; every parameter is in the file that `params_file` names, and arguments that are given win."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])


def start_node(context: LaunchContext) -> list[Node]:
    """The node; an argument that is empty is no parameter, or it would win over the file."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    # a name is a name, even where it looks like a number
    kinds = {"image_transport": str, "object_id": str, "use_sim_time": bool}
    given = {name: ParameterValue(value[name], value_type=kind) for name, kind in kinds.items() if value[name]}
    node = Node(
        package="prehend_ros",
        executable="prehend",
        name="prehend",
        namespace=value["namespace"],
        arguments=["node"],
        parameters=[value["params_file"], *([given] if given else [])],
        remappings=[("image_raw", value["image"]), ("camera_info", value["camera_info"])],
        additional_env={
            "FASTDDS_BUILTIN_TRANSPORTS": EnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", default_value="LARGE_DATA")
        },
        output="screen",
    )
    return [node]
