"""The images of a ROS 2 topic as a source of frames, read as the node reads them."""

import time
from collections.abc import Iterator
from typing import Any

from prehend.errors import ParameterError, SourceError
from prehend.io.cameras.camera_info import CameraStream, is_rectified
from prehend.io.frames import ErrorHandler, Frame, Kind, Source
from prehend.io.pixels.images import ImageReader
from prehend.ros.conversion.convert import seconds
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, decode, message_class, require_rclpy
from prehend.ros.middleware.borders import Border
from prehend.ros.start import end_ros, start_ros

_PATIENCE_S = 5.0
"""Silence after which a person is told, once."""
_LOOK_S = 0.2


class RosTopic(Source):
    """The newest images of a topic, each with the camera of the camera_info beside it; it ends when the caller stops.

    Args:
        name: `ros:/camera/image_raw`; a topic that ends in `/compressed` has `CompressedImage`.
        on_error: see `Source`.

    Raises:
        MissingDependency: there is no rclpy.
        ParameterError: ROS refuses the name.
    """

    kind: Kind = "camera"

    def __init__(self, name: str, on_error: ErrorHandler | None = None):
        super().__init__(name, on_error)
        require_rclpy()
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy

        self._topic = name.removeprefix("ros:")
        self._compressed = self._topic.endswith("/compressed")
        self._kind = COMPRESSED_IMAGE if self._compressed else IMAGE
        self._reader = ImageReader(note=self._note)
        base = self._topic.removesuffix("/compressed")
        self._cameras = CameraStream(is_rectified(base))
        self._newest: bytes | None = None
        quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._node, notes = start_ros([], "prehend_view")
        for note in notes:
            self._note(note)
        info = f"{base.rpartition('/')[0]}/camera_info"
        try:
            with Border(ParameterError, f"ROS refuses the topic {self._topic}"):
                for kind, topic, take in (
                    (CAMERA_INFO, info, self._on_info),
                    (self._kind, self._topic, self._on_image),
                ):
                    self._node.create_subscription(message_class(kind), topic, take, quality, raw=True)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        index, began_s = 0, time.monotonic()
        while True:
            self._executor.spin_once(timeout_sec=_LOOK_S)
            data, self._newest = self._newest, None
            if data is None:
                if index == 0 and time.monotonic() - began_s > _PATIENCE_S:
                    self._tell_silence()
                continue
            try:
                yield self._frame(data, index)
            except SourceError as error:
                self._report(error)
            index += 1

    def close(self) -> None:
        """Leave ROS."""
        end_ros(self._node)

    def _tell_silence(self) -> None:
        """Say so where nobody publishes; notes are passed on with the next frame, which may never come."""
        self._report(SourceError(f"{self.name}: no image yet: does anybody publish it as {self._kind}?"))

    def _on_image(self, data: bytes) -> None:
        self._newest = data

    def _on_info(self, data: bytes) -> None:
        try:
            message = decode(data, CAMERA_INFO)
            self._cameras.add(message, seconds(message.header.stamp))
        except SourceError as error:
            self._note(str(error))

    def _frame(self, data: bytes, index: int) -> Frame:
        message: Any = decode(data, self._kind)
        place = f"{self.name}: image {index}"
        image = (self._reader.compressed if self._compressed else self._reader.message)(message, place)
        stamp = seconds(message.header.stamp) or None
        height, width = image.shape[:2]
        return Frame(image, self.name, index, stamp, self._cameras.camera(stamp, width, height))
