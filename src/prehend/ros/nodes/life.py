"""The node's life: configure loads, activate subscribes, deactivate stops, cleanup frees, as
design.ros2.org/articles/node_lifecycle has it.
"""

import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn
from rclpy.node import Node

from prehend.errors import PrehendError
from prehend.ros.middleware.borders import Border, Unexpected


class Running(Protocol):
    """A node that is configured."""

    def activate(self) -> None:
        """Take images."""

    def deactivate(self) -> None:
        """Take none."""

    def run(self) -> None:
        """Process images until `stop`, in a thread of its own."""

    def stop(self) -> None:
        """Let `run` return."""

    def close(self) -> None:
        """Free what was loaded."""


class Life(ManagedEntity):
    """Makes, starts, stops and frees a `Running` as the states of the node change; all in the thread that spins.

    Args:
        node: whose publishers, subscriptions, services and timers of a `Running` are destroyed with it.
        make: loads and makes one.

    Attributes:
        error: why the last transition failed; None if it did not.
    """

    def __init__(self, node: Node, make: Callable[[], Running]) -> None:
        self._node, self._make = node, make
        self._running: Running | None = None
        self._pool = ThreadPoolExecutor(1, "prehend-worker")
        self._working: Future[None] | None = None
        self._before: set[Any] = set()
        self.error: PrehendError | None = None

    @property
    def ended(self) -> bool:
        """Whether the worker ended by itself."""
        return self._working is not None and self._working.done()

    def end(self) -> None:
        """Stop and free everything.

        Raises:
            Exception: what ended the worker.
        """
        working = self._working
        self._free()
        self._pool.shutdown()
        if working is not None:
            working.result()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, and start the worker, which waits for images."""
        self._before, self.error = self._made(), None
        try:
            with Border(Unexpected, "configuring failed"):  # rclpy lets what leaves here go without a word
                self._running = self._make()
        except PrehendError as error:
            self._failed(error)
            self._destroy()
            return TransitionCallbackReturn.FAILURE
        gc.freeze()  # what is loaded stays: the collector, which stops all threads, need not go through it every time
        self._working = self._pool.submit(self._running.run)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the images."""
        assert self._running is not None
        self.error = None
        try:
            with Border(Unexpected, "activating failed"):
                self._running.activate()
        except PrehendError as error:
            self._failed(error)
            self._running.deactivate()  # of what was subscribed to before it failed
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the images, and end with the one that it is at."""
        assert self._running is not None
        self._running.deactivate()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what was loaded."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The same, for good."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def _failed(self, error: PrehendError) -> None:
        self.error = error
        self._node.get_logger().error(str(error))

    def _free(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        running.stop()
        if self._working is not None:
            self._working.exception()  # waits for the image that it is at
        self._working = None
        running.close()
        self._destroy()
        gc.unfreeze()

    def _made(self) -> set[Any]:
        node = self._node
        return {*node.publishers, *node.subscriptions, *node.services, *node.timers}

    def _destroy(self) -> None:
        """Destroy what was made since the node was configured."""
        node = self._node
        kinds: tuple[tuple[Any, Any], ...] = (
            (node.timers, node.destroy_timer),
            (node.subscriptions, node.destroy_subscription),
            (node.services, node.destroy_service),
            (node.publishers, node.destroy_publisher),
        )
        for things, destroy in kinds:
            for one in [one for one in things if one not in self._before]:
                destroy(one)
