"""A node's topics below a name: what is written for one camera serves several."""

from typing import Any

from rclpy.node import Node


class Within:
    """A node to those who subscribe and publish for one camera of several: `image_raw` is `front/image_raw` to it, and
    `~/hands` is `~/front/hands`; all else is the node's.

    Args:
        node: the node.
        name: of the camera.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._name = node, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._node, attribute)

    def below(self, topic: str) -> str:
        """A topic's name below the camera's; absolute ones stay."""
        if topic.startswith("/"):
            return topic
        return f"~/{self._name}/{topic[2:]}" if topic.startswith("~/") else f"{self._name}/{topic}"

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """As of a node."""
        return str(self._node.resolve_topic_name(self.below(topic), only_expand=only_expand))

    def create_publisher(self, kind: Any, topic: str, *more: Any, **options: Any) -> Any:
        """As of a node."""
        return self._node.create_publisher(kind, self.below(topic), *more, **options)

    def create_subscription(self, kind: Any, topic: str, *more: Any, **options: Any) -> Any:
        """As of a node."""
        return self._node.create_subscription(kind, self.below(topic), *more, **options)
