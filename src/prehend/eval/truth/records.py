"""What is known of a frame: typed records in which whatever nobody knows is NaN or None."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import NUM_JOINTS, Side
from prehend.errors import SourceError
from prehend.eval.answers import Answered
from prehend.eval.photographs.measures import LabelledHand
from prehend.types import Box, FloatArray


def unknown_points(axes: int) -> FloatArray:
    """(21, axes) NaN."""
    return np.full((NUM_JOINTS, axes), np.nan)


@dataclass(frozen=True)
class TrueObject:
    """A rigid object whose pose is known.

    Attributes:
        object_id: name in the object catalogue.
        T_camera_object: (4, 4) pose [m].
    """

    object_id: str
    T_camera_object: FloatArray


@dataclass(frozen=True)
class TrueHand:
    """What is known of a hand.

    Attributes:
        side: None where nobody knows.
        joints_m: (21, 3) camera frame [m], NaN where unknown.
        keypoints_px: (21, 2), NaN where unknown.
        box_px: None where unknown, and where the keypoints tell it.
        grasp: whether it grasps, None where nobody knows.
        held: what it holds, None where that is unknown or nothing.
    """

    side: Side | None = None
    joints_m: FloatArray = field(default_factory=lambda: unknown_points(3))
    keypoints_px: FloatArray = field(default_factory=lambda: unknown_points(2))
    box_px: Box | None = None
    grasp: bool | None = None
    held: TrueObject | None = None

    @property
    def known_px(self) -> NDArray[np.bool_]:
        """(21,) keypoints that are known."""
        return np.asarray(np.isfinite(self.keypoints_px).all(-1))

    @classmethod
    def of_label(cls, label: LabelledHand) -> "TrueHand":
        """The hand of a label of a photograph."""
        keypoints = unknown_points(2)
        if label.keypoints_px is not None:
            keypoints[label.mask] = label.keypoints_px[label.mask]
        joints = unknown_points(3) if label.joints_m is None else label.joints_m
        return cls(label.side, joints, keypoints, label.box_px, label.held)


@dataclass(frozen=True)
class GraspMark:
    """Somebody's word that a hand grasps, or does not.

    Attributes:
        side: None for any hand.
        grasp: whether it grasps.
    """

    side: Side | None
    grasp: bool


@dataclass(frozen=True)
class TrueFrame:
    """What is known of a frame.

    Attributes:
        hands: that are labelled.
        complete: every hand is labelled: another answer is a false hand.
        objects: whose pose is known, though not which hand holds them.
        marks: words about grasps.
        size: width and height that pixels are for, None for those of the frame [px].
    """

    hands: tuple[TrueHand, ...] = ()
    complete: bool = False
    objects: tuple[TrueObject, ...] = ()
    marks: tuple[GraspMark, ...] = ()
    size: tuple[int, int] | None = None

    def with_more(self, other: "TrueFrame") -> "TrueFrame":
        """Both together; what is complete in one is complete."""
        return TrueFrame(
            self.hands + other.hands,
            self.complete or other.complete,
            self.objects + other.objects,
            self.marks + other.marks,
            self.size or other.size,
        )


class Truth(Protocol):
    """Knows frames.

    Attributes:
        title: what it is, for people.
        extent: which frames it knows, for people.
    """

    title: str
    extent: str

    def of(self, frame: Answered) -> TrueFrame | None:
        """What is known of a frame, None for nothing."""


class Joined:
    """Several truths of the same frames as one."""

    def __init__(self, parts: Sequence[Truth]):
        self.parts = list(parts)
        self.title = ", ".join(part.title for part in parts)
        self.extent = "; ".join(part.extent for part in parts)

    def of(self, frame: Answered) -> TrueFrame | None:
        """What any of them knows."""
        found: TrueFrame | None = None
        for part in self.parts:
            one = part.of(frame)
            if one is not None:
                found = one if found is None else found.with_more(one)
        return found


def truth_of(truth: Truth, frames: Iterable[Answered]) -> list[TrueFrame | None]:
    """What is known of each frame.

    Raises:
        SourceError: of none, or a part of the truth fits none; the text says what the truth covers.
    """
    listed = list(frames)
    for part in truth.parts if isinstance(truth, Joined) else [truth]:
        if not any(part.of(frame) is not None for frame in listed):
            raise SourceError(f"{part.title} fits no frame: it covers {part.extent}, the frames are {_extent(listed)}")
    return [_checked(truth, frame) for frame in listed]


def left_unanswered(truth: Truth, frames: Iterable[Answered]) -> list[str]:
    """A line for each part of a truth that knows frames of which nothing was said: measures are of the others alone."""
    listed = list(frames)
    lines = []
    for part in truth.parts if isinstance(truth, Joined) else [truth]:
        count = getattr(part, "count", None)  # labels and answers are counted; topics know times
        known = sum(part.of(frame) is not None for frame in listed)
        if count is not None and known < count:
            lines.append(
                f"{part.title} knows {count} frames, {known} of them are judged: nothing was said of the others"
            )
    return lines


def _checked(truth: Truth, frame: Answered) -> TrueFrame | None:
    known = truth.of(frame)
    camera = frame.result.camera
    if known is not None and known.size is not None and known.size != (camera.width, camera.height):
        wanted, have = f"{known.size[0]} x {known.size[1]}", f"{camera.width} x {camera.height}"
        raise SourceError(f"{truth.title}: {frame.source} is labelled for {wanted} px, the image has {have}")
    return known


def _extent(frames: Sequence[Answered]) -> str:
    if not frames:
        return "none"
    first, last = frames[0], frames[-1]
    if first.stamp is not None and last.stamp is not None:
        return f"{first.source}, {first.stamp:.3f} s to {last.stamp:.3f} s"
    return first.source if len(frames) == 1 else f"{first.source} to {last.source}"
