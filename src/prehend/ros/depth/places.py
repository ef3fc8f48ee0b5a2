"""Where depth images lie: on the image already, or in a camera of their own, by its camera_info and /tf."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from prehend.errors import InvalidInput, SourceError
from prehend.io.cameras.camera_info import camera_from_info
from prehend.pipeline.depth.register import Depth, UnalignedDepth
from prehend.ros.depth.images import DepthImage
from prehend.ros.frames.buffer import TransformBuffer, TransformError
from prehend.ros.messages import CAMERA_INFO, decode
from prehend.ros.middleware.borders import Border
from prehend.types import Camera, FloatArray

_WAIT_S = 0.05
"""How long a transform is waited for that is on its way [s]."""

_DRIVERS = "align_depth.enable:=true of realsense2_camera, depth_registration of OpenNI and Orbbec"
_ALIGN = f"or let the driver align it ({_DRIVERS})"


@dataclass(frozen=True)
class Place:
    """Of an image: when it was taken, its frame without a leading slash, and its size [px]."""

    stamp_s: float
    frame: str
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return self.width, self.height


class DepthPlaces:
    """Decides where a depth image lies; `update` is called by the subscription, `placed` by the worker.

    Args:
        info_topic: of the depth camera's calibration.
        rectified: its P counts, see `camera_from_info`.
        buffer: transforms; None takes every depth image for aligned.
        always: register what looks aligned, too.

    Attributes:
        info_topic: as given.
        in_vain: whether a calibration was needed and none ever came.
    """

    def __init__(self, info_topic: str, rectified: bool, buffer: TransformBuffer | None, always: bool) -> None:
        self.info_topic, self._rectified, self._buffer, self._always = info_topic, rectified, buffer, always
        self.in_vain = False
        self._info: Any = None
        self._cameras: dict[tuple[int, int], Camera] = {}
        self._lock = threading.Lock()

    @property
    def registers(self) -> bool:
        """Whether a camera_info and transforms may be needed."""
        return self._buffer is not None

    def update(self, data: bytes) -> None:
        """Take a serialised sensor_msgs/CameraInfo.

        Raises:
            SourceError: it is none.
        """
        message = decode(data, CAMERA_INFO)
        if np.any(message.k[:1]):  # zeros say "not yet"
            with self._lock:
                self._info, self._cameras, self.in_vain = message, {}, False

    def placed(self, depth_m: DepthImage, own: Place, image: Place) -> Depth:
        """The depth image as the estimator takes it.

        Args:
            depth_m: (H, W) [m].
            own: of the depth image.
            image: of the image that it belongs to.

        Raises:
            SourceError: it lies elsewhere, and nobody says where.
        """
        nameless = not own.frame or not image.frame
        same_frame = nameless or own.frame == image.frame
        if self._buffer is None or (same_frame and own.size == image.size and not self._always):
            if own.size != image.size:
                raise SourceError(f"{_sizes(own, image)}: set depth_alignment to auto, {_ALIGN}")
            return depth_m
        if nameless:
            raise SourceError(f"{_sizes(own, image)}, and without a frame_id nobody can say how they lie: {_ALIGN[3:]}")
        camera = self._camera(own, image)
        return UnalignedDepth(depth_m, camera, np.eye(4) if same_frame else self._transform(self._buffer, own, image))

    def _camera(self, own: Place, image: Place) -> Camera:
        with self._lock:
            info, camera = self._info, self._cameras.get(own.size)
            self.in_vain = info is None
        if camera is not None:
            return camera
        if info is None:
            raise SourceError(
                f"{_sizes(own, image)}: no calibration of it came on {self.info_topic} (depth_info_topic), {_ALIGN}"
            )
        frame = str(info.header.frame_id).lstrip("/")
        if frame and own.frame and frame != own.frame:
            raise SourceError(
                f"{self.info_topic} is the calibration of '{frame}', depth is of '{own.frame}': name its own with "
                f"depth_info_topic, {_ALIGN}"
            )
        try:
            with Border(SourceError, f"{self.info_topic} cannot be read"):
                camera = camera_from_info(info, self._rectified, own.size)
        except InvalidInput as error:
            raise SourceError(f"{_sizes(own, image)}, and {self.info_topic} is wrong: {error}") from error
        if camera is None:
            raise SourceError(f"{self.info_topic} has no P, which a depth image that is rectified needs")
        with self._lock:
            self._cameras[own.size] = camera
        return camera

    def _transform(self, buffer: TransformBuffer, own: Place, image: Place) -> FloatArray:
        try:
            return buffer.transform(image.frame, own.frame, own.stamp_s, _WAIT_S)
        except TransformError as error:
            raise SourceError(f"depth is not aligned, and {error}; publish it, {_ALIGN}") from error


def _sizes(own: Place, image: Place) -> str:
    """What does not agree, for a person."""
    if own.size == image.size:
        return f"depth is of frame '{own.frame}', the image of '{image.frame}'"
    return f"depth is {own.width} x {own.height}, the image {image.width} x {image.height}"
