"""One camera of several in a node: its topics, calibration, stamps and counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from rclpy.node import Node

from prehend.errors import SourceError
from prehend.io.cameras.calibration_files import GivenCamera
from prehend.io.pixels.images import Image
from prehend.ros.conversion.convert import seconds
from prehend.ros.inputs.arrivals import Arrived, Laps
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.inputs.image_bytes import ImageBytes
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.inputs.subscriptions import Inputs, image_topics
from prehend.ros.middleware.borders import Border
from prehend.ros.nodes import diagnostics
from prehend.ros.nodes.diagnostics import Counts, Stats, Status
from prehend.ros.params import NodeParams
from prehend.ros.topics.within import Within
from prehend.types import Camera


@dataclass(frozen=True)
class Opened:
    """An image that was read.

    Attributes:
        header: for what is published of it.
        image: (H, W, 3) uint8 RGB.
        camera: of the image.
        stamp_s: when it was taken, for the tracker [s].
        timing_ms: times of the stages until then, see `HandTiming`.
    """

    header: Any
    image: Image
    camera: Camera
    stamp_s: float
    timing_ms: Mapping[str, float]


class Lane:
    """What belongs to one camera.

    Args:
        node: to subscribe with.
        params: of the node.
        name: of the camera.
        offer: takes the camera's name and the bytes of an image.
        now_s: the node's clock.
        given: intrinsics for images without a camera_info; None where nobody gives them.

    Attributes:
        within: the node, to those who publish for this camera.
        stats, stamps, calibration: as of a node with one camera.

    Raises:
        ParameterError: ROS refuses a topic.
    """

    def __init__(
        self,
        node: Node,
        params: NodeParams,
        name: str,
        offer: Callable[[str, bytes], None],
        now_s: Callable[[], float],
        given: GivenCamera | None = None,
    ) -> None:
        self.name, self._params, self._given = name, params, given
        self.within = cast(Node, Within(node, name))
        self.stats = Stats(time.monotonic())
        self.stamps = Stamps(now_s, lambda: bool(node.get_parameter("use_sim_time").value))
        base, _ = image_topics(self.within, params.image_transport == "compressed")
        self.calibration = Calibration(
            params.fov_deg, params.camera_info_timeout_s, rectified="rect" in base.rsplit("/", 1)[-1]
        )
        self._images = ImageBytes(params, self.stats)
        self.inputs = Inputs(self.within, params, self.calibration, self.stats, lambda data: offer(name, data))

    def arrived(self, data: bytes) -> Arrived:
        """Count a serialised image that came now."""
        self.stats.arrived(time.monotonic(), len(data))
        return Arrived(data, self.stamps.now_s(), time.perf_counter())

    def open(self, arrived: Arrived) -> Opened | None:
        """Read an image; None while its first camera_info may still come.

        Raises:
            SourceError: the bytes are no image.
            InvalidInput: the calibration is for another size.
        """
        laps = Laps(arrived.at)
        laps.lap("wait")
        with Border(SourceError, f"image of {self.name}"):
            message, image = self._images.read(arrived.data)
        stamp_s = self.stamps.tracking_s(message.header.stamp)
        header = self._images.header(message.header)
        arrival_ms = self.stamps.latency_ms(header.stamp, arrived.clock_s)
        laps.lap("read")
        height, width = image.shape[:2]
        info_s = seconds(header.stamp) or None
        if self._given is None or self.calibration.heard:
            self.calibration.wait(width, height, info_s)
        camera = self.calibration.camera(width, height, time.monotonic(), info_s, header.frame_id)
        if self._given is not None and (camera is None or camera.estimated):
            camera = self._given.for_image(width, height)
        if camera is None:
            self.stats.waited()
            return None
        laps.lap("sync")
        return Opened(header, image, camera, stamp_s, {"arrival": arrival_ms, **laps.ms})

    def status(self, now_s: float) -> tuple[Counts, list[Status]]:
        """What diagnostics say of this camera, and its counts since the last time."""
        counts, params = self.stats.take(), self._params
        silent = now_s - counts.last_image_s > params.silent_after_s
        cause = self.inputs.cause(counts) if silent else ""
        stamps = self.stamps.take() if counts.received else ""
        faults = diagnostics.image_faults(counts, stamps, self.inputs.loss(counts), self.inputs.mixed())
        reason = self.calibration.reason
        if reason and not self.calibration.heard:
            reason = f"{reason}: {self.inputs.info_cause()}".removesuffix(": ")
        if self._given is not None:
            reason = ""
        statuses = [
            diagnostics.images_status(counts, now_s, params.silent_after_s, self.inputs.topic, cause, faults),
            diagnostics.camera_status(not reason, reason, params.fov_deg, self.calibration.note),
        ]
        self.inputs.watch(counts)
        return counts, [replace(status, name=f"{self.name} {status.name}") for status in statuses]
