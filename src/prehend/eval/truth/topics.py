"""Truth from topics of the bag that is judged: HandArray, poses and TF of objects or trackers, marks of grasps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prehend.conventions import NUM_JOINTS, SIDES, Side
from prehend.errors import ParameterError, SourceError
from prehend.eval.answers import Answered
from prehend.eval.truth.records import GraspMark, TrueFrame, TrueHand, TrueObject, Truth, unknown_points
from prehend.eval.truth.timeline import Timeline
from prehend.eval.truth.transforms import Transforms, frame_name, pose_matrix, stamp_of
from prehend.io.bags.files import BagFiles, Topic
from prehend.types import FloatArray

HANDS, POSE = "prehend_ros/msg/HandArray", "geometry_msgs/msg/PoseStamped"
BOOL, STRING = "std_msgs/msg/Bool", "std_msgs/msg/String"
TYPES = (HANDS, POSE, BOOL, STRING)
TF_PREFIX = "tf:"

_WITHIN_S = 0.05
"""A message belongs to the image whose stamp is nearest, if it is not farther away."""
_OTHER_CLOCK_S = 5.0
_YES = (
    "grasp",
    "grasped",
    "grasping",
    "hold",
    "holding",
    "held",
    "true",
    "1",
    "on",
    "begin",
    "start",
    "close",
    "closed",
)
_NO = (
    "release", "released", "releasing", "not_grasping", "none", "no", "false", "0", "off", "end", "stop", "open",
    "opened", "empty", "idle",
)  # fmt: skip


@dataclass(frozen=True)
class TopicSpec:
    """What the user asked for: `/topic`, `/topic=WHAT` or `tf:CHILD=WHAT`.

    Attributes:
        name: of the topic, or of the child frame.
        is_tf: it is a frame of TF.
        what: id of an object, or the side of a hand whose wrist is tracked or whose grasps are marked; None where the
            messages tell.
    """

    name: str
    is_tf: bool
    what: str | None

    @property
    def side(self) -> Side | None:
        """The hand that is meant."""
        return next((side for side in SIDES if side == self.what), None)


def is_topic(text: str) -> bool:
    """Whether a user's word names a topic or a frame, and no file."""
    return text.startswith(TF_PREFIX) or (text.startswith("/") and not Path(text).exists())


def parse_spec(text: str) -> TopicSpec:
    """Read `/topic`, `/topic=WHAT` or `tf:CHILD=WHAT`.

    Raises:
        ParameterError: a frame without WHAT.
    """
    is_tf = text.startswith(TF_PREFIX)
    name, _, what = text.removeprefix(TF_PREFIX).partition("=")
    if is_tf and not what:
        raise ParameterError(f"--truth {text}: say what the frame is: {text}=OBJECT_ID, =left or =right")
    return TopicSpec(frame_name(name) if is_tf else name, is_tf, what or None)


