"""Start the node: `ros2 launch prehend_ros prehend.launch.py image:=/camera/image_raw`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """One node; every parameter is in the file that `params_file` names."""
    defaults = PathJoinSubstitution([FindPackageShare("prehend_ros"), "config", "node.yaml"])
    arguments = {
        "image": ("/camera/image_raw", "topic of the images; for compressed ones the same name without /compressed"),
        "camera_info": ("/camera/camera_info", "topic of the calibration"),
        "image_transport": ("raw", "raw or compressed"),
        "object_id": ("", "what is held, if it is known: a name in the object catalogue"),
        "namespace": ("", "of the node"),
        "use_sim_time": ("false", "true when a bag with /clock is played"),
        "params_file": (defaults, "values of all other parameters"),
    }
    value = {name: LaunchConfiguration(name) for name in arguments}
    node = Node(
        package="prehend_ros",
        executable="prehend",
        name="prehend",
        namespace=value["namespace"],
        arguments=["node"],
        parameters=[
            value["params_file"],
            {name: value[name] for name in ("image_transport", "use_sim_time")},
            # a name, even where it looks like a number
            {"object_id": ParameterValue(value["object_id"], value_type=str)},
        ],
        remappings=[("image_raw", value["image"]), ("camera_info", value["camera_info"])],
        additional_env={
            "FASTDDS_BUILTIN_TRANSPORTS": EnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", default_value="LARGE_DATA")
        },
        output="screen",
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]
    return LaunchDescription([*declared, node])
