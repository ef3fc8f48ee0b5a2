"""The subscriptions of the node: where they listen, whether anything can come, and listening anew when it must."""

import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # its name up to Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from prehend.errors import ParameterError, PrehendError
from prehend.ros.depth.streams import DepthStream
from prehend.ros.inputs.calibration import Calibration
from prehend.ros.messages import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, decode
from prehend.ros.middleware.borders import Border
from prehend.ros.nodes.diagnostics import Counts, Stats, Status
from prehend.ros.params import NodeParams
from prehend.ros.topics import graph
from prehend.ros.topics.domains import other_domains
from prehend.ros.topics.quality import overridden, subscription

_IMAGE_DEPTH = 5
_STOPPED_S = 3.0
"""Longer between two looks at the clock, and this process was stopped (or the machine asleep)."""

_SOON_S = 1.5
"""Silence that is suspicious after such a stop."""

_INTERVALS = 20
"""Silence that is suspicious at any time, in intervals between images."""

_AGAIN_S, _LONGEST_AGAIN_S = 5.0, 60.0
"""Time between subscribing anew, from the first to the longest."""

_SUFFIX = "/compressed"

_Wanted = tuple[str, str, Callable[[bytes], None], SubscriptionEventCallbacks | None]
"""Type and name of a topic, what takes its bytes, and what is told of losses."""


class Inputs:
    """Images and their camera_info.

    Fast DDS forgets a reliable reader whose process stood still for seconds, and neither side notices: `watch`
    subscribes anew then.

    Args:
        node: to subscribe with.
        params: its parameters.
        calibration: takes camera_infos.
        stats: counts.
        offer: takes the bytes of an image.
        depth: takes depth images; None where there are none.

    Raises:
        ParameterError: ROS refuses the name of a topic.
    """

    def __init__(
        self,
        node: Node,
        params: NodeParams,
        calibration: Calibration,
        stats: Stats,
        offer: Callable[[bytes], None],
        depth: DepthStream | None = None,
    ) -> None:
        self._node, self._calibration, self._stats, self._offer = node, calibration, stats, offer
        self._depth = depth
        self._compressed = params.image_transport == "compressed"
        self._type = COMPRESSED_IMAGE if self._compressed else IMAGE
        self.base, self.topic = image_topics(node, self._compressed)
        self.info_topic = _info_topic(node, self.base)
        reliability = ReliabilityPolicy[params.image_reliability.upper()]
        self._quality = QoSProfile(depth=_IMAGE_DEPTH, reliability=reliability)
        for_images = overridden(node, self.topic, "subscription", self._quality)
        self._reliable = for_images.reliability == ReliabilityPolicy.RELIABLE
        self._looked_s = time.monotonic()
        self._tried_s = self._stood_still_s = -math.inf
        self._pause_s = _AGAIN_S
        self.resubscribed = 0
        self._subscriptions: list[Any] = []

    @property
    def active(self) -> bool:
        """Whether it is subscribed."""
        return bool(self._subscriptions)

    def start(self) -> None:
        """Subscribe.

        Raises:
            ParameterError: ROS refuses a topic.
        """
        self._subscribe()

    def stop(self) -> None:
        """Unsubscribe."""
        for old in self._subscriptions:
            self._node.destroy_subscription(old)
        self._subscriptions = []

    def watch(self, counts: Counts) -> None:
        """Subscribe anew where a reliable stream went mute; call it about once a second."""
        now = time.monotonic()
        if now - self._looked_s > _STOPPED_S:
            self._stood_still_s = now
        self._looked_s = now
        patience_s = _SOON_S if now - self._stood_still_s < _LONGEST_AGAIN_S else _STOPPED_S
        # a camera that is triggered now and then is no mute one
        silent_s = now - max(counts.last_image_s, self._stood_still_s)
        mute = self._reliable and counts.received and silent_s > max(patience_s, _INTERVALS * counts.interval_s)
        if not mute:
            self._pause_s = _AGAIN_S
        elif now - self._tried_s > self._pause_s and self._node.count_publishers(self.topic):
            self._tried_s, self._pause_s = now, min(2 * self._pause_s, _LONGEST_AGAIN_S)
            self.resubscribed += 1
            self._subscribe()

    def cause(self, counts: Counts) -> str:
        """Why no image comes (see `prehend.ros.topics.graph`)."""
        twin = self.base if self._compressed else f"{self.base}{_SUFFIX}"
        domain = int(self._node.context.get_domain_id())
        return graph.cause(
            graph.SubscriptionFacts(
                self.topic,
                self._type,
                self._publishers(self.topic),
                twin if self._node.count_publishers(twin) else "",
                self._elsewhere(self.topic, self._type),
                unseen=graph.unseen(domain, other_domains(domain)),
                hint=_remap_hint(self._node, self._compressed),
                received=counts.received > 0,
                silent_s=time.monotonic() - counts.last_image_s,
                sent=counts.lost > 0 or self._calibration.heard,
                load=graph.load(),
            )
        )

    def loss(self, counts: Counts) -> str:
        """Why images get lost on their way; empty where hardly any do."""
        return graph.loss(counts.new_lost, counts.new_received, counts.image_bytes, graph.load(), self._reliable)

    def mixed(self) -> str:
        """That several publish the images, such as a driver and a player of a bag; empty where one does."""
        return graph.mixed(self.topic, self._publishers(self.topic))

    def info_cause(self) -> str:
        """Why no camera_info comes."""
        return self._info_cause(self.info_topic, "remap with -r camera_info:=TOPIC")

    def depth_status(self, now_s: float, silent_after_s: float) -> list[Status]:
        """Whether depth comes and fits; nothing where none is asked for."""
        depth = self._depth
        if depth is None:
            return []
        info_cause = self._info_cause(depth.places.info_topic, "set depth_info_topic") if depth.places.in_vain else ""
        others = [name for name in self._elsewhere(depth.topic, depth.kind) if "depth" in name.lower()]
        return [depth.status(now_s, silent_after_s, self._publishers(depth.topic), others, info_cause)]

    def _info_cause(self, topic: str, way: str) -> str:
        publishers = self._publishers(topic)
        fitting = [one for one in publishers if one.type_name == CAMERA_INFO and not one.refused]
        if fitting:
            return f"{fitting[0].node} publishes {topic}, but none came"
        return graph.cause(
            graph.SubscriptionFacts(topic, CAMERA_INFO, publishers, "", self._elsewhere(topic, CAMERA_INFO), way)
        )

    def _elsewhere(self, topic: str, kind: str) -> tuple[str, ...]:
        """Other topics of that type that somebody publishes."""
        topics = self._node.get_topic_names_and_types()
        found = (name for name, types in topics if kind in types and name != topic)
        return tuple(sorted(name for name in found if self._node.count_publishers(name)))

    def _publishers(self, topic: str) -> tuple[graph.Publisher, ...]:
        found = []
        quality = overridden(self._node, topic, "subscription", self._quality)
        for info in self._node.get_publishers_info_by_topic(topic):
            fits, why = qos_check_compatible(info.qos_profile, quality)
            name = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
            refused = _in_words(why) if fits == QoSCompatibility.ERROR else ""
            found.append(graph.Publisher(name, info.topic_type, refused))
        return tuple(found)

    def _subscribe(self) -> None:
        """Make both subscriptions, the calibration's first: of two that are ready, it is read first."""
        self.stop()
        told = SubscriptionEventCallbacks(message_lost=lambda lost: self._stats.lost(lost.total_count_change))
        wanted: tuple[_Wanted, ...] = (
            (CAMERA_INFO, self.info_topic, self._on_camera_info, None),
            (self._type, self.topic, self._offer, told),
        )
        if self._depth is not None:
            wanted = (*wanted, (self._depth.kind, self._depth.topic, self._depth.add, None))
            if self._depth.places.registers and self._depth.places.info_topic != self.info_topic:
                wanted = (*wanted, (CAMERA_INFO, self._depth.places.info_topic, self._depth.add_info, None))
        for kind, topic, take, events in wanted:
            self._subscriptions.append(subscription(self._node, kind, topic, take, self._quality, events))

    def _on_camera_info(self, data: bytes) -> None:
        if self._depth is not None and self._depth.places.info_topic == self.info_topic:
            self._depth.add_info(data)
        try:
            self._calibration.update(decode(data, CAMERA_INFO), time.monotonic())
        except PrehendError as error:
            self._stats.failed(str(error))


