"""The transforms of a bag's /tf and /tf_static, and the way from one frame to another."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from prehend.errors import SourceError
from prehend.eval.truth.timeline import Timeline
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.io.bags.files import BagFiles
from prehend.types import FloatArray

TF_TYPE = "tf2_msgs/msg/TFMessage"
_STATIC = "/tf_static"
_WITHIN_S = 0.1
"""A transform that is older or younger than this is none for an image."""
_LONGEST_CHAIN = 100


class Transforms:
    """All transforms of a bag.

    Raises:
        SourceError: the bag breaks off.
    """

    def __init__(self, bag: BagFiles):
        found: dict[str, list[tuple[float, FloatArray]]] = {}
        self._parents: dict[str, str] = {}
        self._static: set[str] = set()
        for static, time, child, parent, T in _entries(bag):
            found.setdefault(child, []).append((time, T))
            self._parents[child] = parent
            if static:
                self._static.add(child)
        self._timelines = {child: Timeline(values) for child, values in found.items()}

    def __contains__(self, frame: str) -> bool:
        return frame in self._parents or frame in self._parents.values()

    @property
    def frames(self) -> list[str]:
        """All names."""
        return sorted({*self._parents, *self._parents.values()})

    def connects(self, a: str, b: str) -> bool:
        """Whether there is a way between two frames."""
        return a == b or bool(set(self._chain(a)) & set(self._chain(b)))

    def extent(self, frame: str) -> str:
        """When a frame is told, for people."""
        return self._timelines[frame].extent if frame in self._timelines else "no time"

    def lookup(self, target: str, source: str, time: float) -> FloatArray | None:
        """(4, 4) T_target_source at a time, None where a part of the way is not told within 0.1 s of it."""
        if target == source:
            return np.eye(4)
        up, down = self._chain(target), self._chain(source)
        shared = next((frame for frame in down if frame in up), None)
        if shared is None:
            return None
        T_shared_source = self._climb(down[: down.index(shared)], time)
        T_shared_target = self._climb(up[: up.index(shared)], time)
        if T_shared_source is None or T_shared_target is None:
            return None
        return np.asarray(np.linalg.inv(T_shared_target) @ T_shared_source)

    def _chain(self, frame: str) -> list[str]:
        """A frame and those above it, up to the root."""
        chain = [frame]
        while chain[-1] in self._parents and len(chain) < _LONGEST_CHAIN:
            chain.append(self._parents[chain[-1]])
        return chain

    def _climb(self, children: list[str], time: float) -> FloatArray | None:
        """T_above_frame over some steps up; None where one is not told."""
        T: FloatArray = np.eye(4)
        for child in children:
            line = self._timelines[child]
            step = line.before(float("inf")) if child in self._static else line.nearest(time, _WITHIN_S)
            if step is None:
                return None
            T = step @ T
        return T


def pose_matrix(position: Any, orientation: Any) -> FloatArray:
    """(4, 4) of a message's position (or translation) and orientation; a quaternion of zeros is no turn, NaN is NaN."""
    T: FloatArray = np.eye(4)
    quaternion = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    if not np.isfinite(quaternion).all():
        T[:3, :3] = np.nan
    elif np.linalg.norm(quaternion) > 1e-9:
        T[:3, :3] = matrix_from_quaternion(quaternion / np.linalg.norm(quaternion))
    T[:3, 3] = position.x, position.y, position.z
    return T


def frame_name(text: str) -> str:
    """Without the slash of ROS 1."""
    return text.lstrip("/")


def stamp_of(stamp: Any) -> float:
    """Seconds of a builtin_interfaces/Time."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def _entries(bag: BagFiles) -> Iterator[tuple[bool, float, str, str, FloatArray]]:
    topics = [topic for topic in bag.topics.values() if topic.type == TF_TYPE and topic.count]
    for topic, _, message in bag.messages(topics) if topics else ():
        if isinstance(message, SourceError):
            continue
        for one in _transforms(message):
            T = pose_matrix(one.transform.translation, one.transform.rotation)
            child, parent = frame_name(one.child_frame_id), frame_name(one.header.frame_id)
            if np.isfinite(T).all() and child != parent:
                yield topic.name.endswith(_STATIC), stamp_of(one.header.stamp), child, parent, T


def _transforms(message: Any) -> Iterable[Any]:
    return message.transforms  # type: ignore[no-any-return]
