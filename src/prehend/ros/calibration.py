"""The calibration as what it is: a stream. Each image gets the camera_info of its stamp, or the newest before."""

import math
import threading
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.camera import estimated_camera
from prehend.io.camera_info import camera_from_info
from prehend.ros.borders import Border
from prehend.ros.convert import seconds
from prehend.types import Camera

_KEPT = 64
"""Camera_infos that are remembered: two seconds at 30 Hz, many more than images wait."""

_HOLD_S = 5.0
"""A camera_info that is zero or wrong does not displace the one before for this long: drivers send zeros until they
have read their file, and two of them may share a topic."""

_FOCAL = (0.05, 100.0)
"""Focal lengths that can be, in units of the image's longer side: a fisheye of 180 degrees and more has 0.3, a lens of
one degree 57."""

_ASPECT = (0.2, 5.0)
"""Of a pixel."""

_UNCALIBRATED = "camera_info says that the camera is not calibrated (K is zero)"


@dataclass
class _Info:
    """One camera_info; `camera` is None where it gives none, `message` kept where it lacks a size."""

    stamp_s: float
    heard_s: float
    frame_id: str
    camera: Camera | None = None
    fault: str = ""
    message: Any = None


class Calibration:
    """The camera_infos of late, and what to do without one.

    `update` is called by the subscription, `camera` by the worker.

    Attributes:
        reason: why there is no calibrated camera; empty when there is one.
        note: what is odd although there is one; empty when nothing is.
    """

    def __init__(self, fov_deg: float, timeout_s: float, rectified: bool) -> None:
        self._fov_deg, self._timeout_s, self._rectified = fov_deg, timeout_s, rectified
        self._infos: deque[_Info] = deque(maxlen=_KEPT)
        self._first_image_s: float | None = None
        self._in_use = False
        self._lock = threading.Lock()
        self.reason, self.note = "no camera_info yet", ""

    @property
    def heard(self) -> bool:
        """Whether a camera_info ever came."""
        return bool(self._infos)

    def update(self, message: Any, now_s: float = 0.0) -> None:
        """Take a sensor_msgs/CameraInfo that came at `now_s` of a monotonic clock."""
        info = _Info(seconds(message.header.stamp), now_s, str(message.header.frame_id))
        if _has_size(message):
            self._read(info, message)
        else:
            info.message = message
        with self._lock:
            self._infos.append(info)
            if info.fault and self._in_use:  # the one before is held on to
                self.note = info.fault
            else:
                self.reason = info.fault

    def camera(
        self, width: int, height: int, now_s: float, stamp_s: float | None = None, frame_id: str = ""
    ) -> Camera | None:
        """The camera of an image, None while the first camera_info may still come.

        Args:
            width, height: of the image [px].
            now_s: of a monotonic clock.
            stamp_s: of the image; None takes the newest camera_info.
            frame_id: of the image.

        Raises:
            InvalidInput: the calibration is for another size.
        """
        with self._lock:
            if self._first_image_s is None:
                self._first_image_s = now_s
            if not self._infos and now_s - self._first_image_s < self._timeout_s:
                return None
            for info in self._infos:
                if info.message is not None:
                    self._read(info, _with_size(info.message, width, height))
                    info.message = None
            self._in_use = False
            chosen = self._choose((width, height), now_s, stamp_s)
            self._in_use = chosen is not None
            self._explain(chosen, frame_id)
        if chosen is not None:
            return chosen.camera
        return estimated_camera(width, height, self._fov_deg) if self._fov_deg else estimated_camera(width, height)

    def _read(self, info: _Info, message: Any) -> None:
        try:
            with Border(SourceError, "unreadable"):
                info.camera = camera_from_info(message, self._rectified)
                if info.camera is not None:
                    check_plausible(info.camera)
            info.fault = "" if info.camera is not None else _UNCALIBRATED
        except (InvalidInput, SourceError) as error:
            info.camera, info.fault = None, f"camera_info is wrong: {error}"

    def _recent(self, now_s: float) -> list[_Info]:
        """Those with a camera that are not displaced by a newer one without."""
        real = [info for info in self._infos if info.camera is not None]
        if real and self._infos[-1].fault and now_s - real[-1].heard_s > _HOLD_S:
            return []
        return real

    def _choose(self, size: tuple[int, int], now_s: float, stamp_s: float | None) -> _Info | None:
        real = self._recent(now_s)
        fitting = [info for info in real if info.camera and (info.camera.width, info.camera.height) == size]
        if real and not fitting:
            camera = real[-1].camera
            assert camera is not None
            raise InvalidInput(
                f"camera_info is for {camera.width} x {camera.height}, the image is {size[0]} x {size[1]}"
            )
        return _of_stamp(fitting, stamp_s) if fitting else None

    def _explain(self, chosen: _Info | None, frame_id: str) -> None:
        newest = self._infos[-1].fault if self._infos else "no camera_info yet"
        self.reason, self.note = (newest, "") if chosen is None else ("", newest)
        if chosen is not None and frame_id and chosen.frame_id not in ("", frame_id):
            self.note = (
                f"camera_info belongs to frame '{chosen.frame_id}', the images to '{frame_id}': "
                "is it that of this camera?"
            )


def check_plausible(camera: Camera) -> None:
    """Raise `InvalidInput` for intrinsics that no camera has, such as a transposed or a singular K.

    K is that of the image as it is sent, after binning and region of interest (see `camera_from_info`).
    """
    K, longer = camera.K, max(camera.width, camera.height)
    if not np.allclose(K[2], (0, 0, 1)):
        row = ", ".join(f"{value:g}" for value in K[2])
        raise InvalidInput(f"the last row of K is {row}, expected 0, 0, 1: is it transposed?")
    if K[1, 0] != 0 or abs(K[0, 1]) > 0.1 * K[0, 0]:
        raise InvalidInput(f"K has {K[0, 1]:g} and {K[1, 0]:g} beside the focal lengths, expected 0")
    for focal in (K[0, 0], K[1, 1]):
        if not _FOCAL[0] * longer <= focal <= _FOCAL[1] * longer:
            raise InvalidInput(f"focal length {focal:g} px cannot be that of an image of {longer} px")
    if not _ASPECT[0] <= K[0, 0] / K[1, 1] <= _ASPECT[1]:
        raise InvalidInput(f"focal lengths {K[0, 0]:g} and {K[1, 1]:g} px do not belong to one camera")
    if not (-0.5 <= K[0, 2] <= camera.width - 0.5 and -0.5 <= K[1, 2] <= camera.height - 0.5):
        raise InvalidInput(
            f"the principal point {K[0, 2]:g}, {K[1, 2]:g} lies outside of the image, {camera.width} x {camera.height}"
        )


def _of_stamp(infos: Sequence[_Info], stamp_s: float | None) -> _Info:
    """The one of this stamp, else the newest before, else the first after."""
    if stamp_s is None or not math.isfinite(stamp_s):
        return infos[-1]
    before = [info for info in infos if info.stamp_s <= stamp_s]
    if not before:
        return min(infos, key=lambda info: info.stamp_s)
    newest = max(info.stamp_s for info in before)
    return [info for info in before if info.stamp_s == newest][-1]


def _has_size(message: Any) -> bool:
    region = message.roi
    return bool((region.width or message.width) and (region.height or message.height))


def _with_size(message: Any, width: int, height: int) -> Any:
    """The message with the image's size where it has none of its own."""
    full = copy(message)
    full.width, full.height = width * max(int(message.binning_x), 1), height * max(int(message.binning_y), 1)
    full.roi = copy(message.roi)
    full.roi.width = full.roi.height = 0
    return full
