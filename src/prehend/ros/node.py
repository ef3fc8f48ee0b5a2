"""The node: adapts topics, parameters and the clock to `Worker` and `Outputs`, and does nothing else."""

import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from prehend.errors import MissingDependency, ParameterError, PrehendError

try:
    import rclpy
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
    from rclpy.clock import Clock, ClockType
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args
except ImportError as error:
    raise MissingDependency("rclpy", "ros", "the ROS node") from error

from prehend.ros import diagnostics, use_large_data
from prehend.ros.convert import header_message
from prehend.ros.loading import Loader, load_estimator
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, DIAGNOSTICS, IMAGE, decode, encode, message_class
from prehend.ros.outputs import Outputs
from prehend.ros.params import NodeParams, ParameterSpec, specs
from prehend.ros.worker import Calibration, Worker

_IMAGE_DEPTH = 5
_SIGNAL_S = 0.2
"""Longest time until a signal is noticed."""
_NOT_OURS = ("use_sim_time", "start_type_description_service", "qos_overrides")
"""Parameters that rclpy declares by itself."""


class PrehendNode(Node):
    """Subscribes to images, runs the worker's thread and publishes diagnostics.

    Raises:
        PrehendError: wrong parameters, or what they name cannot be loaded.
    """

    def __init__(self, load: Loader) -> None:
        super().__init__("prehend", automatically_declare_parameters_from_overrides=True)
        self._params = self._declare_parameters()
        loaded = load(self._params)
        self._stats = diagnostics.Stats(time.monotonic())
        compressed = self._params.image_transport == "compressed"
        base = self.resolve_topic_name("image_raw")
        self._image_topic = f"{base}/compressed" if compressed else base
        self._calibration = Calibration(
            self._params.fov_deg, self._params.camera_info_timeout_s, rectified="rect" in base.rsplit("/", 1)[-1]
        )
        self._outputs = Outputs(self, loaded.facts, self._params, self._stats)
        self._diagnostics = self.create_publisher(message_class(DIAGNOSTICS), "/diagnostics", 10)
        self.worker = Worker(loaded.estimator, self._params, self._calibration, self._stats, self._outputs.publish)
        reliability = ReliabilityPolicy[self._params.image_reliability.upper()]
        quality = QoSProfile(depth=_IMAGE_DEPTH, reliability=reliability)
        image_class = message_class(COMPRESSED_IMAGE if compressed else IMAGE)
        self.create_subscription(image_class, self._image_topic, self.worker.offer, quality, raw=True)
        info_class = message_class(CAMERA_INFO)
        self.create_subscription(info_class, self._camera_info_topic(base), self._on_camera_info, quality, raw=True)
        # a steady clock: silence must be told while simulated time stands still, too
        self.create_timer(1.0, self._on_diagnostics, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.add_on_set_parameters_callback(self._on_parameters)
        self.get_logger().info(f"waiting for images on {self._image_topic}")

    def _declare_parameters(self) -> NodeParams:
        given = {
            name: parameter.value
            for name, parameter in self.get_parameters_by_prefix("").items()
            if name.split(".")[0] not in _NOT_OURS
        }
        params = NodeParams().updated(given)
        for name, spec in specs().items():
            if name in given:
                self.undeclare_parameter(name)
            value = getattr(params, name)
            self.declare_parameter(name, value, _descriptor(spec, value), ignore_override=True)
        return params

    def _camera_info_topic(self, image_topic: str) -> str:
        """`camera_info` where that is remapped, else the camera_info beside the image, as in image_transport."""
        resolved = self.resolve_topic_name("camera_info")
        if resolved != self.resolve_topic_name("camera_info", only_expand=True):
            return resolved
        return f"{image_topic.rsplit('/', 1)[0]}/camera_info"

    def _on_camera_info(self, data: bytes) -> None:
        try:
            self._calibration.update(decode(data, CAMERA_INFO))
        except PrehendError as error:
            self._stats.failed(str(error))

    def _on_parameters(self, changes: list[Any]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if change.name.split(".")[0] not in _NOT_OURS}
        try:
            self._params = self._outputs.params = self._params.updated(values)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_diagnostics(self) -> None:
        counts, params = self._stats.take(), self._params
        publishers = self.count_publishers(self._image_topic)
        reason = self._calibration.reason
        statuses = [
            diagnostics.images_status(counts, time.monotonic(), params.silent_after_s, self._image_topic, publishers),
            diagnostics.camera_status(not reason, reason, params.fov_deg),
            diagnostics.estimator_status(counts),
        ]
        header = header_message(self.get_clock().now().nanoseconds * 1e-9, "")
        array = diagnostics.diagnostic_array(header, self.get_fully_qualified_name().lstrip("/"), statuses)
        self._diagnostics.publish(encode(array))


def _descriptor(spec: ParameterSpec, value: object) -> ParameterDescriptor:
    described = ParameterDescriptor(description=spec.text, read_only=not spec.live)
    if spec.choices:
        described.additional_constraints = f"one of {spec.admits()}"
    if spec.span and isinstance(value, float):
        low, high = spec.span
        described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif spec.span:
        low, high = map(int, spec.span)
        described.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return described


def run_node(argv: Sequence[str], load: Loader = load_estimator) -> int:
    """`prehend node`: run until SIGINT or SIGTERM.

    Args:
        argv: what follows the verb: nothing, or `--ros-args ...`.
        load: makes the estimator from the parameters.

    Returns:
        Exit code 0, after a signal.

    Raises:
        ParameterError: wrong arguments or parameters.
        PrehendError: something cannot be loaded.
        Exception: whatever the estimator raised that is not a `PrehendError`; the node does not go on mute.
    """
    use_large_data()
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _run(["prehend", *argv], load, stop)
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _run(args: list[str], load: Loader, stop: threading.Event) -> None:
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        left = remove_ros_args(args)[1:]
    except RuntimeError as error:  # rclpy's errors for arguments have no better common class
        raise ParameterError(str(error).split(", at ")[0]) from error
    if left:
        raise ParameterError(f"unknown argument {left[0]}: ROS arguments follow --ros-args")
    node = PrehendNode(load)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with ThreadPoolExecutor(1, "prehend-worker") as pool:
        working: Future[None] = pool.submit(node.worker.run)
        working.add_done_callback(lambda _: executor.wake())
        try:
            while not stop.is_set() and not working.done():
                executor.spin_once(timeout_sec=_SIGNAL_S)
        finally:
            node.worker.stop()
        working.result()  # raises what ended the worker
    node.destroy_node()
