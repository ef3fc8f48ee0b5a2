"""From the images of several cameras to results, in a thread of its own; each camera's apart, or those of a rig."""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from prehend.errors import PrehendError
from prehend.geometry.camera import mirror_camera
from prehend.io.pixels.images import Image
from prehend.pipeline.cameras import CameraFrame, CamerasEstimator
from prehend.rig.estimator import RigEstimator
from prehend.rig.matching import MatchedSet, StampMatcher
from prehend.rig.views.records import RigResult
from prehend.ros.cameras.lane import Lane, Opened
from prehend.ros.cameras.rig_poses import RigPoses
from prehend.ros.conversion.convert import header_message
from prehend.ros.inputs.arrivals import Arrived
from prehend.ros.inputs.image_bytes import stamp_ns
from prehend.ros.inputs.mirror import mirror_image
from prehend.ros.middleware.borders import Border, Unexpected
from prehend.ros.nodes.worker_loop import Job, WorkerLoop
from prehend.ros.params import NodeParams
from prehend.types import FrameResult

PublishOne = Callable[[str, Any, Image, FrameResult], None]
"""Takes a camera's name, its image's header, the pixels and the result."""

PublishRig = Callable[[Any, Mapping[str, Opened], "RigResult | FrameResult"], None]
"""Takes the header of a set, its images by the cameras' names, and the fused hands, or what the leading camera sees
where no camera has a pose."""

_POLL_S = 0.03


