"""Hands followed from frame to frame: where to look next, under which number, and when to call the finder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from prehend.conventions import Side
from prehend.errors import ParameterError
from prehend.pipeline.grasp import GraspConfig, GraspFilter
from prehend.pipeline.match import match, same_hand, share_inside
from prehend.pipeline.sides import SideBelief, SideConfig
from prehend.pipeline.smooth import HandSmoother, SmoothConfig
from prehend.types import Box, FloatArray, FoundHand

RELOCATE_IOU = 0.4
"""Below this overlap with the finder's box, a track and the finder disagree about where the hand is."""

TRUSTED_SCORE = 0.8
"""A track whose crop shows a hand with this probability keeps its own box when the finder disagrees once."""

KNOWN_IOU, KNOWN_INSIDE = 0.2, 0.8
"""A found box is no new hand if it overlaps a track's box by `RELOCATE_IOU`, or by `KNOWN_IOU` while this share of the
track's joints lies in it: a box around hand and arm."""

MIN_INSIDE = 0.2
"""A hand of whose box less than this share is in the image has left it."""

MAX_SHIFT = 0.5
"""A box is moved ahead of its hand by this much of its longer side at most."""

FRAME_S = 1 / 30
"""Time between frames without stamps [s]."""

SWAPPED_FRAMES, SWAPPED_S = 2.0, 0.5
"""Images whose stamps go back by no more than so many intervals, and so many seconds, came in the wrong order."""

RETRIES = 3
"""Frames in a row in which a hand that was not seen is looked for where it should be; after that only the finder brings
it back."""

LOST_INTERVAL = 3
"""Frames between two looks of the finder while a hand is lost."""

ESTABLISHED = 10
"""Frames after which a track is as good as one that was seen for longer."""

MIN_OF_LENGTH = 0.6
"""A box is no smaller than this share of the length that its hand had of late: joints that fall in on the palm would
make every crop narrower than the last. A fist has about half the length of an open hand."""

_LENGTH_S = 1.0  # time over which lengths are averaged
_VELOCITY_S = 0.08  # time over which velocities are averaged
_COAST_S = 0.15  # time after which a hand out of sight is taken to have stopped


@dataclass(frozen=True)
class TrackConfig:
    """How hands are followed.

    Attributes:
        max_hands: most hands at a time.
        find_interval: frames after which the finder looks again although all is well.
        keep_lost_s: a hand out of sight that comes back within this time keeps its number [s].
        max_gap_s: time without a frame after which all tracks are given up [s].

    Raises:
        ParameterError: a value is not positive.
    """

    max_hands: int = 4
    find_interval: int = 10
    keep_lost_s: float = 0.5
    max_gap_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_hands", "find_interval", "keep_lost_s", "max_gap_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected a positive number")


class Motion(NamedTuple):
    """Where a track is and how it moves; see `Track`."""

    box_px: Box
    keypoints_px: FloatArray | None
    velocity: FloatArray
    center: FloatArray
    missed: int
    unseen_s: float


@dataclass(eq=False)
class Track:
    """One hand over time.

    Attributes:
        track_id: its number.
        belief: about its side.
        box_px: where to look in this frame.
        grasp: its grasp state.
        smoother: its filters.
        object_box_px: of what it holds, None where unknown.
        keypoints_px: (21, 2) where its joints should be in this frame, None before it was seen.
        velocity: (2,) of the box's centre [px/s].
        score: probability of a hand when it was last seen.
        seen: frames in which it was seen.
        missed: frames in a row in which it was not; 0 while it is in view.
        unseen_s: time since it was seen [s].
        refound: it was out of sight and somebody found it again in this frame.
        doubts: looks of the finder in a row that put it elsewhere.
        center: (2,) middle of its box when it was last seen.
        length_px: longer side of its box of late.
        expected: what `start_frame` made of it.
        shown: the side with which it was last seen, None before.
    """

    track_id: int
    belief: SideBelief
    box_px: Box
    grasp: GraspFilter
    smoother: HandSmoother
    object_box_px: Box | None = None
    keypoints_px: FloatArray | None = None
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))
    score: float = 0.0
    seen: int = 0
    missed: int = 0
    unseen_s: float = 0.0
    refound: bool = False
    doubts: int = 0
    center: FloatArray = field(default_factory=lambda: np.zeros(2))
    length_px: float = 0.0
    expected: Motion | None = None
    shown: Side | None = None

    @property
    def side(self) -> Side:
        """Left or right."""
        return self.belief.side

    @property
    def side_settled(self) -> bool:
        """Whether the side is beyond doubt."""
        return self.belief.settled


