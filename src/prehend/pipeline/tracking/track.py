"""What is known of one hand that is followed: where it is, how it moves, and where its next crop is cut."""

import math
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from prehend.conventions import Side
from prehend.pipeline.crops.regions import upright_region
from prehend.pipeline.frames.handedness import HandednessBelief
from prehend.pipeline.frames.targets import Target
from prehend.pipeline.tracking.filters import HandFilters
from prehend.types import Box, FloatArray, Region

MAX_SHIFT = 0.5
"""A box is moved ahead of its hand by this much of its longer side at most."""

MIN_OF_LENGTH = 0.6
"""A box is no smaller than this share of the length that its hand had of late: joints that fall in on the palm would
make every crop narrower than the last. A fist has about half the length of an open hand."""

ESTABLISHED, ESTABLISHED_HZ = 10, 15.0
"""Frames after which a track is as good as one that was seen for longer; slower cameras than this need no more time."""

_COAST_S = 0.15  # time after which a hand out of sight is taken to have stopped
_LENGTH_S = 1.0  # time over which lengths are averaged
_VELOCITY_S = 0.08  # time over which velocities are averaged


class Motion(NamedTuple):
    """Where a track is and how it moves; see `Track`."""

    box_px: Box
    region: Region
    keypoints_px: FloatArray | None
    velocity: FloatArray
    center: FloatArray
    missed: int
    unseen_s: float
    lost_s: float