class BagTruth:
    """The topics of one bag as truth.

    Args:
        bag: opened with the types of `prehend_ros`.
        images: topic of the images.
        object_ids: of the catalogue, to check names with.
    """

    def __init__(self, bag: BagFiles, images: Topic, object_ids: tuple[str, ...]):
        self._bag, self._ids = bag, object_ids
        self.camera_frame, self._offset_s = _frame_and_offset(bag, images)
        self._transforms: Transforms | None = None

    def open(self, spec: TopicSpec) -> Truth:
        """The truth of a topic or frame.

        Raises:
            SourceError: the bag does not have it, its type is none of `TYPES`, it has no messages, or no transform
                leads from its frame to that of the images.
            ParameterError: WHAT is missing, or no object of the catalogue.
        """
        if spec.is_tf:
            return self._of_frame(spec)
        topic = self._bag.topics.get(spec.name)
        if topic is None:
            known = ", ".join(sorted(name for name, one in self._bag.topics.items() if one.type in TYPES))
            raise SourceError(f"{self._bag.name}: no topic {spec.name} for --truth; it has {known or 'none for it'}")
        readers: dict[str, Callable[[TopicSpec, Topic], Truth]] = {
            HANDS: self._of_hands,
            POSE: self._of_poses,
            BOOL: self._of_marks,
            STRING: self._of_marks,
        }
        if topic.type not in readers:
            raise SourceError(f"{self._bag.name}: {topic.name} is a {topic.type}; truth is one of {', '.join(TYPES)}")
        return readers[topic.type](spec, topic)

    @property
    def transforms(self) -> Transforms:
        """Read when they are needed first."""
        if self._transforms is None:
            self._transforms = Transforms(self._bag)
        return self._transforms

    def _of_hands(self, spec: TopicSpec, topic: Topic) -> Truth:
        def read() -> Iterator[tuple[float, TrueFrame]]:
            for _, message in self._messages(topic):
                stamp = stamp_of(message.header.stamp)
                T = self._to_camera(topic.name, message.header.frame_id, stamp)
                if any(int(one.side) >= len(SIDES) for one in message.hands):
                    raise SourceError(f"{self._bag.name}: the truth {topic.name} has a hand that is of no side")
                if T is not None:
                    yield stamp, TrueFrame(tuple(_true_hand(one, T) for one in message.hands), complete=True)

        return _Nearest(topic.name, read())

    def _of_poses(self, spec: TopicSpec, topic: Topic) -> Truth:
        known = self._thing(spec)

        def read() -> Iterator[tuple[float, TrueFrame]]:
            for _, message in self._messages(topic):
                stamp = stamp_of(message.header.stamp)
                T = self._to_camera(topic.name, message.header.frame_id, stamp)
                pose = tracked_pose(message.pose)
                if T is not None and pose is not None:
                    yield stamp, known(T @ pose)

        return _Nearest(topic.name, read())

    def _of_frame(self, spec: TopicSpec) -> Truth:
        known = self._thing(spec)
        if spec.name not in self.transforms:
            frames = ", ".join(self.transforms.frames) or "none"
            raise SourceError(f"{self._bag.name}: no frame '{spec.name}' in /tf; it has {frames}")
        self._check_way(f"{TF_PREFIX}{spec.name}", spec.name)
        return _Tracked(spec.name, self.camera_frame, self.transforms, known)

    def _of_marks(self, spec: TopicSpec, topic: Topic) -> Truth:
        if spec.what is not None and spec.side is None:
            raise ParameterError(f"--truth {spec.name}={spec.what}: marks are of the left or the right hand")
        values: dict[Side | None, list[tuple[float, bool]]] = {}
        for time_ns, message in self._messages(topic):
            time = time_ns * 1e-9 - self._offset_s
            side, grasp = _mark(topic, message)
            values.setdefault(spec.side or side, []).append((time, grasp))
        return _Marks(topic.name, {side: Timeline(marks) for side, marks in values.items()})

    def _thing(self, spec: TopicSpec) -> Callable[[FloatArray], TrueFrame]:
        """What a pose of it is the truth of."""
        if spec.what is None:
            raise ParameterError(f"--truth {spec.name}: say whose pose it is: {spec.name}=OBJECT_ID, =left or =right")
        what, side = spec.what, spec.side
        if side is not None:
            return lambda T: TrueFrame((_tracked_wrist(side, T),))
        if what not in self._ids:
            raise ParameterError(f"--truth {spec.name}: unknown object '{what}': choose one of {', '.join(self._ids)}")
        return lambda T: TrueFrame(objects=(TrueObject(what, T),))

    def _to_camera(self, topic: str, frame_id: str, stamp: float) -> FloatArray | None:
        """T_camera_frame of a message, None where it is not told at its time."""
        frame = frame_name(str(frame_id))
        if frame in ("", self.camera_frame):
            return np.eye(4)
        self._check_way(topic, frame)
        return self.transforms.lookup(self.camera_frame, frame, stamp)

    def _check_way(self, name: str, frame: str) -> None:
        if not self.transforms.connects(frame, self.camera_frame):
            raise SourceError(
                f"{self._bag.name}: the truth {name} is in frame '{frame}', the images are of '{self.camera_frame}', "
                "and no /tf or /tf_static of the bag leads from one to the other"
            )

    def _messages(self, topic: Topic) -> Iterator[tuple[int, Any]]:
        """Time of recording [ns] and message of those that are sound."""
        count = 0
        for _, time_ns, message in self._bag.messages([topic]):
            if not isinstance(message, SourceError):
                count += 1
                yield time_ns, message
        if not count:
            raise SourceError(f"{self._bag.name}: the truth topic {topic.name} has no messages that can be read")


class _Nearest:
    """Known frames at times, for the images nearest to them."""

    def __init__(self, name: str, frames: Iterator[tuple[float, TrueFrame]]):
        self._line = Timeline(frames)
        self.title, self.extent = f"the truth {name}", self._line.extent

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        return None if frame.stamp is None else self._line.nearest(frame.stamp, _WITHIN_S)


