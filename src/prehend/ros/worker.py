"""From image bytes to results, in a thread of its own; knows the messages but no node."""

import threading
import time
from collections.abc import Callable
from typing import Any

from prehend.errors import InvalidInput, PrehendError
from prehend.geometry.camera import estimated_camera
from prehend.io.camera_info import camera_from_info
from prehend.io.images import Image, decode_image, image_from_message
from prehend.ros.convert import seconds
from prehend.ros.diagnostics import Stats
from prehend.ros.loading import HandEstimator
from prehend.ros.messages import COMPRESSED_IMAGE, IMAGE, decode
from prehend.ros.params import NodeParams
from prehend.types import Camera, FrameResult

Publish = Callable[[Any, Image, FrameResult], None]
"""Takes the image's header, its pixels (H, W, 3) uint8 RGB and the result."""


class Calibration:
    """The newest camera_info, and what to do without one.

    Attributes:
        reason: why there is no calibrated camera; empty when there is one.
    """

    def __init__(self, fov_deg: float, timeout_s: float, rectified: bool) -> None:
        self._fov_deg, self._timeout_s, self._rectified = fov_deg, timeout_s, rectified
        self._camera: Camera | None = None
        self._first_image_s: float | None = None
        self._heard = False
        self.reason = "no camera_info yet"

    def update(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo."""
        self._heard = True
        try:
            self._camera = camera_from_info(message, self._rectified)
            self.reason = "" if self._camera else "camera_info says that the camera is not calibrated (K is zero)"
        except PrehendError as error:
            self._camera, self.reason = None, f"camera_info is wrong: {error}"

    def camera(self, width: int, height: int, now_s: float) -> Camera | None:
        """The camera of an image of this size [px], None while the first camera_info may still come.

        Raises:
            InvalidInput: the calibration is for another size.
        """
        if self._first_image_s is None:
            self._first_image_s = now_s
        camera = self._camera
        if camera is not None:
            if (camera.width, camera.height) != (width, height):
                raise InvalidInput(
                    f"camera_info is for {camera.width} x {camera.height}, the image is {width} x {height}"
                )
            return camera
        if not self._heard and now_s - self._first_image_s < self._timeout_s:
            return None
        return estimated_camera(width, height, self._fov_deg) if self._fov_deg else estimated_camera(width, height)


class Worker:
    """Processes the newest image there is; older ones that were not reached are dropped and counted.

    `run` is the thread: it goes on after a `PrehendError` (counted, told by the diagnostics) and ends with any other.
    """

    def __init__(
        self, estimator: HandEstimator, params: NodeParams, calibration: Calibration, stats: Stats, publish: Publish
    ) -> None:
        self._estimator, self._calibration, self._stats, self._publish = estimator, calibration, stats, publish
        self._compressed = params.image_transport == "compressed"
        self._newest: bytes | None = None
        self._stopped = False
        self._changed = threading.Condition()

    def offer(self, data: bytes) -> None:
        """Hand over a serialised image; returns at once."""
        self._stats.arrived(time.monotonic())
        with self._changed:
            if self._newest is not None:
                self._stats.dropped()
            self._newest = data
            self._changed.notify()

    def stop(self) -> None:
        """Let `run` return after the image it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Process images until `stop`."""
        while (data := self._take()) is not None:
            try:
                self._process(data)
            except PrehendError as error:
                self._stats.failed(str(error))

    def _take(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._newest is not None)
            data, self._newest = self._newest, None
            return None if self._stopped else data

    def _process(self, data: bytes) -> None:
        header, image = self._read(data)
        camera = self._calibration.camera(image.shape[1], image.shape[0], time.monotonic())
        if camera is None:
            self._stats.waited()
            return
        self._publish(header, image, self._estimator.estimate(image, camera, seconds(header.stamp)))

    def _read(self, data: bytes) -> tuple[Any, Image]:
        if self._compressed:
            message = decode(data, COMPRESSED_IMAGE)
            return message.header, decode_image(bytes(message.data), "compressed image")
        message = decode(data, IMAGE)
        return message.header, image_from_message(message, "image")