@dataclass(eq=False)
class Track:
    """One hand over time.

    Attributes:
        track_id: its number.
        belief: about its side.
        box_px: where it should be in this frame: the box of its joints, or that of whoever found it.
        region: where to cut in this frame.
        filters: steady pose, grasp state, what it holds, depth.
        object_box_px: of what it holds, None where unknown.
        keypoints_px: (21, 2) where its joints should be in this frame, None before it was seen.
        velocity: (2,) of the box's centre [px/s].
        score: probability of a hand when it was last seen.
        seen: frames in which it was seen.
        view_s: time between those that followed each other [s].
        missed: frames in a row in which it was not; 0 while it is in view.
        unseen_s: time since it was seen [s].
        lost_s: time since the first frame in which it was not; 0 while it is in view [s].
        refound: it was out of sight and somebody found it again in this frame.
        doubts: looks of the detector in a row that put it elsewhere.
        center: (2,) middle of its box when it was last seen.
        length_px: longer side of its region of late.
        given_px: its box in this frame by a user's word, None for none, or for one that the border may have cut.
        expected: what `start_frame` made of it.
        shown: the side with which it was last seen, None before.
        doubted: the detector was unsure of it when it began.
        undirected: whoever found it first did not say in which direction it points, which the network has to know.
        found: the detector's score when it began; None where a user said so.
    """

    track_id: int
    belief: HandednessBelief
    box_px: Box
    region: Region
    filters: HandFilters
    object_box_px: Box | None = None
    keypoints_px: FloatArray | None = None
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    score: float = 0.0
    seen: int = 0
    view_s: float = 0.0
    missed: int = 0
    unseen_s: float = 0.0
    lost_s: float = 0.0
    refound: bool = False
    doubts: int = 0
    center: FloatArray = field(default_factory=lambda: np.zeros(2))
    length_px: float = 0.0
    given_px: Box | None = None
    expected: Motion | None = None
    shown: Side | None = None
    doubted: bool = False
    undirected: bool = False
    found: float | None = None

    @property
    def side(self) -> Side:
        """Left or right."""
        return self.belief.side

    @property
    def standing(self) -> float:
        """For how many frames it was seen, or would have been at `ESTABLISHED_HZ`; `ESTABLISHED` at most."""
        return min(max(self.seen, ESTABLISHED_HZ * self.view_s), ESTABLISHED)

    @property
    def side_settled(self) -> bool:
        """Whether the side is beyond doubt."""
        return self.belief.settled

    @property
    def motion(self) -> Motion:
        """Where it is and how it moves now."""
        return Motion(
            self.box_px,
            self.region,
            self.keypoints_px,
            self.velocity,
            self.center,
            self.missed,
            self.unseen_s,
            self.lost_s,
        )

    @property
    def target(self) -> Target:
        """Where to look for it in this frame: a copy, which may be changed."""
        return Target(
            track_id=self.track_id,
            region=self.region,
            belief=copy(self.belief),
            object_box_px=self.object_box_px,
            given_px=self.given_px,
            unseen_s=self.unseen_s,
            followed=self.seen > 0 and not self.refound,
            shown=self.shown,
            refound=self.refound,
            holds=self.filters.holds,
            evidence=self.filters.evidence,
            depth=copy(self.filters.depth),
            memory=self.filters.memory,
            doubted=self.doubted and not self.seen,
            undirected=self.undirected and self.keypoints_px is None,
            found=None if self.seen else self.found,
        )

    def is_wanted(self, retry_s: float) -> bool:
        """Whether to look for it in this frame; one out of sight for so long [s] after its first frame."""
        return self.missed <= 1 or self.lost_s <= retry_s or self.refound

    def looked_for(self, target: Target) -> None:
        """Take over what this frame says of its side, and where its crop was cut at last."""
        self.belief, self.region = target.belief, target.region

    def seen_at(self, keypoints_px: FloatArray, upright: bool, score: float, object_box_px: Box | None) -> None:
        """It was seen in this frame.

        Args:
            keypoints_px: (21, 2) as measured, not smoothed.
            upright: its next crop is turned along them.
            score: probability that it is a hand.
            object_box_px: of what it holds, None where unknown.
        """
        self.score, self.object_box_px, self.shown = score, object_box_px, self.side
        self.belief.begin()
        box = Box.around(keypoints_px)
        center = np.array(box.center)
        if self.seen and self.unseen_s > 0:
            velocity = (center - self.center) / self.unseen_s
            share = 1.0 if self.seen == 1 else 1 - math.exp(-self.unseen_s / _VELOCITY_S)
            self.velocity = self.velocity + share * (velocity - self.velocity)
        self.view_s += self.unseen_s if self.seen and not self.missed else 0.0
        region = upright_region(keypoints_px, self.region.turn_rad) if upright else Region.of_box(box)
        more = self._shrunk(region.longer)
        self.region = replace(region, width=more * region.width, height=more * region.height)
        self.box_px, self.keypoints_px, self.center = scaled(box, more), keypoints_px, center
        self.seen, self.missed, self.unseen_s, self.lost_s = self.seen + 1, 0, 0.0, 0.0

    def take_back(self) -> None:
        """This frame's `seen_at` was another hand's."""
        if self.expected is not None:
            then = self.expected
            self.box_px, self.region, self.keypoints_px = then.box_px, then.region, then.keypoints_px
            self.velocity, self.center = then.velocity, then.center
            self.missed, self.unseen_s, self.lost_s = then.missed + 1, then.unseen_s, then.lost_s
            self.filters.forget_motion()

    def place(self, box: Box, region: Region) -> None:
        """Somebody says where it is in this frame."""
        self.box_px, self.region, self.doubts, self.length_px = box, region, 0, max(region.longer, 1e-6)

    def start_frame(self, elapsed_s: float, image_size: tuple[int, int]) -> None:
        """Time goes on, and it with it; a hand out of sight slows down and stays where the camera could see it."""
        self.unseen_s += elapsed_s
        self.lost_s += elapsed_s if self.missed else 0.0
        self.refound, self.given_px = False, None
        self.filters.start_frame(elapsed_s)
        self._move(elapsed_s, image_size)
        self.expected = self.motion

    def _move(self, elapsed_s: float, image_size: tuple[int, int]) -> None:
        if self.missed:
            self.velocity = self.velocity * math.exp(-elapsed_s / _COAST_S)
        limit = MAX_SHIFT * max(self.box_px.width, self.box_px.height, 1e-6)
        shift = np.clip(self.velocity * elapsed_s, -limit, limit)
        if self.missed:
            center = np.array(self.box_px.center)
            shift = np.clip(center + shift, 0, np.array(image_size) - 1.0) - center
        (x, y), box, region = shift.tolist(), self.box_px, self.region
        self.box_px = Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)
        self.region = replace(region, center_px=(region.center_px[0] + x, region.center_px[1] + y))
        if self.keypoints_px is not None:
            self.keypoints_px = self.keypoints_px + shift

    def _shrunk(self, longer: float) -> float:
        """How much larger the region of its joints has to be, if it is suddenly small; brings the length up to date."""
        longer = max(longer, 1e-6)
        self.length_px *= (longer / self.length_px) ** (1 - math.exp(-self.unseen_s / _LENGTH_S))
        return max(MIN_OF_LENGTH * self.length_px / longer, 1.0)


def scaled(box: Box, factor: float) -> Box:
    """A box, enlarged about its middle."""
    (x, y), half_width, half_height = box.center, factor * box.width / 2, factor * box.height / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)
