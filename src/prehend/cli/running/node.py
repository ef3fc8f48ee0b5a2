"""`prehend node`: the ROS 2 node."""

from prehend.cli.arguments.parsing import Parser

_DESCRIPTION = """Run the ROS 2 node: image_raw and camera_info in, ~/hands and its companions out.

Arguments after --ros-args are ROS's own: remappings (-r image_raw:=/camera/image_raw), parameters
(-p model:=unihope-s), a parameter file (--params-file config/node.yaml)."""


def run(argv: list[str]) -> int:
    """Run until SIGINT or SIGTERM; returns the exit code."""
    if "-h" in argv or "--help" in argv:
        parser = Parser("prehend node", _DESCRIPTION)
        parser.add_argument("--ros-args", metavar="...", help="arguments of ROS 2")
        parser.print_help()
        return 0
    from prehend.ros.messages import require_rclpy

    require_rclpy()
    from prehend.ros.node import run_node

    return run_node(argv)
