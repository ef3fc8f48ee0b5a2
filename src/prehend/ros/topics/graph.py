"""Why nothing arrives on a topic: asked of the ROS graph, so that the one true cause is named."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from prehend.ros import PROFILE, SEGMENT_BYTES, profile_variable
from prehend.ros.messages import COMPRESSED_IMAGE, IMAGE

_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_SHOWN, _DOMAINS = 3, 10
_LOST_SHARE = 0.1
"""Of the images of a second; best effort may lose some."""

_OVERLOADED = 3.0


@dataclass(frozen=True)
class Publisher:
    """Somebody who publishes on a topic.

    Attributes:
        node: its full name.
        type_name: "package/msg/Name".
        refused: which of its quality of service does not do for the subscription; empty where all does.
    """

    node: str
    type_name: str
    refused: str = ""


@dataclass(frozen=True)
class SubscriptionFacts:
    """What the graph knows about a subscription.

    Attributes:
        topic, type_name: what is subscribed to.
        publishers: on this topic, of any type.
        twin: the same images in the other transport, empty where nobody publishes them.
        elsewhere: other topics that carry this type.
        way: how to take one of those.
        unseen: why somebody who publishes may not be found, see `unseen`; empty says nothing of it.
        hint: what is known to be odd about the remapping, empty for nothing.
        received: whether anything ever came.
        silent_s: time since then, or since the start [s].
        sent: whether images are known to be sent: their camera_info arrives, or the middleware tells of lost ones.
        load: running processes per processor.
    """

    topic: str
    type_name: str
    publishers: tuple[Publisher, ...] = ()
    twin: str = ""
    elsewhere: tuple[str, ...] = ()
    way: str = "remap with -r image_raw:=TOPIC"
    unseen: str = ""
    hint: str = ""
    received: bool = False
    silent_s: float = 0.0
    sent: bool = False
    load: float = 0.0


def cause(facts: SubscriptionFacts) -> str:
    """Why nothing comes: one sentence with the way out."""
    if not facts.publishers:
        return _nobody(facts)
    fitting = [one for one in facts.publishers if one.type_name == facts.type_name]
    if not fitting:
        return _other_type(facts)
    if all(one.refused for one in fitting):
        return other_quality(facts.topic, fitting[0])
    if facts.received:
        return f"{facts.topic} is silent: no image for {facts.silent_s:.0f} s from {_names(fitting)}"
    text = f"{facts.topic} has {len(fitting)} publisher(s) but nothing arrives"
    large = f"{profile_variable()}=$(prehend files {PROFILE}) on the camera's side, or image_transport:=compressed"
    if not facts.sent:
        return f"{text}, no camera_info either: does {_names(fitting)} send? Large images need {large}"
    if facts.load > _OVERLOADED:
        return (
            f"{text}, though images are sent: this machine has {facts.load:.0f} times what it can do; "
            "give it less, or try image_reliability:=reliable"
        )
    return f"{text}, though images are sent: large ones get lost and need {large}"


def mixed(topic: str, publishers: Sequence[Publisher]) -> str:
    """That images of several publishers come as if they were one camera's; empty where there is one."""
    if len(publishers) < 2:
        return ""
    return f"{len(publishers)} publish {topic} ({_names(publishers)}): their images are mixed; stop or remap the others"


_FEWER = "fewer or smaller images help, or a deeper queue on both sides (qos_overrides)"


def loss(lost: int, received: int, image_bytes: int, load: float, reliable: bool = False) -> str:
    """Why images get lost, and what helps; empty where hardly any do.

    Args:
        lost, received: images of the last second.
        image_bytes: of one.
        load: running processes per processor.
        reliable: they are asked for as reliable: what got lost on the way was sent again.
    """
    if lost <= _LOST_SHARE * (received + lost):
        return ""
    text = f"{lost} of {received + lost} images were lost on the way"
    busy = f"this machine has {load:.1f} times what it can do; " if load > 1 else ""
    if reliable:
        return f"{text}, although reliable: a queue was full before they were taken: {busy}{_FEWER}"
    others = "or image_reliability:=reliable where it offers that, or image_transport:=compressed"
    if image_bytes > SEGMENT_BYTES:
        return (
            f"{text}: one has {image_bytes / 1e6:.1f} MB, and the driver's Fast DDS has room for "
            f"{SEGMENT_BYTES / 1e6:.1f} MB unless it is told otherwise: {_larger(others)}"
        )
    return f"{text}: {busy}image_reliability:=reliable loses none where the driver offers it"


def _larger(others: str) -> str:
    """What gives the driver room."""
    return f"start the driver with {profile_variable()}=$(prehend files {PROFILE}), {others}"


def load() -> float:
    """Running processes per processor over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def unseen(domain: int, others: Sequence[int]) -> str:
    """Why a driver may not be found that runs: what is known to hide it, else what both sides must have alike.

    Args:
        domain: ROS_DOMAIN_ID of this process.
        others: domains that somebody on this machine is in.
    """
    if server := os.environ.get("ROS_DISCOVERY_SERVER"):
        return f"ROS_DISCOVERY_SERVER is {server}: nobody is found unless that server is reached"
    if others:
        shown = ", ".join(map(str, others[:_DOMAINS]))
        return f"ROS_DOMAIN_ID is {domain} here, others on this machine have {shown}: is the driver one of them?"
    chosen = discovery_range()
    text = f"does its driver run, with ROS_DOMAIN_ID {domain} and discovery range {chosen} as here?"
    if chosen == "SUBNET" and os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "").startswith("LARGE_DATA"):
        return f"{text} On another machine it needs FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA, too"
    return text


def discovery_range() -> str:
    """Who is found by this process: SUBNET, LOCALHOST or OFF, as rmw reads the environment."""
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1":  # it wins
        return "LOCALHOST"
    chosen = os.environ.get(_RANGE, "").upper()
    return chosen if chosen in ("LOCALHOST", "OFF") else "SUBNET"


def deaf() -> str:
    """That this process finds nobody; empty where it may."""
    return "" if discovery_range() != "OFF" else f"{_RANGE} is OFF: nobody is found; set LOCALHOST or SUBNET"


def _nobody(facts: SubscriptionFacts) -> str:
    text = f"nobody publishes {facts.topic}"
    if why := deaf() or facts.hint:
        return f"{text}: {why}"
    if facts.received:
        return f"{text} any more: its driver has ended, or left the network"
    if facts.twin:
        transport = "raw" if facts.type_name == COMPRESSED_IMAGE else "compressed"
        return f"{text}, but {facts.twin} is there: image_transport:={transport}"
    if facts.elsewhere:
        return f"{text}; there is {', '.join(facts.elsewhere[:_SHOWN])}: {facts.way}"
    return f"{text}: {facts.unseen}" if facts.unseen else text


def _other_type(facts: SubscriptionFacts) -> str:
    found = sorted({one.type_name for one in facts.publishers})
    text = f"{facts.topic} carries {', '.join(found)}, the node reads {facts.type_name}"
    if facts.type_name == IMAGE and found == [COMPRESSED_IMAGE]:
        return f"{text}: image_transport:=compressed"
    return f"{text}: remap to another topic"


def other_quality(topic: str, publisher: Publisher) -> str:
    """That a publisher's quality of service does not do, with the way out."""
    text = f"{topic}: quality of service does not fit: {publisher.node} {publisher.refused}"
    return f"{text}: image_reliability:=best_effort" if "reliab" in publisher.refused else text


def _names(publishers: Sequence[Publisher]) -> str:
    names = sorted({one.node for one in publishers})
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
