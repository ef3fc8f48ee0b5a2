"""What a node of one camera and one of several have in common: a worker, live parameters, notes and diagnostics."""

import time
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from prehend.errors import PrehendError
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.nodes.estimator import check_objects
from prehend.ros.nodes.reporting import Reporter
from prehend.ros.nodes.worker_loop import WorkerLoop
from prehend.ros.params import NodeParams
from prehend.ros.topics.quality import refuse_changes, unused_overrides


class NodeBase:
    """A node but for its topics, see `life.Running`.

    Args:
        node: to do so with.
        params: as `node.declare_parameters` found them.
        notes: what a person should know about how it was started; warned of, and told by the diagnostics.
        said: what answers, in words.

    Attributes:
        worker: set by the node, before `_begin`.
    """

    worker: WorkerLoop[Any]

    def __init__(self, node: Node, params: NodeParams, notes: Sequence[str], said: str) -> None:
        self._node, self._params, self._notes, self._said = node, params, list(notes), said
        self._reporter, self._stats = Reporter(node), Stats(time.monotonic())

    def _begin(self) -> None:
        """Take changes of parameters, tell how it goes each second, and warn of the notes."""
        # a steady clock: silence must be told while simulated time stands still, too
        self._node.create_timer(1.0, self._on_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._node.add_on_set_parameters_callback(self._on_parameters)
        for note in self._notes:
            self._node.get_logger().warning(note)

    def activate(self) -> None:
        """Subscribe to the images.

        Raises:
            ParameterError: ROS refuses a topic.
        """
        topics = self._subscribe()
        for note in unused_overrides(self._node):
            self._note(note)
        self._node.get_logger().info(f"{self._said}; waiting for images on {topics}")

    def deactivate(self) -> None:
        """Unsubscribe, and forget all hands; nothing is told of images any more once it returns."""
        self._unsubscribe()
        self.worker.rest()

    def run(self) -> None:
        """Process images until `stop`; see `WorkerLoop.run`."""
        self.worker.run()

    def stop(self) -> None:
        """Let `run` return."""
        self.worker.stop()

    def close(self) -> None:
        """Free what answers; what was made of ROS is destroyed by `Life`."""
        self._node.remove_on_set_parameters_callback(self._on_parameters)

    def _subscribe(self) -> str:
        """Take images; on which topics, in words."""
        raise NotImplementedError

    def _unsubscribe(self) -> None:
        raise NotImplementedError

    def _on_diagnostics(self) -> None:
        raise NotImplementedError

    def _is_ours(self, name: str) -> bool:
        """Whether a parameter that somebody changes is looked at here."""
        raise NotImplementedError

    def _use(self, params: NodeParams) -> None:
        """Hand out changed parameters, which are `_params` already."""
        raise NotImplementedError

    def _note(self, note: str) -> None:
        """Warn of something once, and let the diagnostics tell it from now on."""
        if note not in self._notes:
            self._notes.append(note)
            self._node.get_logger().warning(note)

    def _now_s(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def _on_parameters(self, changes: list[Any]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if self._is_ours(change.name)}
        try:
            refuse_changes(self._node, changes)
            params = self._params.updated(values)
            if (options := params.options()) != self._params.options():
                check_objects(options)
                self.worker.change(options)
        except PrehendError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._params = params
        self._use(params)
        return SetParametersResult(successful=True)
