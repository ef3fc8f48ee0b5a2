"""A frame as it is shown, and what shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from prehend.geometry.control_points import control_points
from prehend.io.frames import Frame
from prehend.object_catalogue import ObjectModel
from prehend.types import FloatArray, FrameResult, ObjectEstimate

NUM_CORNERS = 8
BOX_EDGES = [(a, a | bit) for a in range(NUM_CORNERS) for bit in (1, 2, 4) if not a & bit]
"""Edges between the corners, whose number is one bit an axis, x lowest (see `control_points`)."""


@dataclass(frozen=True)
class Seen:
    """A frame with its result.

    Attributes:
        number: counts frames from 1, over loops too.
        time_s: on a clock that never goes back: the frames' own times, one loop after the other [s].
        frame: the image.
        result: of this image.
    """

    number: int
    time_s: float
    frame: Frame
    result: FrameResult


class Screen(Protocol):
    """Something that shows frames."""

    def show(self, seen: Seen) -> None:
        """Take a frame; returns soon, whoever looks on."""


@dataclass(frozen=True)
class HeldBoxes:
    """The boxes of held objects in the camera frame.

    Attributes:
        objects: of the catalogue, by their id: they know where the box lies in the object's frame.
    """

    objects: Mapping[str, ObjectModel]

    def corners_m(self, held: ObjectEstimate) -> FloatArray | None:
        """(8, 3) corners in the camera frame [m], in the order of `control_points`; None without pose or size."""
        if held.T_camera_object is None:
            return None
        if (model := self.objects.get(held.object_id)) is not None:
            points = model.control_points_m
        elif held.extents_m is not None:
            points = control_points(held.extents_m)
        else:
            return None
        pose = held.T_camera_object
        return points[:NUM_CORNERS] @ pose[:3, :3].T + pose[:3, 3]