class Tracker:
    """All tracks.

    A frame goes: `start_frame`, `take` if somebody looked, `confirm` or `miss` each of `wanted`, `merge`.

    Args:
        config: how hands are followed.
        grasp, side, smooth: what each hand's filters are made with.
    """

    def __init__(
        self,
        config: TrackConfig,
        grasp: GraspConfig,
        side: SideConfig | None = None,
        smooth: SmoothConfig | None = None,
    ):
        self._config, self._grasp = config, grasp
        self._side, self._smooth = side or SideConfig(), smooth or SmoothConfig()
        self._next_id = 1
        self.tracks: list[Track] = []
        self.reset()

    def reset(self) -> None:
        """Give up all tracks; their numbers are not used again."""
        self.tracks = []
        self._image_size: tuple[int, int] | None = None
        self._stamp: float | None = None
        self._interval_s = FRAME_S
        self._frames_since_find = 0
        self._ask = False

    @property
    def wants_finder(self) -> bool:
        """Whether the finder should look at this frame: nothing in view, a hand just lost or misplaced, time is up."""
        if self._ask or all(track.missed for track in self.tracks):
            return True
        interval = self._config.find_interval
        lost = any(track.missed for track in self.tracks)
        return self._frames_since_find >= (min(LOST_INTERVAL, interval) if lost else interval)

    @property
    def wanted(self) -> list[Track]:
        """Tracks to look at in this frame."""
        return [track for track in self.tracks if track.missed <= RETRIES or track.refound]

    def start_frame(self, image_size: tuple[int, int], stamp: float | None) -> None:
        """Move on to the next frame: boxes go on as their hands moved, and hands lost for too long are forgotten.

        Another image size, a stamp that lies before the last one (a bag starts again) or too long after it starts
        from nothing. A stamp that lies just before it is jitter, or two images swapped on their way: no time passes.
        """
        elapsed = FRAME_S if stamp is None or self._stamp is None else stamp - self._stamp
        if -min(SWAPPED_FRAMES * self._interval_s, SWAPPED_S) <= elapsed < 0:
            elapsed, stamp = 0.0, self._stamp  # the next image counts from the newest
        elif elapsed > 0:
            self._interval_s = elapsed
        if not 0 <= elapsed <= self._config.max_gap_s or self._image_size not in (None, image_size):
            self.reset()
        self._image_size, self._stamp = image_size, stamp
        self._frames_since_find += 1
        for track in self.tracks:
            track.unseen_s += elapsed
            track.refound = False
            track.smoother.start_frame(elapsed)
            if track.missed:
                track.velocity = track.velocity * math.exp(-elapsed / _COAST_S)
            _move(track, track.velocity * elapsed, image_size)
            track.expected = Motion(
                track.box_px, track.keypoints_px, track.velocity, track.center, track.missed, track.unseen_s
            )
        self.tracks = [t for t in self.tracks if not t.missed or t.unseen_s <= self._config.keep_lost_s]

    def take(self, found: Sequence[FoundHand], exact: bool = False, new_score: float = 0.0) -> None:
        """Bring hands that somebody found together with the tracks.

        Sure ones choose first; the others only bring back tracks that are left (as in ByteTrack, Zhang et al., ECCV
        2022).

        Args:
            found: best first.
            exact: the boxes are a user's: these are the hands, at these places, of these sides, and no others.
            new_score: score from which a hand may be new.
        """
        self._frames_since_find, self._ask = 0, False
        sure = [hand for hand in found if exact or hand.score >= new_score]
        unsure = [hand for hand in found if not exact and hand.score < new_score]
        pairs = match(self.tracks, sure)
        taken = {row for row, _ in pairs}
        left = [track for row, track in enumerate(self.tracks) if row not in taken]
        matched = [(self.tracks[row], sure[column]) for row, column in pairs]
        matched += [(left[row], unsure[column]) for row, column in match(left, unsure)]
        for track, hand in matched:
            self._update_found(track, hand, exact)
        if exact:
            self.tracks = [track for track, _ in matched]
        columns = {column for _, column in pairs}
        for hand in [hand for column, hand in enumerate(sure) if column not in columns]:
            if exact or (not self._is_known(hand.box_px) and self._in_view() < self._config.max_hands):
                self._begin(hand, exact)
        self.tracks.sort(key=lambda track: track.track_id)

    def confirm(
        self, track: Track, keypoints_px: FloatArray, object_box_px: Box | None = None, score: float = 1.0
    ) -> None:
        """A track was seen in this frame.

        Args:
            track: of this tracker.
            keypoints_px: (21, 2) as measured, not smoothed.
            object_box_px: of what it holds, None where unknown.
            score: probability that it is a hand.
        """
        box = Box.around(keypoints_px)
        center = np.array(box.center)
        if track.seen and track.unseen_s > 0:
            velocity = (center - track.center) / track.unseen_s
            share = 1.0 if track.seen == 1 else 1 - math.exp(-track.unseen_s / _VELOCITY_S)
            track.velocity = track.velocity + share * (velocity - track.velocity)
        track.box_px, track.keypoints_px, track.center = _not_shrunken(track, box), keypoints_px, center
        track.object_box_px, track.score = object_box_px, score
        track.seen, track.missed, track.unseen_s = track.seen + 1, 0, 0.0
        track.shown = track.side
        track.belief.begin()

    def miss(self, track: Track) -> bool:
        """A track was looked for and not seen; one that never was is over.

        Returns:
            True for the first frame in a row.
        """
        if not track.seen:
            self.tracks.remove(track)
            return True
        track.missed += 1
        self._ask = self._ask or track.missed == 1
        return track.missed == 1

    def merge(self) -> list[Track]:
        """Give up tracks that are on a hand that another one knows better; call it when all were confirmed or missed.

        One that was followed for long was drawn there by a hand that hides its own: it counts as not seen, where its
        hand was to be expected. Others are over.

        Returns:
            Those that were given up in this frame.
        """
        best = sorted(
            (track for track in self.tracks if not track.missed),
            key=lambda track: (-min(track.seen, ESTABLISHED), track.track_id),
        )
        kept: list[Track] = []
        extra: list[Track] = []
        for track in best:
            (extra if any(same_hand(track, other) for other in kept) else kept).append(track)
        over = [track for track in extra if track.seen < ESTABLISHED or track.expected is None]
        self.tracks = [track for track in self.tracks if track not in over]
        hidden = [track for track in extra if track not in over]
        for track in hidden:
            _take_back(track)
        return over + [track for track in hidden if track.missed == 1]

    def check_side(self, track: Track) -> None:
        """Call it once the network has seen a track: one of another side than before has no past.

        If it was out of sight meanwhile, it is another hand and gets another number.
        """
        if track.shown in (None, track.side):
            return
        track.smoother.reset()
        if track.refound:
            track.track_id, self._next_id = self._next_id, self._next_id + 1
            track.grasp = GraspFilter(self._grasp)
            self.tracks.sort(key=lambda one: one.track_id)

    def _begin(self, hand: FoundHand, given: bool) -> None:
        lost = [track for track in self.tracks if track.missed]
        if len(self.tracks) >= self._config.max_hands and lost:
            self.tracks.remove(max(lost, key=lambda track: track.unseen_s))
        belief = SideBelief(hand.side, self._side, given)
        smoother = HandSmoother(self._smooth)
        track = Track(self._next_id, belief, hand.box_px, GraspFilter(self._grasp), smoother, hand.object_box_px)
        track.length_px = _longer(hand.box_px)
        self.tracks.append(track)
        self._next_id += 1

    def _update_found(self, track: Track, hand: FoundHand, exact: bool) -> None:
        if track.missed:
            track.refound, track.velocity = True, np.zeros(2)
            track.belief.reopen()
        if exact and hand.side is not None:
            track.belief.tell(hand.side)
        else:
            track.belief.found(hand.side)
        elsewhere = track.box_px.iou(hand.box_px) < RELOCATE_IOU
        track.doubts = track.doubts + 1 if elsewhere else 0
        if exact or (elsewhere and (track.missed or track.score < TRUSTED_SCORE or track.doubts > 1)):
            track.box_px, track.doubts, track.length_px = hand.box_px, 0, _longer(hand.box_px)
        self._ask = self._ask or track.doubts == 1
        if track.object_box_px is None or (exact and hand.object_box_px is not None):
            track.object_box_px = hand.object_box_px

    def _in_view(self) -> int:
        return sum(not track.missed for track in self.tracks)

    def _is_known(self, box: Box) -> bool:
        return any(
            (iou := track.box_px.iou(box)) > RELOCATE_IOU
            or (iou > KNOWN_IOU and share_inside(track.keypoints_px, box) > KNOWN_INSIDE)
            for track in self.tracks
        )


