"""Depth images beside the images: kept for a moment, found again by their stamp, and what is wrong with them told."""

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from prehend.errors import PrehendError, SourceError
from prehend.io.pixels.images import MAX_PIXELS, ImageReader
from prehend.pipeline.depth.register import Depth
from prehend.ros.conversion.convert import seconds
from prehend.ros.depth.images import COMPRESSED_SUFFIX, DepthImage, compressed_depth_image, depth_image
from prehend.ros.depth.places import DepthPlaces, Place
from prehend.ros.messages import COMPRESSED_IMAGE, IMAGE, decode
from prehend.ros.nodes.diagnostics import OK, WARN, Status
from prehend.ros.topics.graph import Publisher, other_quality

_KEPT = 8
"""Depth images that are remembered: a quarter of a second at 30 Hz."""

_WAIT_S = 0.05
"""How much later than its image the depth of the same moment may come."""

_SHOWN_S = 3.0
"""A fault that came once is shown this long."""

_SHOWN = 3


class _Kept(NamedTuple):
    stamp_s: float
    message: Any


def _measures(depth_m: DepthImage) -> bool:
    """Whether any pixel of it says how far something is."""
    return bool((np.isfinite(depth_m) & (depth_m > 0)).any())


class DepthStream:
    """The depth images of late.

    `add` and `add_info` are called by the subscriptions, `of` by the worker, `status` by the diagnostics.

    Args:
        topic: of sensor_msgs/Image, or, where it ends in /compressedDepth, of sensor_msgs/CompressedImage.
        max_apart_s: largest difference of stamps between an image and its depth [s].
        places: says where depth lies; None takes it for aligned.
        max_pixels: larger ones are refused before they are decompressed.

    Attributes:
        kind: type of the topic.
        places: as given.
    """

    def __init__(
        self, topic: str, max_apart_s: float, places: DepthPlaces | None = None, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.topic, self._max_apart_s = topic, max_apart_s
        self.places = places or DepthPlaces("", False, None, False)
        self.kind = COMPRESSED_IMAGE if topic.endswith(COMPRESSED_SUFFIX) else IMAGE
        self._reader = ImageReader(max_pixels=max_pixels)
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
        """Take a serialised depth image; what is none is told."""
        try:
            message = decode(data, self.kind)
        except PrehendError as error:
            self._told(str(error))
            return
        with self._came:
            self._received += 1
            self._heard_s = time.monotonic()
            self._kept.append(_Kept(seconds(message.header.stamp), message))
            self._came.notify_all()

    def add_info(self, data: bytes) -> None:
        """Take the serialised sensor_msgs/CameraInfo of the depth camera; what is none is told."""
        try:
            self.places.update(data)
        except PrehendError as error:
            self._told(f"the calibration of depth: {error}")

    def of(self, stamp_s: float, width: int, height: int, frame_id: str = "") -> Depth | None:
        """The depth of an image [m], or None; waits a moment for what must be on its way.

        Args:
            stamp_s: of the image.
            width, height: of the image [px].
            frame_id: of the image.
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
            depth = self._placed(best, Place(stamp_s, frame_id.lstrip("/"), width, height))
        except PrehendError as error:
            self._unmatched += 1
            self._told(str(error))
            return None
        self._matched += 1
        return depth

    def _placed(self, kept: _Kept, image: Place) -> Depth:
        message = kept.message
        self.places.in_vain = False
        compressed = self.kind == COMPRESSED_IMAGE
        depth_m = compressed_depth_image(message, self._reader) if compressed else depth_image(message)
        if not _measures(depth_m[::8, ::8]) and not _measures(depth_m):  # nearly every image is done with a few pixels
            raise SourceError(
                "a whole depth image without a measurement (0, NaN or infinity): is its camera covered, or too near?"
            )
        height, width = depth_m.shape
        return self.places.placed(
            depth_m, Place(kept.stamp_s, str(message.header.frame_id).lstrip("/"), width, height), image
        )

    def status(
        self,
        now_s: float,
        silent_after_s: float,
        publishers: Sequence[Publisher],
        others: Sequence[str] = (),
        info_cause: str = "",
    ) -> Status:
        """Whether depth comes and fits.

        Args:
            now_s: of a monotonic clock.
            silent_after_s: a parameter of the node.
            publishers: on the topic, of any type.
            others: topics of depth that somebody publishes besides.
            info_cause: why its calibration does not come.
        """
        silent_s = now_s - self._heard_s
        level, message = OK, "depth refines distances"
        if silent_s > silent_after_s:
            why = self._silence(silent_s, publishers, others)
            level, message = WARN, f"{why}; distances come from the image alone"
        elif now_s - self._fault_s < _SHOWN_S:
            why = f"{self._fault}: {info_cause}" if self.places.in_vain and info_cause else self._fault
            level, message = WARN, f"{why}; distances come from the image alone"
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

    def _silence(self, silent_s: float, publishers: Sequence[Publisher], others: Sequence[str]) -> str:
        if not publishers:
            there = f"; there is {', '.join(others[:_SHOWN])}: set depth_topic" if others else ""
            return f"nobody publishes {self.topic}{there}"
        fitting = [one for one in publishers if one.type_name == self.kind]
        if not fitting:
            types = ", ".join(sorted({one.type_name for one in publishers}))
            return f"{self.topic} carries {types}, depth is read as {self.kind}"
        if all(one.refused for one in fitting):
            return other_quality(self.topic, fitting[0])
        if self._received:
            return f"{self.topic} is silent: no depth for {silent_s:.0f} s"
        return f"{self.topic} has a publisher but nothing arrives"

    def _told(self, fault: str) -> None:
        self._fault, self._fault_s = fault, time.monotonic()
