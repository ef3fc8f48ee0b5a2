"""Depth images beside the images: kept for a moment, found again by their stamp, and what is wrong with them told."""

import math
import threading
import time
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.errors import PrehendError, SourceError
from prehend.ros.borders import Border
from prehend.ros.convert import seconds
from prehend.ros.diagnostics import OK, WARN, Status
from prehend.ros.messages import IMAGE, decode

_KEPT = 8
"""Depth images that are remembered: a quarter of a second at 30 Hz."""

_WAIT_S = 0.05
"""How much later than its image the depth of the same moment may come."""

_ENCODINGS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MILLIMETRES = np.float32(1e-3)
_SHOWN_S = 3.0
"""A fault that came once is shown this long."""

DepthImage = NDArray[np.float32]


class _Kept(NamedTuple):
    stamp_s: float
    message: Any


class DepthStream:
    """The depth images of late.

    `add` is called by the subscription, `of` by the worker, `status` by the diagnostics.

    Args:
        topic: for the diagnostics.
        max_apart_s: largest difference of stamps between an image and its depth [s].
    """

    def __init__(self, topic: str, max_apart_s: float) -> None:
        self.topic, self._max_apart_s = topic, max_apart_s
        self._kept: deque[_Kept] = deque(maxlen=_KEPT)
        self._came = threading.Condition()
        self._started_s = self._heard_s = time.monotonic()
        self._received = self._matched = self._unmatched = 0
        self._fault, self._fault_s = "", -math.inf

    @property
    def heard_s(self) -> float:
        """When the last one came, of a monotonic clock [s]."""
        return self._heard_s

    def add(self, data: bytes) -> None:
        """Take a serialised sensor_msgs/Image; what is none is told."""
        try:
            message = decode(data, IMAGE)
        except PrehendError as error:
            self._told(str(error))
            return
        with self._came:
            self._received += 1
            self._heard_s = time.monotonic()
            self._kept.append(_Kept(seconds(message.header.stamp), message))
            self._came.notify_all()

    def of(self, stamp_s: float, width: int, height: int) -> DepthImage | None:
        """The depth of an image [m], or None; waits a moment for what must be on its way.

        Args:
            stamp_s: of the image.
            width, height: of the image [px].
        """
        if stamp_s <= 0:
            self._unmatched += 1
            self._told("the images have no stamps to find their depth by")
            return None
        with self._came:
            if time.monotonic() - self._heard_s < 1.0 and self._received:
                self._came.wait_for(lambda: any(one.stamp_s >= stamp_s for one in self._kept), _WAIT_S)
            best = min(reversed(self._kept), key=lambda one: abs(one.stamp_s - stamp_s), default=None)
        if best is None:
            self._unmatched += 1
            return None
        apart_s = abs(best.stamp_s - stamp_s)
        if apart_s > self._max_apart_s:
            self._unmatched += 1
            if time.monotonic() - self._heard_s < 1.0:
                self._told(
                    f"stamps do not match: the nearest depth is {apart_s:.3f} s from the image, allowed: "
                    f"{self._max_apart_s:g} s (depth_max_apart_s); are both from one device, or one clock?"
                )
            return None
        try:
            depth = depth_image(best.message, width, height)
        except PrehendError as error:
            self._unmatched += 1
            self._told(str(error))
            return None
        self._matched += 1
        return depth

    def status(self, now_s: float, silent_after_s: float, publishers: list[str]) -> Status:
        """Whether depth comes and fits; `publishers` are the types that are published on the topic."""
        silent_s = now_s - self._heard_s
        level, message = OK, "depth refines distances"
        if silent_s > silent_after_s:
            level, message = WARN, f"{self._silence(silent_s, publishers)}; distances come from the image alone"
        elif now_s - self._fault_s < _SHOWN_S:
            level, message = WARN, f"{self._fault}; distances come from the image alone"
        elif not self._matched:
            message = "depth arrives; no image had any yet"
        values: dict[str, object] = {
            "topic": self.topic,
            "received": self._received,
            "matched": self._matched,
            "images without depth": self._unmatched,
            "last fault": self._fault,
        }
        return Status("depth", level, message, values)

    def _silence(self, silent_s: float, types: list[str]) -> str:
        if not types:
            return f"nobody publishes {self.topic}"
        if IMAGE not in types:
            return f"{self.topic} carries {', '.join(sorted(set(types)))}, depth is read as {IMAGE}"
        if self._received:
            return f"{self.topic} is silent: no depth for {silent_s:.0f} s"
        return f"{self.topic} has a publisher but nothing arrives"

    def _told(self, fault: str) -> None:
        self._fault, self._fault_s = fault, time.monotonic()


def depth_image(message: Any, width: int, height: int) -> DepthImage:
    """(H, W) float32 depth [m] of a sensor_msgs/Image, 0 or NaN where nothing was measured (REP 118).

    Args:
        message: 16UC1 in millimetres or 32FC1 in metres.
        width, height: of the image that it shall be aligned to [px].

    Raises:
        SourceError: another encoding, another size, or not as many bytes as it says.
    """
    kind = _ENCODINGS.get(str(message.encoding))
    if kind is None:
        raise SourceError(f"depth: encoding '{message.encoding}', known: 16UC1 (mm) and 32FC1 (m)")
    if (message.width, message.height) != (width, height):
        raise SourceError(
            f"depth is {message.width} x {message.height}, the image {width} x {height}: let the driver align it "
            "(align_depth.enable:=true of realsense2_camera, depth_registration of OpenNI and Orbbec)"
        )
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    step = message.step or width * dtype.itemsize
    with Border(SourceError, "depth"):
        rows = np.asarray(message.data, np.uint8)[: step * height].reshape(height, step)[:, : width * dtype.itemsize]
        values = np.ascontiguousarray(rows).view(dtype)
        if values.shape != (height, width):
            raise SourceError(f"a row has {step} bytes, too few for {width} pixels")
    return values.astype(np.float32) * (_MILLIMETRES if kind == "u2" else np.float32(1))