def _take_back(track: Track) -> None:
    """This frame's `confirm` was another hand's."""
    if track.expected is not None:
        box, keypoints, velocity, center, missed, unseen_s = track.expected
        track.box_px, track.keypoints_px, track.velocity, track.center = box, keypoints, velocity, center
        track.missed, track.unseen_s = missed + 1, unseen_s
        track.smoother.reset()


def _longer(box: Box) -> float:
    return max(box.width, box.height, 1e-6)


def _not_shrunken(track: Track, box: Box) -> Box:
    """The box of a track's joints, enlarged about its middle if it is suddenly small; brings the length up to date."""
    longer = _longer(box)
    track.length_px *= (longer / track.length_px) ** (1 - math.exp(-track.unseen_s / _LENGTH_S))
    more = MIN_OF_LENGTH * track.length_px / longer
    if more <= 1:
        return box
    (x, y), half_width, half_height = box.center, more * box.width / 2, more * box.height / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def inside_share(box: Box, image_size: tuple[int, int]) -> float:
    """Share of the pixels of a box that lie in the image of this width and height."""
    width, height = image_size
    x = min(box.x1 + 0.5, width - 0.5) - max(box.x0 - 0.5, -0.5)
    y = min(box.y1 + 0.5, height - 0.5) - max(box.y0 - 0.5, -0.5)
    return max(x, 0.0) * max(y, 0.0) / ((box.width + 1) * (box.height + 1))


def _move(track: Track, shift: FloatArray, image_size: tuple[int, int]) -> None:
    """Move a track's box and joints ahead; a hand out of sight stays where the camera could see it."""
    box = track.box_px
    limit = MAX_SHIFT * _longer(box)
    shift = np.clip(shift, -limit, limit)
    if track.missed:
        center = np.array(box.center)
        shift = np.clip(center + shift, 0, np.array(image_size) - 1.0) - center
    x, y = shift.tolist()
    track.box_px = Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)
    if track.keypoints_px is not None:
        track.keypoints_px = track.keypoints_px + shift