class SeveralWorker(WorkerLoop[Job]):
    """Takes what is newest, and goes on whatever fails; see `worker.Worker`.

    Args:
        lanes: the cameras by name.
        estimator: what processes.
        tell: takes an error that nobody expects, for the log.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        estimator: CamerasEstimator | RigEstimator,
        tell: Callable[[Unexpected], None],
    ) -> None:
        super().__init__(estimator, tell)
        self._lanes = lanes

    @abstractmethod
    def offer(self, camera: str, data: bytes) -> None:
        """Hand over a serialised image of a camera; returns at once."""

    @abstractmethod
    def _next(self) -> Job | None:
        """What is to be done now, None for nothing; called under the lock."""

    @abstractmethod
    def _process(self, job: Job) -> None:
        """Do it."""

    def _work(self, job: Job) -> None:
        self._renew()
        self._process(job)

    def _take(self) -> Job | None:
        with self._changed:
            while not self._stopped:
                if (job := self._next()) is not None:
                    return job
                self._changed.wait(_POLL_S)
        return None

    def _failed(self, reason: str) -> None:
        for lane in self._lanes.values():
            lane.stats.failed(reason)

    def _opened(self, images: Mapping[str, Arrived]) -> dict[str, Opened]:
        """Those images that can be read and have a camera; the others cost only themselves."""
        opened = {}
        for name, arrived in images.items():
            try:
                one = self._lanes[name].open(arrived)
            except PrehendError as error:
                self._lanes[name].stats.failed(str(error))
                continue
            if one is not None:
                opened[name] = one
        return opened


class ApartWorker(SeveralWorker[dict[str, Arrived]]):
    """Cameras that have nothing to do with each other but the networks: those whose images are there when it is free go
    through them together.

    Args:
        estimator: what processes.
        params: of the node.
        publish: takes results.
        lanes, tell: see `SeveralWorker`.
        open_wanted: whether somebody wants to know what the hands of a camera may be besides.
    """

    def __init__(
        self,
        estimator: CamerasEstimator,
        params: NodeParams,
        lanes: Mapping[str, Lane],
        publish: PublishOne,
        tell: Callable[[Unexpected], None],
        open_wanted: Callable[[str], bool],
    ) -> None:
        super().__init__(lanes, estimator, tell)
        self._open_wanted = open_wanted
        self._estimator, self._params, self._publish = estimator, params, publish
        self._newest: dict[str, Arrived] = {}

    def offer(self, camera: str, data: bytes) -> None:
        """See `SeveralWorker.offer`."""
        arrived = self._lanes[camera].arrived(data)
        with self._changed:
            if self.paused:
                return
            if camera in self._newest:
                self._lanes[camera].stats.dropped()
            self._newest[camera] = arrived
            self._changed.notify()

    def _next(self) -> dict[str, Arrived] | None:
        images, self._newest = self._newest, {}
        return images or None

    def _clear(self) -> None:
        self._newest = {}

    def _process(self, job: dict[str, Arrived]) -> None:
        opened = self._opened(job)
        if self._params.mirrored_input:
            opened = {
                name: replace(one, image=mirror_image(one.image), camera=mirror_camera(one.camera))
                for name, one in opened.items()
            }
        if not opened:
            return
        with Border(Unexpected, "an image failed"):
            results = self._estimator.estimate(
                {
                    name: CameraFrame(one.image, one.camera, one.stamp_s, self._open_wanted(name))
                    for name, one in opened.items()
                }
            )
            for name, result in results.items():
                one = opened[name]
                timed = replace(result, timing_ms={**one.timing_ms, **result.timing_ms})
                self._publish(name, one.header, one.image, timed)


class RigWorker(SeveralWorker["_ReadySet"]):
    """Cameras of a rig: images of one time become fused hands.

    Args:
        rig: what processes.
        params: of the node.
        poses: where the cameras are.
        publish: takes results.
        lanes, tell: see `SeveralWorker`.

    Attributes:
        matcher: of the stamps; look at it under `lock`.
        dropped: sets that a newer one took the place of.
    """

    def __init__(
        self,
        rig: RigEstimator,
        params: NodeParams,
        lanes: Mapping[str, Lane],
        poses: RigPoses,
        publish: PublishRig,
        tell: Callable[[Unexpected], None],
    ) -> None:
        super().__init__(lanes, rig, tell)
        self._rig, self._poses, self._publish = rig, poses, publish
        window_s = 0.0 if params.rig_sync == "exact" else params.rig_window_s
        self.matcher: StampMatcher[Arrived] = StampMatcher(lanes, window_s, params.rig_wait_s)
        self._set: _ReadySet | None = None
        self.dropped = 0

    @property
    def lock(self) -> threading.Condition:
        """Held while the matcher is at work."""
        return self._changed

    def offer(self, camera: str, data: bytes) -> None:
        """See `SeveralWorker.offer`."""
        arrived, now_s = self._lanes[camera].arrived(data), time.monotonic()
        stamp = stamp_ns(data)
        with self._changed:
            if self.paused:
                return
            self._keep(self.matcher.add(camera, time.time_ns() if stamp is None else stamp, arrived, now_s))

    def _keep(self, ready: list[MatchedSet[Arrived]]) -> None:
        for one in ready:
            if self._set is not None:
                self.dropped += 1
                for name in self._set.images.items:
                    self._lanes[name].stats.dropped()
            self._set = _ReadySet(one, time.perf_counter())
            self._changed.notify()

    def _next(self) -> "_ReadySet | None":
        self._keep(self.matcher.poll(time.monotonic()))
        one, self._set = self._set, None
        return one

    def _clear(self) -> None:
        self._set = None
        self.matcher.flush(time.monotonic())

    def _process(self, job: "_ReadySet") -> None:
        arrived = {name: one for name, (_, one) in job.images.items.items()}
        opened = self._opened(arrived)
        lead = next((name for name in self._lanes if name in opened), None)
        if lead is None:
            return
        poses = self._poses.of({name: one.header for name, one in opened.items()})
        frames = {name: CameraFrame(one.image, one.camera, one.stamp_s) for name, one in opened.items()}
        with Border(Unexpected, "a set of images failed"):
            if not poses:
                self._publish(opened[lead].header, opened, self._rig.cameras.estimate({lead: frames[lead]})[lead])
                return
            lead = next(name for name in opened if name in poses) if lead not in poses else lead
            known = {name: frame for name, frame in frames.items() if name in poses}
            result = self._rig.estimate(known, poses, opened[lead].stamp_s)
            partners_ms = 1e3 * max(job.at - arrived[lead].at, 0.0)
            timed = replace(result.result, timing_ms={**_until(opened, lead, partners_ms), **result.result.timing_ms})
            header = header_message(0.0, self._poses.frame)
            header.stamp = opened[lead].header.stamp
            self._publish(header, opened, replace(result, result=timed))


class _ReadySet(NamedTuple):
    """Images of one time, and when the last of them came or was given up, by `time.perf_counter`."""

    images: MatchedSet[Arrived]
    at: float


def _until(opened: Mapping[str, Opened], lead: str, partners_ms: float) -> dict[str, float]:
    """Times of the stages until a set was read: those of the leading camera's image, which waited for the others, but
    all images are read."""
    own = opened[lead].timing_ms
    return {
        "arrival": own["arrival"],
        "wait": max(own["wait"] - partners_ms, 0.0),
        "read": sum(one.timing_ms["read"] for one in opened.values()),
        "sync": own["sync"] + partners_ms,
    }
