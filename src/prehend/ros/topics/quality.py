"""Publishers and subscriptions whose quality of service a parameter file overrides, as ROS has it (`qos_overrides`)."""

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from prehend.errors import ParameterError
from prehend.ros.messages import message_class
from prehend.ros.middleware.borders import Border
from prehend.ros.middleware.typesupport import forget_error

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)

_PREFIX = "qos_overrides"
_KINDS = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
_CHOICES = {
    "history": ("keep_last", "keep_all"),
    "reliability": ("reliable", "best_effort"),
    "durability": ("volatile", "transient_local"),
}
_MOST = 10_000
"""Deepest queue: of images of 720p that is 27 GB."""


def publisher(node: Node, type_name: str, topic: str, quality: QoSProfile | int) -> Any:
    """A publisher of bytes; `qos_overrides.<topic>.publisher.<policy>` changes its quality of service.

    Raises:
        ParameterError: ROS refuses the topic, or an override is none.
    """
    chosen = _own(node, topic, "publisher", quality)
    with Border(ParameterError, f"ROS refuses the topic {topic}"):
        made = node.create_publisher(
            message_class(type_name), topic, chosen, qos_overriding_options=QoSOverridingOptions(_KINDS)
        )
    forget_error()  # of each, before the next one finds it
    return made


def subscription(
    node: Node, type_name: str, topic: str, take: Callable[[bytes], None], quality: QoSProfile | int, events: Any = None
) -> Any:
    """A subscription to bytes; `qos_overrides.<topic>.subscription.<policy>` changes its quality of service.

    Args:
        node: to subscribe with.
        type_name: of the messages.
        topic: their name.
        take: is called with each message's bytes.
        quality: where nothing overrides it; it stays as it is.
        events: event callbacks, None for none.

    Raises:
        ParameterError: ROS refuses the topic, or an override is none.
    """
    chosen = _own(node, topic, "subscription", quality)
    with Border(ParameterError, f"ROS refuses the topic {topic}"):
        made = node.create_subscription(
            message_class(type_name),
            topic,
            take,
            chosen,
            raw=True,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions(_KINDS),
        )
    forget_error()
    return made


def overridden(node: Node, topic: str, kind: str, quality: QoSProfile) -> QoSProfile:
    """A quality of service as the parameters make it for a topic; `kind` is publisher or subscription.

    Raises:
        ParameterError: an override is none.
    """
    chosen = QoSProfile(
        history=quality.history, depth=quality.depth, reliability=quality.reliability, durability=quality.durability
    )
    for policy, value in _given(node, topic, kind).items():
        _check(f"{_prefix(node, topic, kind)}.{policy}", policy, value)
        if policy == "depth":
            chosen.depth = value
        elif policy == "history":
            chosen.history = HistoryPolicy[value.upper()]
        elif policy == "reliability":
            chosen.reliability = ReliabilityPolicy[value.upper()]
        elif policy == "durability":
            chosen.durability = DurabilityPolicy[value.upper()]
    return chosen


def unused_overrides(node: Node) -> list[str]:
    """What a person should know of overrides for topics that the node does not have, once all are made."""
    kinds = (("publisher", node.publishers), ("subscription", node.subscriptions))
    known = {f"{made.topic_name}.{kind}" for kind, all_made in kinds for made in all_made}
    given = {name.rpartition(".")[0] for name in node.get_parameters_by_prefix(_PREFIX)}
    return [
        f"parameters {_PREFIX}.{name}.* belong to no topic of this node: it has {', '.join(sorted(_like(name, known)))}"
        for name in sorted(given - known)
    ]


def refuse_changes(node: Node, changes: Sequence[Any]) -> None:
    """Raise `ParameterError` where parameters to be set are overrides that have another value now.

    A topic's quality of service stays; rclpy itself declares these parameters, which is no change.
    """
    for change in changes:
        old = node.get_parameter(change.name).value if node.has_parameter(change.name) else change.value
        if change.name.startswith(f"{_PREFIX}.") and change.value != old:
            raise ParameterError(f"parameter {change.name} counts from the start: give it in the parameter file")


def _own(node: Node, topic: str, kind: str, quality: QoSProfile | int) -> QoSProfile:
    """rclpy writes overrides into the profile that it is given: one of its own for every topic."""
    whole = QoSProfile(depth=quality) if isinstance(quality, int) else quality
    return overridden(node, topic, kind, whole)


def _prefix(node: Node, topic: str, kind: str) -> str:
    with Border(ParameterError, f"ROS refuses the topic {topic}"):
        return f"{_PREFIX}.{node.resolve_topic_name(topic)}.{kind}"


def _given(node: Node, topic: str, kind: str) -> dict[str, Any]:
    found = node.get_parameters_by_prefix(_prefix(node, topic, kind))
    return {name: parameter.value for name, parameter in found.items()}


def _check(name: str, policy: str, value: Any) -> None:
    if policy == "depth":
        if type(value) is not int or not 1 <= value <= _MOST:
            raise ParameterError(f"parameter {name} is {value!r}, allowed: 1 to {_MOST}")
    elif policy not in _CHOICES:
        raise ParameterError(f"parameter {name}: overrides are {', '.join(('depth', *_CHOICES))}")
    elif value not in _CHOICES[policy]:
        raise ParameterError(f"parameter {name} is {value!r}, allowed: {', '.join(_CHOICES[policy])}")


def _like(name: str, known: set[str]) -> set[str]:
    """The topics of the same kind that a name may have meant."""
    kind = name.rpartition(".")[2]
    return {one for one in known if one.endswith(f".{kind}") and not one.startswith(("/rosout", "/parameter_events"))}
