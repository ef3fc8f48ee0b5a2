"""A transform buffer that listens to /tf and /tf_static."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from prehend.errors import ParameterError, PrehendError
from prehend.ros.frames.buffer import TransformBuffer
from prehend.ros.messages import TF
from prehend.ros.middleware.borders import Border
from prehend.ros.topics.quality import subscription

_DEPTH = 100


def listening_buffer(node: Node, tell: Callable[[str], None]) -> TransformBuffer:
    """A buffer that fills while the node lives.

    Args:
        node: to subscribe with.
        tell: takes what is wrong with messages that cannot be read.

    Raises:
        ParameterError: ROS refuses /tf.
    """
    buffer = TransformBuffer()

    def taker(fixed: bool) -> Any:
        def take(data: bytes) -> None:
            try:
                buffer.add(data, fixed)
            except PrehendError as error:
                tell(str(error))

        return take

    reliable, latched = ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL
    moving = QoSProfile(depth=_DEPTH, reliability=reliable)
    fixed = QoSProfile(depth=_DEPTH, reliability=reliable, durability=latched)
    with Border(ParameterError, "ROS refuses /tf"):
        subscription(node, TF, "/tf", taker(False), moving)
        subscription(node, TF, "/tf_static", taker(True), fixed)
    return buffer
