"""The node: adapts topics, parameters, services and the clock to `Worker` and `Outputs`, and does nothing else."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from prehend.errors import ParameterError
from prehend.ros.messages import DIAGNOSTICS, missing_rclpy

try:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.lifecycle import LifecycleNode
    from rclpy.node import Node
except ImportError as error:
    raise missing_rclpy(error) from error

from prehend import __version__
from prehend.ros.depth.inputs import depth_stream
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.inputs.subscriptions import Inputs, image_topics
from prehend.ros.middleware.borders import Border
from prehend.ros.nodes import diagnostics
from prehend.ros.nodes.base import NodeBase
from prehend.ros.nodes.diagnostics import Status
from prehend.ros.nodes.estimator import (
    CamerasLoader,
    Loaded,
    Loader,
    load_cameras_for,
    load_for,
    load_what_can_be,
)
from prehend.ros.nodes.life import Life, Running
from prehend.ros.nodes.params_files import unused_files
from prehend.ros.nodes.reporting import offer_services
from prehend.ros.outputs.publishing import Outputs
from prehend.ros.params import NodeParams, ParameterSpec, specs
from prehend.ros.start import end_ros, process_age_s, restore_signals, start_ros, stop_on_signals
from prehend.ros.topics import graph
from prehend.ros.topics.quality import publisher
from prehend.ros.worker import Worker

_SIGNAL_S = 0.2
"""Longest time until a signal is noticed."""
_SWITCH_S = 0.001
"""Longest time that a thread keeps Python's lock from others: with the interpreter's 5 ms the one that is done with a
network waits as long for the one that takes the next image in."""
_NOT_OURS = ("use_sim_time", "start_type_description_service", "qos_overrides")
"""Parameters that rclpy declares by itself."""


class PrehendNode(NodeBase):
    """Subscribes to images, feeds the worker and publishes diagnostics.

    Args:
        node: to do so with.
        params: as `declare_parameters` found them.
        loaded: what answers.
        notes: what a person should know about how it was started; warned of, and told by the diagnostics.

    Raises:
        PrehendError: wrong parameters or topics.
    """

    worker: Worker

    def __init__(self, node: Node, params: NodeParams, loaded: Loaded, notes: Sequence[str] = ()) -> None:
        super().__init__(node, params, notes, loaded.said)
        self._loaded = loaded
        self._stamps = Stamps(self._now_s, lambda: bool(node.get_parameter("use_sim_time").value))
        base, _ = image_topics(node, params.image_transport == "compressed")
        self._calibration = Calibration(
            params.fov_deg, params.camera_info_timeout_s, rectified="rect" in base.rsplit("/", 1)[-1]
        )
        self._warned_of_loss = False
        with Border(ParameterError, "ROS refuses a topic or service"):
            self._outputs = Outputs(node, loaded.facts, params, self._stats, self._stamps)
            self._diagnostics = publisher(node, DIAGNOSTICS, "/diagnostics", 10)
            depth = depth_stream(node, params, self._outputs.target)
            self.worker = Worker(
                loaded.estimator,
                params,
                self._calibration,
                self._stats,
                self._outputs.publish,
                self._stamps,
                self._reporter.unexpected,
                depth,
                lambda: self._outputs.hypotheses_wanted,
            )
            self._inputs = Inputs(node, params, self._calibration, self._stats, self.worker.offer, depth)
            offer_services(node, self.worker)
        self._begin()

    def _subscribe(self) -> str:
        self._stats.began(time.monotonic())
        self._inputs.start()
        return self._inputs.topic

    def _unsubscribe(self) -> None:
        self._inputs.stop()

    def close(self) -> None:
        """Free the estimator; what was made of ROS is destroyed by `Life`."""
        super().close()
        self._loaded.estimator.close()

    def _is_ours(self, name: str) -> bool:
        return name.split(".")[0] not in _NOT_OURS

    def _use(self, params: NodeParams) -> None:
        self._outputs.params = params

    def _on_diagnostics(self) -> None:
        counts, params, now = self._stats.take(), self._params, time.monotonic()
        if not self._inputs.active:
            self._publish([Status("node", diagnostics.OK, "inactive: no images are taken", {"version": __version__})])
            return
        silent = now - counts.last_image_s > params.silent_after_s
        cause = self._inputs.cause(counts) if silent else ""
        if loss := self._inputs.loss(counts):
            self._warn_of_loss(loss)
        stamps = self._stamps.take() if counts.received else ""
        faults = diagnostics.image_faults(counts, stamps, loss, self._inputs.mixed())
        reason = self._calibration.reason
        if reason and not self._calibration.heard:
            reason = f"{reason}: {self._inputs.info_cause()}".removesuffix(": ")
        notes = [*self._notes, *self.worker.notes, *self._reporter.twins()]
        values = {"version": __version__, "subscribed anew": self._inputs.resubscribed}
        statuses = [
            diagnostics.images_status(counts, now, params.silent_after_s, self._inputs.topic, cause, faults),
            diagnostics.camera_status(not reason, reason, params.fov_deg, self._calibration.note),
            *self._inputs.depth_status(now, params.silent_after_s),
            *([self._outputs.target.status()] if self._outputs.target else []),
            diagnostics.estimator_status(counts, now),
            diagnostics.node_status(notes, self.worker.paused, values),
        ]
        self._publish(statuses)
        self._inputs.watch(counts)

    def _publish(self, statuses: list[Status]) -> None:
        self._reporter.publish(self._diagnostics, statuses, self._now_s())

    def _warn_of_loss(self, loss: str) -> None:
        """Once in the log; the diagnostics tell it as long as it lasts."""
        if not self._warned_of_loss:
            self._warned_of_loss = True
            self._node.get_logger().warning(loss)


def declare_parameters(node: Node) -> NodeParams:
    """Declare every parameter, with what the command line and files give for it.

    Raises:
        ParameterError: a name or a value is wrong.
    """
    given = {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix("").items()
        if name.split(".")[0] not in _NOT_OURS
    }
    params = NodeParams().updated(given)
    for name, spec in specs().items():
        if name in given:
            node.undeclare_parameter(name)
        value = getattr(params, name)
        node.declare_parameter(name, value, _descriptor(spec, value), ignore_override=True)
    return params


def _descriptor(spec: ParameterSpec, value: object) -> ParameterDescriptor:
    # the type is checked with everything else, where it is told in words
    described = ParameterDescriptor(description=spec.text, read_only=not spec.live, dynamic_typing=spec.live)
    if spec.choices:
        described.additional_constraints = f"one of {spec.admits()}"
    if spec.span and isinstance(value, float):
        low, high = spec.span
        described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif spec.span:
        low, high = map(int, spec.span)
        described.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return described


def run_node(argv: Sequence[str], load: Loader = load_for, load_cameras: CamerasLoader = load_cameras_for) -> int:
    """`prehend node`: run until SIGINT or SIGTERM.

    Args:
        argv: what follows the verb: nothing, or `--ros-args ...`.
        load: makes the estimator from the parameters.
        load_cameras: the same with parameter `cameras`.

    Returns:
        Exit code 0, after a signal.

    Raises:
        ParameterError: wrong arguments or parameters.
        PrehendError: something cannot be loaded.
        Exception: what the estimator raised for many images in a row without it being a `PrehendError`; the node does
            not go on mute.
    """
    stop, before, node = threading.Event(), None, None
    try:
        node, notes = start_ros(
            argv, "prehend", kind="rclpy.lifecycle", automatically_declare_parameters_from_overrides=True
        )
        before = stop_on_signals(stop)
        notes += unused_files(argv, node.get_fully_qualified_name())
        notes += [graph.deaf()] if graph.deaf() else []  # the diagnostics are heard by nobody, too: the log says it
        params = declare_parameters(node)
        _live(node, params, (load, load_cameras), notes, stop)
    finally:
        end_ros(node)
        if before is not None:
            restore_signals(before)
    return 0


def _ready_after(asked_s: float | None) -> str:
    """How long it took: since the process began, or since a manager asked for it (monotonic)."""
    took_s = process_age_s() if asked_s is None else time.monotonic() - asked_s
    return "" if took_s is None else f"; ready after {took_s:.1f} s"


def _live(
    node: LifecycleNode,
    params: NodeParams,
    loaders: tuple[Loader, CamerasLoader],
    notes: list[str],
    stop: threading.Event,
) -> None:
    """Until `stop` is set, or the worker ends."""
    by_itself = params.autostart

    def make() -> Running:
        nonlocal by_itself
        asked_s, by_itself = None if by_itself else time.monotonic(), False
        live = {name: node.get_parameter(name).value for name, spec in specs().items() if spec.live}
        current = params.updated(live)  # they may have changed since the node was freed
        if current.camera_names():
            from prehend.ros.cameras.node import SeveralNode  # 30 modules that one camera does not need

            several, current, said = load_what_can_be(loaders[1], current)
            several = replace(several, said=f"{several.said}{_ready_after(asked_s)}")
            return SeveralNode(node, current, several, [*notes, *several.notes, *said])
        loaded, current, said = load_what_can_be(loaders[0], current)
        loaded = replace(loaded, said=f"{loaded.said}{_ready_after(asked_s)}")
        return PrehendNode(node, current, loaded, [*notes, *loaded.notes, *said])

    sys.setswitchinterval(_SWITCH_S)
    life = Life(node, make)
    node.add_managed_entity(life)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if params.autostart:
            node.trigger_configure()
            if life.error is None:
                node.trigger_activate()
            if life.error is not None:
                raise life.error
        else:
            node.get_logger().info("unconfigured: waits for the transitions configure and activate (autostart is off)")
        while not stop.is_set() and not life.ended:
            executor.spin_once(timeout_sec=_SIGNAL_S)
    finally:
        executor.remove_node(node)
        executor.shutdown()  # before rclpy's, after which its destructor complains
        life.end()  # raises what ended the worker
