"""The depth stream that a node's parameters ask for."""

from collections.abc import Callable

from rclpy.node import Node

from prehend.errors import ParameterError
from prehend.io.cameras.camera_info import is_rectified
from prehend.ros.depth.images import COMPRESSED_SUFFIX
from prehend.ros.depth.places import DepthPlaces
from prehend.ros.depth.streams import DepthStream
from prehend.ros.frames.listener import listening_buffer
from prehend.ros.frames.target_frame import TargetFrame
from prehend.ros.middleware.borders import Border
from prehend.ros.params import NodeParams


def _warner(node: Node) -> Callable[[str], None]:
    """Warns of what cannot be read."""

    def warn(fault: str) -> None:
        node.get_logger().warning(fault)

    return warn


def depth_stream(node: Node, params: NodeParams, target: TargetFrame | None = None) -> DepthStream | None:
    """Where parameter `depth_topic` asks for one; it needs /tf unless depth is said to be aligned.

    Args:
        node: to subscribe with.
        params: of the node.
        target: has heard /tf already.

    Raises:
        ParameterError: ROS refuses a topic.
    """
    if not params.depth_topic:
        return None
    with Border(ParameterError, "ROS refuses the depth_topic"):
        topic = str(node.resolve_topic_name(params.depth_topic))
    base = topic.removesuffix(COMPRESSED_SUFFIX)
    with Border(ParameterError, "ROS refuses the depth_info_topic"):
        beside = f"{base.rpartition('/')[0]}/camera_info"
        info_topic = str(node.resolve_topic_name(params.depth_info_topic or beside))
    wanted = params.depth_alignment
    buffer = None
    if wanted != "aligned":
        buffer = target.buffer if target else listening_buffer(node, _warner(node))
    places = DepthPlaces(info_topic, is_rectified(base), buffer, wanted == "register")
    return DepthStream(topic, params.depth_max_apart_s, places, params.max_image_px)
