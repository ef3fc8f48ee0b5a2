"""The node with parameter `cameras`: several cameras with one set of networks, each apart or all as a rig."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rclpy.node import Node

from prehend import __version__
from prehend.errors import ParameterError
from prehend.io.pixels.images import Image
from prehend.rig.estimator import RigEstimator
from prehend.ros.cameras.lane import Lane
from prehend.ros.cameras.rig_outputs import RigOutputs
from prehend.ros.cameras.rig_poses import RigPoses
from prehend.ros.cameras.rig_status import SyncStatus
from prehend.ros.cameras.worker import ApartWorker, RigWorker
from prehend.ros.inputs.stamps import Stamps
from prehend.ros.messages import DIAGNOSTICS
from prehend.ros.middleware.borders import Border
from prehend.ros.nodes import diagnostics
from prehend.ros.nodes.base import NodeBase
from prehend.ros.nodes.diagnostics import Status
from prehend.ros.nodes.estimator import LoadedCameras
from prehend.ros.nodes.reporting import offer_services
from prehend.ros.outputs.publishing import Outputs
from prehend.ros.params import NodeParams
from prehend.ros.topics.quality import publisher
from prehend.types import FrameResult


class SeveralNode(NodeBase):
    """Subscribes to the images of several cameras, feeds the worker and publishes diagnostics.

    Args:
        node: to do so with.
        params: as `node.declare_parameters` found them.
        loaded: what answers.
        notes: what a person should know about how it was started.

    Raises:
        PrehendError: wrong parameters or topics, or a rig's file that is none.
    """

    def __init__(self, node: Node, params: NodeParams, loaded: LoadedCameras, notes: Sequence[str] = ()) -> None:
        super().__init__(node, params, notes, loaded.said)
        self._loaded = loaded
        self._apart: dict[str, Outputs] = {}
        self._rig: RigOutputs | None = None
        self._sync: SyncStatus | None = None
        self.worker: ApartWorker | RigWorker
        self._poses = RigPoses(node, params) if params.rig else None
        given = (lambda name: None) if self._poses is None else self._poses.given
        with Border(ParameterError, "ROS refuses a topic or service"):
            self._diagnostics = publisher(node, DIAGNOSTICS, "/diagnostics", 10)
            self._lanes = {
                name: Lane(node, params, name, self._offer, self._now_s, given(name)) for name in params.camera_names()
            }
            _check_topics(self._lanes)
            if loaded.rig is None or self._poses is None:
                self._make_apart(loaded)
            else:
                self._make_rig(loaded.rig, self._poses)
            offer_services(node, self.worker)
        self._begin()

    def _subscribe(self) -> str:
        for lane in self._lanes.values():
            lane.stats.began(time.monotonic())
            lane.inputs.start()
        return ", ".join(lane.inputs.topic for lane in self._lanes.values())

    def _unsubscribe(self) -> None:
        for lane in self._lanes.values():
            lane.inputs.stop()

    def close(self) -> None:
        """Free the estimators; what was made of ROS is destroyed by `Life`."""
        super().close()
        self._loaded.close()

    def _is_ours(self, name: str) -> bool:
        return hasattr(self._params, name)

    def _use(self, params: NodeParams) -> None:
        for name, outputs in self._apart.items():
            outputs.params = self._of(name)
        if self._rig is not None:
            self._rig.params = params

    def _make_apart(self, loaded: LoadedCameras) -> None:
        for name, lane in self._lanes.items():
            self._apart[name] = Outputs(lane.within, loaded.facts, self._of(name), lane.stats, lane.stamps)
        self.worker = ApartWorker(
            loaded.cameras,
            self._params,
            self._lanes,
            self._publish,
            self._reporter.unexpected,
            lambda name: self._apart[name].hypotheses_wanted,
        )

    def _make_rig(self, rig: RigEstimator, poses: RigPoses) -> None:
        stamps = Stamps(self._now_s, lambda: bool(self._node.get_parameter("use_sim_time").value))
        self._rig = RigOutputs(self._node, self._loaded.facts, self._params, self._stats, stamps, self._lanes)
        self.worker = RigWorker(rig, self._params, self._lanes, poses, self._rig.publish, self._reporter.unexpected)
        self._sync = SyncStatus(self.worker, self._params)

    def _of(self, name: str) -> NodeParams:
        """The parameters of one camera that is apart: its frames are told from the others'."""
        return replace(self._params, tf_prefix=f"{self._params.tf_prefix}{name}_")

    def _offer(self, camera: str, data: bytes) -> None:
        self.worker.offer(camera, data)

    def _publish(self, camera: str, header: Any, image: Image, result: FrameResult) -> None:
        self._apart[camera].publish(header, image, result)

    def _on_diagnostics(self) -> None:
        now_s = time.monotonic()
        if not any(lane.inputs.active for lane in self._lanes.values()):
            idle = Status("node", diagnostics.OK, "inactive: no images are taken", {"version": __version__})
            self._reporter.publish(self._diagnostics, [idle], self._now_s())
            return
        statuses: list[Status] = []
        for lane in self._lanes.values():
            counts, own = lane.status(now_s)
            statuses += own
            if self._rig is None:
                told = diagnostics.estimator_status(counts, now_s)
                statuses.append(replace(told, name=f"{lane.name} {told.name}"))
                if (target := self._apart[lane.name].target) is not None:
                    told = target.status()
                    statuses.append(replace(told, name=f"{lane.name} {told.name}"))
        if self._sync is not None and self._poses is not None:
            counts = self._stats.take()
            statuses += [diagnostics.estimator_status(counts, now_s), self._sync.status(now_s), self._poses.status()]
            if self._rig is not None and self._rig.outputs.target is not None:
                statuses.append(self._rig.outputs.target.status())
        notes = [*self._notes, *self.worker.notes, *self._reporter.twins()]
        values = {"version": __version__, "cameras": ", ".join(self._lanes), "threads": threading.active_count()}
        statuses.append(diagnostics.node_status(notes, self.worker.paused, values))
        self._reporter.publish(self._diagnostics, statuses, self._now_s())


def _check_topics(lanes: Mapping[str, Lane]) -> None:
    """Raise `ParameterError` where two cameras would see the same images: a rig would fuse a hand with itself."""
    seen: dict[str, str] = {}
    for name, lane in lanes.items():
        before = seen.setdefault(lane.inputs.topic, name)
        if before != name:
            topic = lane.inputs.topic
            raise ParameterError(
                f"cameras {before} and {name} both listen to {topic}: remap {name}/image_raw elsewhere"
            )
