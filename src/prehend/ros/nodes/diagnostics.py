"""What the node knows about itself, and how it says so on /diagnostics once a second (REP 107)."""

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from prehend.ros.messages import DIAGNOSTICS, make

OK, WARN, ERROR = 0, 1, 2
_RECENT = 300
"""Images that the latency percentiles are over: ten seconds at 30 Hz."""

_INTERVALS = 15
"""Intervals between images that the median is over."""

_SHOWN_S = 3.0
"""An error that came once is shown this long: who looks every now and then should see it."""


class Stats:
    """Counters that the subscription, the worker and the diagnostics share.

    Times are of a monotonic clock [s]. Every method takes the lock.
    """

    def __init__(self, started_s: float) -> None:
        self._lock = threading.Lock()
        self._counts = Counts(started_s=started_s, last_image_s=started_s)
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._latencies_ms: deque[float] = deque(maxlen=_RECENT)
        self._totals_ms: deque[float] = deque(maxlen=_RECENT)
        self._stages_ms: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_RECENT))

    def began(self, now_s: float) -> None:
        """Images may come from now on."""
        with self._lock:
            self._counts.last_image_s = now_s

    def arrived(self, now_s: float, size: int = 0) -> None:
        """An image of so many bytes came."""
        with self._lock:
            self._counts.image_bytes = size
            self._counts.received += 1
            self._counts.new_received += 1
            since_s = now_s - self._counts.last_image_s
            if self._counts.received > 1:
                self._intervals_s.append(since_s)
            self._counts.last_image_s = now_s

    def dropped(self) -> None:
        """A newer image took the place of one that was not processed yet."""
        with self._lock:
            self._counts.dropped += 1
            self._counts.new_dropped += 1

    def lost(self, count: int) -> None:
        """The middleware tells that images got lost on their way."""
        with self._lock:
            self._counts.lost += count
            self._counts.new_lost += count

    def framed(self, named: bool) -> None:
        """Whether the newest image has a frame_id."""
        with self._lock:
            self._counts.frameless = not named

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
            self._counts.last_error_s = time.monotonic()

    def processed(
        self, latency_ms: float, total_ms: float, hands: int, stages_ms: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """A result was published, `latency_ms` after its image's stamp (NaN where nobody knows)."""
        with self._lock:
            self._counts.processed += 1
            self._counts.hands = hands
            if not math.isnan(latency_ms):
                self._latencies_ms.append(latency_ms)
            self._totals_ms.append(total_ms)
            for name, value in stages_ms.items():
                if not math.isnan(value):
                    self._stages_ms[name].append(value)

    @property
    def dropped_total(self) -> int:
        """Images dropped since the start."""
        with self._lock:
            return self._counts.dropped

    def take(self) -> "Counts":
        """A copy of everything; what is new is new once only."""
        with self._lock:
            counts = Counts(**vars(self._counts))
            for name in _NEW:
                setattr(self._counts, name, 0)
            counts.interval_s = float(np.median(self._intervals_s)) if self._intervals_s else 0.0
            counts.latency_ms = _percentiles(self._latencies_ms)
            counts.total_ms = _percentiles(self._totals_ms)
            counts.stages_ms = {name: _percentiles(values) for name, values in self._stages_ms.items()}
            return counts


@dataclass
class Counts:
    """A snapshot of `Stats`; percentiles are the 50th and 95th, NaN before the first result.

    What begins with `new` is since the last snapshot; `interval_s` is the time between images of late.
    """

    started_s: float = 0.0
    last_image_s: float = 0.0
    interval_s: float = 0.0
    received: int = 0
    processed: int = 0
    dropped: int = 0
    waiting: int = 0
    failed: int = 0
    lost: int = 0
    new_failures: int = 0
    new_received: int = 0
    new_dropped: int = 0
    new_lost: int = 0
    image_bytes: int = 0
    hands: int = 0
    last_error: str = ""
    last_error_s: float = -math.inf
    frameless: bool = False
    latency_ms: tuple[float, float] = field(default=(float("nan"), float("nan")))
    total_ms: tuple[float, float] = field(default=(float("nan"), float("nan")))
    stages_ms: dict[str, tuple[float, float]] = field(default_factory=dict)


_NEW = tuple(name for name in Counts.__dataclass_fields__ if name.startswith("new_"))


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


def images_status(
    counts: Counts, now_s: float, silent_after_s: float, topic: str, cause: str = "", faults: Sequence[str] = ()
) -> Status:
    """Whether images come, and can be used.

    Args:
        counts: of `Stats`.
        now_s: of the clock of `counts`.
        silent_after_s: a parameter of the node.
        topic: of the images.
        cause: why nothing comes, for when nothing does (see `prehend.ros.topics.graph`).
        faults: what is wrong with the images that come.
    """
    silent_s = now_s - counts.last_image_s
    level, message = OK, "images arrive"
    if silent_s > silent_after_s:
        level, message = WARN, cause or f"no image for {silent_s:.0f} s on {topic}"
    elif faults:
        level, message = WARN, "; ".join(faults)
    values = {
        "topic": topic,
        "received": counts.received,
        "dropped": counts.dropped,
        "lost on the way": counts.lost,
        "seconds since last image": f"{silent_s:.1f}",
    }
    return Status("images", level, message, values)


def image_faults(counts: Counts, stamps: str, loss: str, mixed: str = "") -> list[str]:
    """What is wrong with images that come: stamps, frame, losses and publishers (see `graph.loss`, `graph.mixed`)."""
    faults = [text for text in (mixed, stamps) if text]
    if counts.frameless:
        faults.append("the images have no frame_id: no transforms, no markers; name one with parameter frame_id")
    return [*faults, loss] if loss else faults


def camera_status(calibrated: bool, reason: str, fov_deg: float, note: str = "") -> Status:
    """Whether positions can be in metres; `reason` says why not, `note` what is odd although they can."""
    if calibrated:
        return Status("camera", WARN if note else OK, note or "calibrated", {})
    assumed = f"{fov_deg:g} degrees field of view assumed, metric positions are guesses"
    message = f"{reason}: {assumed if fov_deg else 'no metric positions'}"
    return Status("camera", WARN, message, {"fov_deg": fov_deg})


def estimator_status(counts: Counts, now_s: float) -> Status:
    """Whether images become results, and how fast; an error shows for a few seconds."""
    failed = counts.new_failures or now_s - counts.last_error_s < _SHOWN_S
    level, message = (ERROR, counts.last_error) if failed else (OK, "working")
    if level == OK and counts.new_dropped:
        message = (
            f"working; slower than the camera: {counts.new_dropped} of {counts.new_received} images were left out "
            "for newer ones"
        )
    values = {
        "processed": counts.processed,
        "failed": counts.failed,
        "waiting for camera_info": counts.waiting,
        "hands in last image": counts.hands,
        "latency p50 [ms]": f"{counts.latency_ms[0]:.1f}",
        "latency p95 [ms]": f"{counts.latency_ms[1]:.1f}",
        "estimate p50 [ms]": f"{counts.total_ms[0]:.1f}",
        "estimate p95 [ms]": f"{counts.total_ms[1]:.1f}",
        **_stage_values(counts),
        "last error": counts.last_error,
    }
    return Status("estimator", level, message, values)


def node_status(notes: Sequence[str], paused: bool, values: Mapping[str, object]) -> Status:
    """The node itself; `notes` are what is wrong with how it was started or runs."""
    if notes:
        return Status("node", WARN, "; ".join(notes), dict(values))
    return Status("node", OK, "paused" if paused else "running", dict(values))


def _stage_values(counts: Counts) -> dict[str, object]:
    return {
        f"{name} p{percent} [ms]": f"{pair[index]:.1f}"
        for name, pair in counts.stages_ms.items()
        for index, percent in enumerate((50, 95))
    }


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
