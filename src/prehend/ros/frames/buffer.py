"""Transforms between frames as they were at an image's stamp: /tf and /tf_static, kept for ten seconds.

tf2_ros does this too, but no wheels hold it. What is here is what the node needs of it: chains of frames, interpolation
between two stamps, no guess before the first or after the last of them.
"""

import threading
import time
from bisect import bisect_left
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from prehend.errors import PrehendError
from prehend.geometry.rotations import matrix_from_quaternion
from prehend.ros.conversion.convert import seconds
from prehend.ros.messages import TF, decode
from prehend.types import FloatArray

KEPT_S = 10.0
"""How long transforms are remembered, as in tf2 [s]."""

_MOST_FRAMES, _MOST_STAMPS, _MOST_LINKS = 2000, 20000, 100
_SOON_S = 1.0
"""A frame whose newest transform is not older than an image by more than this is still published [s]."""

_FORGOTTEN_S = 60.0
"""A frame of which nobody spoke for this long may go when there are too many [s]."""


class TransformError(PrehendError):
    """There is no transform between two frames at a time, and why.

    Attributes:
        soon: it is likely to be on its way.
    """

    def __init__(self, message: str, soon: bool = False):
        super().__init__(message)
        self.soon = soon


class _Pose(NamedTuple):
    """A frame in its parent at a stamp: (3,) metres and (4,) quaternion x y z w."""

    stamp_s: float
    parent: str
    place: FloatArray
    turn: FloatArray

    def matrix(self) -> FloatArray:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = matrix_from_quaternion(self.turn), self.place
        return T


_Upwards = tuple[dict[str, FloatArray], TransformError | None]


class _FrameHistory:
    """What is known of one frame: always, or for some stamps in order."""

    def __init__(self) -> None:
        self.fixed: _Pose | None = None
        self.poses: deque[_Pose] = deque(maxlen=_MOST_STAMPS)
        self.heard_s = 0.0

    def add(self, pose: _Pose) -> None:
        if self.poses and pose.stamp_s < self.poses[-1].stamp_s - KEPT_S:  # time began anew: a bag plays again
            self.poses.clear()
        index = len(self.poses)
        while index and self.poses[index - 1].stamp_s > pose.stamp_s:
            index -= 1
        if index and self.poses[index - 1].stamp_s == pose.stamp_s:
            self.poses[index - 1] = pose
            return
        if len(self.poses) == self.poses.maxlen:
            self.poses.popleft()
            index = max(index - 1, 0)
        self.poses.insert(index, pose)
        while self.poses[0].stamp_s < self.poses[-1].stamp_s - KEPT_S:
            self.poses.popleft()

    def at(self, name: str, stamp_s: float) -> _Pose:
        if self.fixed is not None:
            return self.fixed
        stamps = [pose.stamp_s for pose in self.poses]
        index = bisect_left(stamps, stamp_s)
        if index < len(stamps) and stamps[index] == stamp_s:
            return self.poses[index]
        if index == len(stamps):
            late_s = stamp_s - stamps[-1]
            text = f"the newest transform of '{name}' is {late_s:.3f} s older than the image"
            raise TransformError(text, soon=late_s < _SOON_S)
        if index == 0:
            raise TransformError(
                f"the oldest transform of '{name}' is {stamps[0] - stamp_s:.3f} s newer than the image"
            )
        return _between(self.poses[index - 1], self.poses[index], stamp_s)