class _Tracked:
    """A frame of TF as the truth of an object."""

    def __init__(self, child: str, camera: str, transforms: Transforms, known: Callable[[FloatArray], TrueFrame]):
        self._child, self._camera, self._transforms, self._known = child, camera, transforms, known
        self.title, self.extent = f"the truth {TF_PREFIX}{child}", transforms.extent(child)

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        T = None if frame.stamp is None else self._transforms.lookup(self._camera, self._child, frame.stamp)
        return None if T is None else self._known(T)


class _Marks:
    """Marks of grasps: each holds until the next; before a first one that says grasp nothing is grasped."""

    def __init__(self, name: str, lines: dict[Side | None, Timeline[bool]]):
        self._lines = lines
        self.title = f"the truth {name}"
        times = [time for line in lines.values() for time in line.times]
        self._first, self._last = min(times), max(times)
        self.extent = f"{self._first:.3f} s to {self._last:.3f} s"

    def of(self, frame: Answered) -> TrueFrame | None:
        """See `Truth.of`."""
        if frame.stamp is None:
            return None
        marks = []
        for side, line in self._lines.items():
            said = line.before(frame.stamp)
            if said is None and line.first:
                said = False
            if said is not None:
                marks.append(GraspMark(side, said))
        return TrueFrame(marks=tuple(marks)) if marks else None


def tracked_pose(pose: Any) -> FloatArray | None:
    """(4, 4) of a tracker's geometry_msgs/Pose; None where it lost the object: trackers tell NaN then, or only
    zeros."""
    T = pose_matrix(pose.position, pose.orientation)
    turn = pose.orientation
    told = np.isfinite(T).all() and (turn.x, turn.y, turn.z, turn.w) != (0, 0, 0, 0)
    return T if told else None


def _frame_and_offset(bag: BagFiles, images: Topic) -> tuple[str, float]:
    """The frame of the images, and what the recorder's clock is ahead of their stamps if it is another clock [s].

    Messages without a header have only the recorder's time. Where both clocks are the same, an image's delay says
    nothing of theirs, so a small difference is none.
    """
    frame, offsets = "", []
    for _, time_ns, message in bag.messages([images]):
        if isinstance(message, SourceError):
            continue
        frame = frame or frame_name(str(message.header.frame_id))
        stamp = stamp_of(message.header.stamp)
        if stamp > 0:
            offsets.append(time_ns * 1e-9 - stamp)
    offset = float(np.median(offsets)) if offsets else 0.0
    return frame, offset if abs(offset) > _OTHER_CLOCK_S else 0.0


def _true_hand(message: Any, T_camera_frame: FloatArray) -> TrueHand:
    """A prehend_ros/Hand; keypoints and joints that are all zero are not filled in."""
    joints = np.asarray(message.joints_m, np.float64).reshape(NUM_JOINTS, 3)
    keypoints = np.asarray(message.keypoints_px, np.float64).reshape(NUM_JOINTS, 2)
    moved = joints @ T_camera_frame[:3, :3].T + T_camera_frame[:3, 3]
    held = message.held_object[0] if len(message.held_object) else None
    thing = None
    if held is not None and held.pose_valid:
        thing = TrueObject(str(held.id), T_camera_frame @ pose_matrix(held.pose.position, held.pose.orientation))
    return TrueHand(
        SIDES[int(message.side)],
        moved if joints.any() else unknown_points(3),
        keypoints if keypoints.any() else unknown_points(2),
        grasp={1: False, 2: True}.get(int(message.grasp.state)),
        held=thing,
    )


def _tracked_wrist(side: Side, T_camera_wrist: FloatArray) -> TrueHand:
    joints = unknown_points(3)
    joints[0] = T_camera_wrist[:3, 3]
    return TrueHand(side, joints)


def _mark(topic: Topic, message: Any) -> tuple[Side | None, bool]:
    """Side, where it is named, and whether it grasps."""
    if topic.type == BOOL:
        return None, bool(message.data)
    words = str(message.data).lower().replace(":", " ").replace(",", " ").replace("=", " ").split()
    sides = [side for side in SIDES if side in words]
    said = {word in _YES for word in words if word in _YES or word in _NO}
    if len(said) != 1 or len(sides) > 1:
        raise SourceError(
            f"the truth {topic.name} says '{str(message.data)[:60]}': expected a word such as grasp or release, with "
            "left or right where it is of one hand"
        )
    return (sides[0] if sides else None), said.pop()


__all__ = ["BagTruth", "TopicSpec", "is_topic", "parse_spec"]
