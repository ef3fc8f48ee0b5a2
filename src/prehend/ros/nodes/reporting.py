"""What a node tells of itself: diagnostics, errors that nobody expects, other nodes of its name; and its services."""

import traceback
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from prehend.ros.conversion.convert import header_message
from prehend.ros.messages import encode
from prehend.ros.middleware.borders import Unexpected
from prehend.ros.nodes.diagnostics import Status, diagnostic_array
from prehend.ros.nodes.worker_loop import WorkerLoop

_MOST = 100


class Reporter:
    """Tells each object once.

    Args:
        node: whose log it is.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._told = node, set[str]()
        self.name = str(node.get_fully_qualified_name())

    def unexpected(self, error: Unexpected) -> None:
        """Log an error that nobody expects with its traceback, the first time."""
        if str(error) not in self._told and len(self._told) < _MOST:
            self._told.add(str(error))
            cause = error.__cause__ or error
            self._node.get_logger().error("".join(traceback.format_exception(cause)))

    def publish(self, publisher: Any, statuses: list[Status], now_s: float) -> None:
        """Publish statuses as a DiagnosticArray of now [s]."""
        publisher.publish(encode(diagnostic_array(header_message(now_s, ""), self.name.lstrip("/"), statuses)))

    def twins(self) -> list[str]:
        """Other nodes of the same name."""
        own = (self._node.get_name(), self._node.get_namespace())
        if self._node.get_node_names_and_namespaces().count(own) < 2:
            return []
        text = (
            f"another node is called {self.name}, too: their topics and services mix; rename one with -r __node:=NAME"
        )
        if text not in self._told:
            self._told.add(text)
            self._node.get_logger().warning(text)
        return [text]


def offer_services(node: Node, worker: WorkerLoop[Any]) -> None:
    """`~/reset` and `~/pause` of a worker."""

    def reset(_request: Any, response: Any) -> Any:
        worker.reset()
        response.success, response.message = True, "all hands are forgotten"
        return response

    def pause(request: Any, response: Any) -> Any:
        worker.pause(request.data)
        response.success, response.message = True, "paused" if request.data else "running"
        return response

    node.create_service(Trigger, "~/reset", reset)
    node.create_service(SetBool, "~/pause", pause)