class TransformBuffer:
    """Transforms of late; `add` is called by the subscriptions, `transform` by the worker."""

    def __init__(self) -> None:
        self._frames: dict[str, _FrameHistory] = {}
        self._came = threading.Condition()

    def add(self, data: bytes, fixed: bool = False) -> None:
        """Take a serialised tf2_msgs/TFMessage; transforms that are none (not finite, no rotation) are left out.

        Args:
            data: of /tf, or of /tf_static.
            fixed: it is of /tf_static, whose transforms hold at any time.

        Raises:
            SourceError: the bytes are no such message.
        """
        message = decode(data, TF)
        with self._came:
            for entry in message.transforms:
                self._add(entry, fixed)
            self._came.notify_all()

    def transform(self, target: str, source: str, stamp_s: float, wait_s: float = 0.0) -> FloatArray:
        """(4, 4) T_target_source, by which points in `source` become points in `target`.

        Args:
            target, source: names of frames.
            stamp_s: when [s].
            wait_s: longest time to wait for one that is on its way [s].

        Raises:
            TransformError: the frames are not connected, or not at this time.
        """
        until_s = time.monotonic() + wait_s
        with self._came:
            while True:
                try:
                    return self._transform(target.lstrip("/"), source.lstrip("/"), stamp_s)
                except TransformError as error:
                    left_s = until_s - time.monotonic()
                    if not error.soon or left_s <= 0 or not self._came.wait(left_s):
                        raise

    def _add(self, entry: Any, fixed: bool) -> None:
        child, parent = entry.child_frame_id.lstrip("/"), entry.header.frame_id.lstrip("/")
        move, turn = entry.transform.translation, entry.transform.rotation
        place, quaternion = np.array([move.x, move.y, move.z]), np.array([turn.x, turn.y, turn.z, turn.w])
        length = float(np.linalg.norm(quaternion))
        if not child or not parent or child == parent or not np.isfinite(place).all() or not 0.9 < length < 1.1:
            return
        now_s = time.monotonic()
        if child not in self._frames and len(self._frames) >= _MOST_FRAMES and not self._make_room(now_s):
            return
        frame = self._frames.setdefault(child, _FrameHistory())
        frame.heard_s = now_s
        pose = _Pose(seconds(entry.header.stamp), parent, place, quaternion / length)
        if fixed:
            frame.fixed = pose
        else:
            frame.add(pose)

    def _make_room(self, now_s: float) -> bool:
        """Forget frames of which nobody speaks any more: hands get new names over and over."""
        old = [
            name for name, frame in self._frames.items() if frame.fixed is None and now_s - frame.heard_s > _FORGOTTEN_S
        ]
        for name in old:
            del self._frames[name]
        return bool(old)

    def _transform(self, target: str, source: str, stamp_s: float) -> FloatArray:
        up, ups = self._upwards(source, target, stamp_s)
        if target in up:
            return up[target]
        down, downs = self._upwards(target, "", stamp_s)
        common = next((name for name in up if name in down), None)
        if common is not None:
            return np.asarray(np.linalg.inv(down[common]) @ up[common])
        if fault := ups or downs:
            raise fault
        missing = [name for name in (target, source) if not self._knows(name)]
        why = f"nobody publishes '{missing[0]}'" if missing else "they belong to two trees"
        raise TransformError(f"no transform from '{source}' to '{target}': {why}")

    def _knows(self, name: str) -> bool:
        parents = (
            pose.parent for frame in self._frames.values() for pose in (frame.fixed, *list(frame.poses)[-1:]) if pose
        )
        return name in self._frames or name in parents

    def _upwards(self, start: str, end: str, stamp_s: float) -> _Upwards:
        """From a frame to its ancestors, up to `end`: T_ancestor_start of each, and what kept it from going further."""
        T: FloatArray = np.eye(4)
        name = start
        found = {name: T}
        while name != end and name in self._frames and len(found) < _MOST_LINKS:
            try:
                pose = self._frames[name].at(name, stamp_s)
            except TransformError as error:
                return found, error
            T, name = pose.matrix() @ T, pose.parent
            if name in found:
                return found, TransformError(f"the transforms of '{name}' run in a circle")
            found[name] = T
        return found, None


def _between(a: _Pose, b: _Pose, stamp_s: float) -> _Pose:
    """Straight from one pose to the next, and round by the shorter way (normalised linear quaternions: stamps that
    follow each other are close)."""
    if a.parent != b.parent:
        return a
    share = (stamp_s - a.stamp_s) / (b.stamp_s - a.stamp_s)
    turn = (1 - share) * a.turn + share * (b.turn if float(a.turn @ b.turn) >= 0 else -b.turn)
    return _Pose(stamp_s, a.parent, (1 - share) * a.place + share * b.place, turn / np.linalg.norm(turn))
