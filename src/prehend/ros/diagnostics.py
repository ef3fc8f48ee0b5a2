"""What the node knows about itself, and how it says so on /diagnostics once a second (REP 107)."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prehend.ros.messages import DIAGNOSTICS, make

OK, WARN, ERROR = 0, 1, 2
_RECENT = 300
"""Images that the latency percentiles are over: ten seconds at 30 Hz."""


class Stats:
    """Counters that the subscription, the worker and the diagnostics share.

    Times are of a monotonic clock [s]. Every method takes the lock.
    """

    def __init__(self, started_s: float) -> None:
        self._lock = threading.Lock()
        self._counts = Counts(started_s=started_s, last_image_s=started_s)
        self._latencies_ms: deque[float] = deque(maxlen=_RECENT)
        self._totals_ms: deque[float] = deque(maxlen=_RECENT)

    def arrived(self, now_s: float) -> None:
        """An image came."""
        with self._lock:
            self._counts.received += 1
            self._counts.last_image_s = now_s

    def dropped(self) -> None:
        """A newer image took the place of one that was not processed yet."""
        with self._lock:
            self._counts.dropped += 1

    def waited(self) -> None:
        """An image was left out because the first camera_info may still come."""
        with self._lock:
            self._counts.waiting += 1

    def failed(self, reason: str) -> None:
        """An image could not be processed."""
        with self._lock:
            self._counts.failed += 1
            self._counts.new_failures += 1
            self._counts.last_error = reason

    def processed(self, latency_ms: float, total_ms: float, hands: int) -> None:
        """A result was published, `latency_ms` after its image's stamp."""
        with self._lock:
            self._counts.processed += 1
            self._counts.hands = hands
            self._latencies_ms.append(latency_ms)
            self._totals_ms.append(total_ms)

    @property
    def dropped_total(self) -> int:
        """Images dropped since the start."""
        with self._lock:
            return self._counts.dropped

    def take(self) -> "Counts":
        """A copy of everything; failures count as new once only."""
        with self._lock:
            counts = Counts(**vars(self._counts))
            self._counts.new_failures = 0
            counts.latency_ms = _percentiles(self._latencies_ms)
            counts.total_ms = _percentiles(self._totals_ms)
            return counts


@dataclass
class Counts:
    """A snapshot of `Stats`; percentiles are the 50th and 95th, NaN before the first result."""

    started_s: float = 0.0
    last_image_s: float = 0.0
    received: int = 0
    processed: int = 0
    dropped: int = 0
    waiting: int = 0
    failed: int = 0
    new_failures: int = 0
    hands: int = 0
    last_error: str = ""
    latency_ms: tuple[float, float] = field(default=(float("nan"), float("nan")))
    total_ms: tuple[float, float] = field(default=(float("nan"), float("nan")))


def _percentiles(values: deque[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    p50, p95 = np.percentile(values, [50, 95])
    return float(p50), float(p95)


@dataclass(frozen=True)
class Status:
    """One diagnostic_msgs/DiagnosticStatus before it is a message."""

    name: str
    level: int
    message: str
    values: dict[str, object]


def images_status(counts: Counts, now_s: float, silent_after_s: float, topic: str, publishers: int) -> Status:
    """Whether images come; where they do not, why that may be."""
    silent_s = now_s - counts.last_image_s
    level, message = OK, "images arrive"
    if silent_s > silent_after_s and not publishers:
        level, message = WARN, f"nobody publishes {topic}"
    elif silent_s > silent_after_s and counts.received:
        level, message = WARN, f"{topic} is silent: no image for {silent_s:.0f} s from {publishers} publisher(s)"
    elif silent_s > silent_after_s:
        level = WARN
        message = (
            f"{topic} has {publishers} publisher(s) but nothing arrives: large images need "
            "FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA on the camera's side too, or image_transport:=compressed"
        )
    values = {
        "topic": topic,
        "publishers": publishers,
        "received": counts.received,
        "dropped": counts.dropped,
        "seconds since last image": f"{silent_s:.1f}",
    }
    return Status("images", level, message, values)


def camera_status(calibrated: bool, reason: str, fov_deg: float) -> Status:
    """Whether positions can be in metres; `reason` says why not."""
    if calibrated:
        return Status("camera", OK, "calibrated", {})
    assumed = f"{fov_deg:g} degrees field of view assumed, metric positions are guesses"
    message = f"{reason}: {assumed if fov_deg else 'no metric positions'}"
    return Status("camera", WARN, message, {"fov_deg": fov_deg})


def estimator_status(counts: Counts) -> Status:
    """Whether images become results, and how fast."""
    level, message = (ERROR, counts.last_error) if counts.new_failures else (OK, "working")
    values = {
        "processed": counts.processed,
        "failed": counts.failed,
        "waiting for camera_info": counts.waiting,
        "hands in last image": counts.hands,
        "latency p50 [ms]": f"{counts.latency_ms[0]:.1f}",
        "latency p95 [ms]": f"{counts.latency_ms[1]:.1f}",
        "estimate p50 [ms]": f"{counts.total_ms[0]:.1f}",
        "estimate p95 [ms]": f"{counts.total_ms[1]:.1f}",
        "last error": counts.last_error,
    }
    return Status("estimator", level, message, values)


def diagnostic_array(header: Any, node_name: str, statuses: list[Status]) -> Any:
    """A diagnostic_msgs/DiagnosticArray."""
    return make(
        DIAGNOSTICS,
        header=header,
        status=[
            make(
                "diagnostic_msgs/msg/DiagnosticStatus",
                level=status.level,
                name=f"{node_name}: {status.name}",
                message=status.message,
                hardware_id="",
                values=[
                    make("diagnostic_msgs/msg/KeyValue", key=key, value=str(value))
                    for key, value in status.values.items()
                ],
            )
            for status in statuses
        ],
    )
