"""From image bytes to results, in a thread of its own; knows the messages but no node."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prehend.errors import SourceError
from prehend.geometry.camera import mirror_camera
from prehend.io.pixels.images import Image
from prehend.pipeline.lag import FixedLag
from prehend.pipeline.load import HandEstimator
from prehend.pipeline.options import EstimatorOptions
from prehend.ros.conversion.convert import seconds
from prehend.ros.depth.streams import DepthStream
from prehend.ros.inputs.arrivals import Arrived, Laps
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.inputs.image_bytes import ImageBytes
from prehend.ros.inputs.mirror import mirror_depth, mirror_image
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.middleware.borders import Border, Unexpected
from prehend.ros.nodes.diagnostics import Stats
from prehend.ros.nodes.worker_loop import WorkerLoop
from prehend.ros.params import NodeParams
from prehend.types import FrameResult

Publish = Callable[[Any, Image, FrameResult], None]
"""Takes the image's header, its pixels (H, W, 3) uint8 RGB and the result."""


_QUIET = Arrived(b"", 0.0, 0.0)
"""Stands for no image having come for a while."""

QUIET_S = 0.5
"""Results that are held back are told once no image came for this long, and the lag, after the last [s]."""


class Worker(WorkerLoop[Arrived]):
    """Processes the newest image there is; older ones that were not reached are dropped and counted.

    `run` is the thread. An image that fails is counted, told by the diagnostics, and the next one is taken, whatever
    was raised; after `GIVE_UP_AFTER` unexpected errors in a row `run` raises the last.

    Args:
        estimator: what processes.
        params: of the node.
        calibration: gives each image its camera.
        stats: counts.
        publish: takes results.
        stamps: judges the images' stamps; None takes the system's clock.
        tell: takes an error that nobody expects, for the log.
        depth: of the images; None where there is none.
        open_wanted: whether somebody wants to know what hands may be besides.
    """

    def __init__(
        self,
        estimator: HandEstimator,
        params: NodeParams,
        calibration: Calibration,
        stats: Stats,
        publish: Publish,
        stamps: Stamps | None = None,
        tell: Callable[[Unexpected], None] | None = None,
        depth: DepthStream | None = None,
        open_wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(estimator, tell)
        self._estimator, self._calibration, self._stats, self._publish = estimator, calibration, stats, publish
        self._params = params
        self._images = ImageBytes(params, stats)
        self._stamps = stamps or Stamps(time.time, lambda: False)
        self._depth, self._open_wanted = depth, open_wanted
        self._newest: Arrived | None = None
        lag_s = params.temporal_lag_s
        self._lag: FixedLag[tuple[Any, Image]] | None = (
            FixedLag(params.options(), estimator.hand_models) if lag_s else None
        )

    def offer(self, data: bytes) -> None:
        """Hand over a serialised image; returns at once."""
        self._stats.arrived(time.monotonic(), len(data))
        arrived = Arrived(data, self._stamps.now_s(), time.perf_counter())
        with self._changed:
            if self.paused:
                return
            if self._newest is not None:
                self._stats.dropped()
            self._newest = arrived
            self._changed.notify()

    def _clear(self) -> None:
        self._newest = None

    def _rested(self) -> None:
        if self._lag is not None:
            self._lag.reset()

    def _failed(self, reason: str) -> None:
        self._stats.failed(reason)

    def _take(self) -> Arrived | None:
        with self._changed:
            longest = self._params.temporal_lag_s + QUIET_S if self._lag else None  # `len`: only while results wait
            came = self._changed.wait_for(lambda: self._stopped or self._newest is not None, longest)
            arrived, self._newest = self._newest, None
            if self._stopped:
                return None
        return arrived if came else _QUIET

    def _renewed(self, reset: bool, options: EstimatorOptions | None) -> None:
        if self._lag is not None and reset:
            self._tell_all(self._lag.flush())
            self._lag.reset()
        if self._lag is not None and options is not None:
            self._lag.use(options)

    def _tell_all(self, told: list[tuple[tuple[Any, Image], FrameResult]]) -> None:
        for (header, image), result in told:
            self._publish(header, image, result)

    def _work(self, arrived: Arrived) -> None:
        if arrived is _QUIET:
            with Border(Unexpected, "publishing failed"):
                self._tell_all(self._lag.flush() if self._lag else [])
            return
        laps = Laps(arrived.at)
        laps.lap("wait")
        with Border(SourceError, "image"):
            message, image = self._read(arrived.data)
        stamp_s = self._stamps.tracking_s(message.header.stamp)
        header = self._header(message.header)
        arrival_ms = self._stamps.latency_ms(header.stamp, arrived.clock_s)
        laps.lap("read")
        height, width = image.shape[:2]
        info_s = seconds(header.stamp) or None
        self._calibration.wait(width, height, info_s)
        camera = self._calibration.camera(width, height, time.monotonic(), info_s, header.frame_id)
        if camera is None:
            self._stats.waited()
            return
        depth = None if self._depth is None else self._depth.of(seconds(header.stamp), width, height, header.frame_id)
        laps.lap("sync")
        with Border(Unexpected, "an image failed"):
            self._renew()
            if self._params.mirrored_input:
                image, camera = mirror_image(image), mirror_camera(camera)
                depth = None if depth is None else mirror_depth(depth)
            result = self._estimator.estimate(image, camera, stamp_s, depth=depth, hypotheses=self._open_wanted())
            result = replace(result, timing_ms={"arrival": arrival_ms, **laps.ms, **result.timing_ms})
            if self._lag is None:
                self._publish(header, image, result)
            else:
                self._tell_all(self._lag.add((header, image), result))

    def _header(self, given: Any) -> Any:
        return self._images.header(given)

    def _read(self, data: bytes) -> tuple[Any, Image]:
        return self._images.read(data)
