"""The calibration as what it is: a stream. Each image gets the camera_info of its stamp, or the newest before."""

import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from prehend.errors import InvalidInput, SourceError
from prehend.geometry.calibration import doubt
from prehend.geometry.camera import estimated_camera
from prehend.io.cameras.camera_info import camera_from_info
from prehend.ros.conversion.convert import seconds
from prehend.ros.middleware.borders import Border
from prehend.types import Camera

_KEPT = 64
"""Camera_infos that are remembered: two seconds at 30 Hz, many more than images wait."""

_OVERTAKEN_S = 0.1
"""How much later than its image a camera_info of the same stamp may come."""

_MISFIT_S = 4.0
"""The same where no other will do: Fast DDS sends again what got lost after 3 s."""

_SIZES = 4
"""Image sizes that a camera_info remembers its cameras for."""

_HOLD_S = 5.0
"""A camera_info that is zero or wrong does not displace the one before for this long: drivers send zeros until they
have read their file, and two of them may share a topic."""

_UNCALIBRATED = "camera_info says that the camera is not calibrated (K is zero)"
_NO_P = "camera_info has no P, which an image that is rectified needs"


class _Info:
    """One camera_info and the camera that it is for images of some size.

    Attributes:
        fault: why it is no calibration; empty where it is one.
        misfit: why it is none for images of the size that was asked for last.
        doubt: what is odd about it for these although it is one; empty for nothing.
    """

    def __init__(self, message: Any, heard_s: float, rectified: bool) -> None:
        self.stamp_s, self.heard_s = seconds(message.header.stamp), heard_s
        self.frame_id = str(message.header.frame_id)
        self._message, self._rectified = message, rectified
        self._cameras: dict[tuple[int, int], tuple[Camera | None, str]] = {}
        self._has_size = bool((message.roi.width or message.width) and (message.roi.height or message.height))
        self.misfit = self.doubt = ""
        self.fault = self._judge(None)[1] if self._has_size else ""

    def camera(self, size: tuple[int, int]) -> Camera | None:
        """For an image of this size [px]."""
        if self.fault:
            return None
        if size not in self._cameras:
            if len(self._cameras) >= _SIZES:
                self._cameras.clear()
            self._cameras[size] = self._judge(size)
        camera, self.misfit = self._cameras[size]
        self.doubt = "" if camera is None or self._message.roi.width else doubt(camera)
        if not self._has_size:  # the image's is all there is to judge by
            self.fault = self.misfit
        return camera

    def _judge(self, size: tuple[int, int] | None) -> tuple[Camera | None, str]:
        """The camera, and why there is none."""
        try:
            with Border(SourceError, "unreadable"):
                camera = camera_from_info(self._message, self._rectified, size)
        except (InvalidInput, SourceError) as error:
            return None, f"camera_info is wrong: {error}"
        if camera is not None:
            return camera, ""
        return None, _NO_P if np.any(self._message.k[:1]) else _UNCALIBRATED


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
        self._in_use = self._by_stamp = False
        self._patient = True
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self.reason, self.note = "no camera_info yet", ""

    @property
    def heard(self) -> bool:
        """Whether a camera_info ever came."""
        return bool(self._infos)

    def update(self, message: Any, now_s: float = 0.0) -> None:
        """Take a sensor_msgs/CameraInfo that came at `now_s` of a monotonic clock."""
        info = _Info(message, now_s, self._rectified)
        with self._lock:
            self._infos.append(info)
            self._came.notify_all()
            if info.fault and self._in_use:  # the one before is held on to
                self.note = info.fault
            else:
                self.reason = info.fault

    def wait(self, width: int, height: int, stamp_s: float | None) -> None:
        """Give the camera_info of an image a moment where it must be on its way: the image may overtake it.

        That is so where calibrations change and the images before had one of their own stamp, and where none that came
        is for this size though the one before was.
        """
        size = (width, height)
        with self._lock:
            if self._by_stamp and stamp_s is not None and self._varies(size):
                self._came.wait_for(lambda: any(info.stamp_s == stamp_s for info in self._infos), _OVERTAKEN_S)
            if self._infos:
                if self._patient:
                    self._came.wait_for(lambda: self._infos[-1].fault or self._fits(size), _MISFIT_S)
                self._patient = self._fits(size)

    def _varies(self, size: tuple[int, int]) -> bool:
        """Whether the last two calibrations for images of this size differ."""
        cameras = [camera for info in self._infos if (camera := info.camera(size)) is not None][-2:]
        return len(cameras) == 2 and not (
            np.array_equal(cameras[0].K, cameras[1].K) and np.array_equal(cameras[0].distortion, cameras[1].distortion)
        )

    def _fits(self, size: tuple[int, int]) -> bool:
        return any(info.camera(size) is not None for info in self._infos)

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
            self._in_use = self._by_stamp = False
            chosen = self._choose((width, height), now_s, stamp_s)
            self._in_use = chosen is not None
            self._by_stamp = any(info.stamp_s == stamp_s for info in self._infos)
            self._explain(chosen, frame_id)
        if chosen is not None:
            return chosen.camera((width, height))
        return estimated_camera(width, height, self._fov_deg) if self._fov_deg else estimated_camera(width, height)

    def _choose(self, size: tuple[int, int], now_s: float, stamp_s: float | None) -> _Info | None:
        fitting = [info for info in self._infos if info.camera(size) is not None]
        sound = [info for info in self._infos if not info.fault]
        newest = self._infos[-1].fault if self._infos else "none"
        if not sound or (newest and (not fitting or now_s - sound[-1].heard_s > _HOLD_S)):
            return None
        if not fitting:
            raise InvalidInput(sound[-1].misfit)
        return _of_stamp(fitting, stamp_s)

    def _explain(self, chosen: _Info | None, frame_id: str) -> None:
        newest = self._infos[-1].fault if self._infos else "no camera_info yet"
        self.reason, self.note = (newest, "") if chosen is None else ("", newest)
        if chosen is not None and frame_id and chosen.frame_id not in ("", frame_id):
            self.note = (
                f"camera_info belongs to frame '{chosen.frame_id}', the images to '{frame_id}': "
                "is it that of this camera?"
            )
        elif chosen is not None and not newest:
            self.note = chosen.doubt


def _of_stamp(infos: Sequence[_Info], stamp_s: float | None) -> _Info:
    """The one of this stamp, else the newest before, else the first after."""
    if stamp_s is None or not math.isfinite(stamp_s):
        return infos[-1]
    before = [info for info in infos if info.stamp_s <= stamp_s]
    if not before:
        return min(infos, key=lambda info: info.stamp_s)
    newest = max(info.stamp_s for info in before)
    return [info for info in before if info.stamp_s == newest][-1]
