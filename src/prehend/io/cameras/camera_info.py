"""The camera of a sensor_msgs/CameraInfo, whoever deserialised it, and which message counts for an image."""

from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.geometry.calibration import checked_camera, doubt
from prehend.types import Camera

_KEPT = 10_000
"""Messages that are remembered with their stamps: five minutes at 30 Hz."""
_REMEMBERED = 64
_OTHER_CLOCK_S = 60.0
"""Stamps that differ by more are not of one clock."""


def camera_from_info(message: Any, rectified: bool = False, image_size: tuple[int, int] | None = None) -> Camera | None:
    """The camera for the image as it is sent, or None when K says "not calibrated" (K[0] = 0, REP 104).

    K, D and P are for the whole sensor; region of interest and binning take them to the image (CameraInfo.msg). Drivers
    often fill these in for an image that was neither cut nor binned, or leave the size out: the image's own size tells.

    Args:
        message: of ROS 2 (k, d, p) or ROS 1 (K, D, P).
        rectified: the image is an `image_rect*`: P holds its intrinsics and there is no distortion.
        image_size: width and height of the image [px], where it is known.

    Raises:
        InvalidInput: an unknown distortion model, or values that cannot be a camera (see `checked_camera`).
    """
    k, d, p = (_field(message, name) for name in "kdp")
    if k.size != 9:
        raise InvalidInput(f"camera_info has {k.size} numbers in K, expected 9")
    if rectified and p.size == 12 and p[0] != 0:
        k, d = p.reshape(3, 4)[:, :3].ravel(), np.zeros(0)
    elif rectified and d.any():
        return None  # P was left out, and K is not that of the rectified image
    if k[0] == 0:
        return None
    size, region, binning = _geometry(message, image_size)
    whole = checked_camera(k, *size, d, message.distortion_model or "")
    K = whole.K.copy()
    # pixel centres are whole numbers: a binned pixel covers [-0.5, b - 0.5] of the sensor's
    K[:2, 2] = (K[:2, 2] - region[:2] + 0.5) / binning - 0.5
    K[:2, :2] /= binning[:, None]
    width, height = region[2:] // binning
    return Camera(K, int(width), int(height), whole.distortion, whole.distortion_model)


class CameraStream:
    """camera_info as the stream it is: for each image the message of its stamp, or the newest before it.

    Zeros in K say "not yet" and change nothing. Messages may come in any order.

    Attributes:
        reason: why the last camera that was asked for is None; empty when there was one.
        doubt: what is odd about it although it is one; empty for nothing.
    """

    def __init__(self, rectified: bool = False) -> None:
        self.doubt = ""
        self._rectified = rectified
        self._stamps: list[float] = []
        self._keys: list[bytes] = []
        self._messages: dict[bytes, Any] = {}
        self._made: dict[tuple[bytes, tuple[int, int]], Camera | InvalidInput | None] = {}
        self.reason = "there is no camera_info"

    @property
    def newest(self) -> float:
        """Stamp [s] of the newest message, -inf before the first."""
        return self._stamps[-1] if self._stamps else -np.inf

    def add(self, message: Any, stamp: float) -> None:
        """Take a message of a stamp [s]; one without numbers in K is only remembered as a reason."""
        k = _field(message, "k")
        if k.size != 9 or k[0] == 0:
            if not self._messages:
                self.reason = "camera_info says that the camera is not calibrated (K is zero)"
            return
        key = _content(message)
        self._messages[key] = message
        place = bisect_right(self._stamps, stamp)
        self._stamps.insert(place, stamp)
        self._keys.insert(place, key)
        if len(self._stamps) > 2 * _KEPT:
            del self._stamps[:_KEPT], self._keys[:_KEPT]
            self._messages = {kept: self._messages[kept] for kept in set(self._keys)}

    def camera(self, stamp: float | None, width: int, height: int) -> Camera | None:
        """The camera of an image of this stamp [s] and size [px]; None says `reason`.

        An image that is a little older than every message takes the oldest one; one of another clock the newest.
        """
        if not self._stamps:
            return None
        place = len(self._stamps) if stamp is None else bisect_right(self._stamps, stamp)
        if place == 0 and stamp is not None and self._stamps[0] - stamp < _OTHER_CLOCK_S:
            place = 1
        key = self._keys[place - 1]
        if (key, (width, height)) not in self._made:
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            self._made[key, (width, height)] = self._judged(self._messages[key], width, height)
        found = self._made[key, (width, height)]
        self.reason = "" if isinstance(found, Camera) else str(found or "camera_info has no P for a rectified image")
        if not isinstance(found, Camera):
            return None
        self.doubt = "" if self._messages[key].roi.width else doubt(found)
        return found

    def _judged(self, message: Any, width: int, height: int) -> Camera | InvalidInput | None:
        try:
            return camera_from_info(message, self._rectified, (width, height))
        except InvalidInput as error:
            return error


def is_rectified(topic: str) -> bool:
    """Whether images of a topic are rectified, by the names that image_proc and drivers use.

    These are `image_rect*`, `image_undistorted`, and an `image` below `rect` (ZED) or `rectified`. The first part of a
    name is the camera's own.
    """
    *above, last = topic.removesuffix("/compressed").strip("/").lower().split("/")
    if "rect" in last or "undist" in last:
        return True
    parent = above[-1] if len(above) > 1 else ""
    return "undist" in parent or parent == "rectified" or (parent == "rect" and "raw" not in last)


def _geometry(
    message: Any, image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]]:
    """Size of the whole sensor, region of interest (x, y, width, height) on it, and binning, as the image has them."""
    roi = message.roi
    width = int(message.width) or (image_size[0] if image_size and not roi.width else int(roi.x_offset + roi.width))
    height = int(message.height) or (image_size[1] if image_size and not roi.height else int(roi.y_offset + roi.height))
    binning = np.array([max(int(message.binning_x), 1), max(int(message.binning_y), 1)], np.int64)
    region = np.array([roi.x_offset, roi.y_offset, roi.width or width, roi.height or height], np.int64)
    if image_size is None or tuple(region[2:] // binning) == image_size:
        return (width, height), region, binning
    whole = np.array([0, 0, width, height], np.int64)
    for cut, binned in ((whole, np.ones(2, np.int64)), (region, np.ones(2, np.int64)), (whole, binning)):
        if tuple(cut[2:] // binned) == image_size:
            return (width, height), cut, binned
    raise InvalidInput(
        f"camera_info is for {region[2] // binning[0]} x {region[3] // binning[1]}, "
        f"the image is {image_size[0]} x {image_size[1]}"
    )


def _content(message: Any) -> bytes:
    roi = message.roi
    numbers = [message.width, message.height, message.binning_x, message.binning_y]
    numbers += [roi.x_offset, roi.y_offset, roi.width, roi.height]
    return b"|".join(
        [
            *(_field(message, name).tobytes() for name in "kdp"),
            str(message.distortion_model).encode(),
            repr(numbers).encode(),
        ]
    )


def _field(message: Any, name: str) -> Any:
    value = getattr(message, name) if hasattr(message, name) else getattr(message, name.upper())
    return np.array(value, np.float64).ravel()