def image_topics(node: Node, compressed: bool) -> tuple[str, str]:
    """The base name of the images (camera_info lies beside it) and the topic that is subscribed to.

    `image_raw` is remapped and the compressed topic is the same with /compressed, as in image_transport. A remap of
    `image_raw/compressed` itself, or of `image_raw` to a name that ends so already, is taken by its word.
    """
    with Border(ParameterError, "ROS refuses the name of the images"):
        base = node.resolve_topic_name("image_raw")
        if not compressed:
            return base, base
        own = node.resolve_topic_name(f"image_raw{_SUFFIX}")
        if own != node.resolve_topic_name(f"image_raw{_SUFFIX}", only_expand=True):
            return own.removesuffix(_SUFFIX), own
        base = base.removesuffix(_SUFFIX)
        return base, f"{base}{_SUFFIX}"


def _info_topic(node: Node, image_topic: str) -> str:
    """`camera_info` where that is remapped, else the camera_info beside the image, as in image_transport."""
    with Border(ParameterError, "ROS refuses the name of the calibration"):
        resolved = str(node.resolve_topic_name("camera_info"))
        if resolved != node.resolve_topic_name("camera_info", only_expand=True):
            return resolved
    return f"{image_topic.rsplit('/', 1)[0]}/camera_info"


def _remap_hint(node: Node, compressed: bool) -> str:
    """What a remap of the compressed topic does not do."""
    name = f"image_raw{_SUFFIX}"
    resolved = node.resolve_topic_name(name)
    if compressed or resolved == node.resolve_topic_name(name, only_expand=True):
        return ""
    return f"image_raw/compressed is remapped to {resolved}, which wants image_transport:=compressed"


def _in_words(why: str) -> str:
    """What `qos_check_compatible` says, for a person."""
    if "reliab" in why.lower():
        return "is best effort, the node asks for reliable images (reliability)"
    return " ".join(why.replace("ERROR:", "").split()).rstrip(";")
