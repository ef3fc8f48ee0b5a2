"""Hands followed from frame to frame: where to look next, under which number, and when to call the finder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from prehend.conventions import Side
from prehend.errors import ParameterError
from prehend.pipeline.grasp import GraspConfig, GraspFilter
from prehend.types import Box, FloatArray, FoundHand

MATCH_IOU = 0.15
MATCH_DISTANCE = 0.4
"""A found hand is a tracked one if their boxes overlap more than `MATCH_IOU`, or their centres are nearer than
`MATCH_DISTANCE` times the longer side."""

RELOCATE_IOU = 0.4
"""Below this overlap with the finder's box a track takes the finder's box."""

DUPLICATE_DISTANCE = 0.2
"""Two tracks whose joints lie this near on average, in units of the box's longer side, are one hand."""

MIN_INSIDE = 0.2
"""A hand of whose box less than this share is in the image has left it."""

MAX_SHIFT = 0.5
"""A box is moved ahead of its hand by this much of its longer side at most."""

_SIDE_BONUS = 0.3


@dataclass(frozen=True)
class TrackConfig:
    """How hands are followed.

    Attributes:
        max_hands: most hands at a time.
        find_interval: frames after which the finder looks again although all is well.
        side_votes: times in a row the finder has to contradict a track's side before it changes.
        max_gap_s: time without a frame after which all tracks are given up [s].

    Raises:
        ParameterError: a value is not positive.
    """

    max_hands: int = 4
    find_interval: int = 10
    side_votes: int = 3
    max_gap_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_hands", "find_interval", "side_votes", "max_gap_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected a positive number")


@dataclass(eq=False)
class Track:
    """One hand over time.

    Attributes:
        track_id: its number.
        side: left or right.
        box_px: where to look in this frame.
        object_box_px: of what it holds, None where unknown.
        grasp: its grasp state.
        keypoints_px: (21, 2) of the last frame in which it was seen, None before.
        contradictions: times in a row the finder claimed the other side.
        velocity: (2,) of the box's centre [px/s, px/frame without stamps].
    """

    track_id: int
    side: Side
    box_px: Box
    grasp: GraspFilter
    object_box_px: Box | None = None
    keypoints_px: FloatArray | None = None
    contradictions: int = 0
    velocity: FloatArray = field(default_factory=lambda: np.zeros(2))


class Tracker:
    """All tracks. A frame goes: `start_frame`, `take` if somebody looked, then `confirm` or `drop` each track."""

    def __init__(self, config: TrackConfig, grasp: GraspConfig):
        self._config, self._grasp = config, grasp
        self._next_id = 1
        self.tracks: list[Track] = []
        self.reset()

    def reset(self) -> None:
        """Give up all tracks; their numbers are not used again."""
        self.tracks = []
        self._image_size: tuple[int, int] | None = None
        self._stamp: float | None = None
        self._elapsed = 1.0
        self._frames_since_find = 0
        self._lost = False

    @property
    def wants_finder(self) -> bool:
        """Whether the finder should look at this frame: nothing tracked, a hand lost, a side in doubt, time is up."""
        in_doubt = any(track.contradictions for track in self.tracks)
        return not self.tracks or self._lost or in_doubt or self._frames_since_find >= self._config.find_interval

    def start_frame(self, image_size: tuple[int, int], stamp: float | None) -> None:
        """Move on to the next frame: boxes go on as their hands moved.

        Another image size, a stamp that lies before the last one (a bag starts again) or too long after it starts
        from nothing.
        """
        step = None if stamp is None or self._stamp is None else stamp - self._stamp
        jumped = step is not None and not 0 <= step <= self._config.max_gap_s
        if jumped or self._image_size not in (None, image_size):
            self.reset()
        self._elapsed = 1.0 if step is None or jumped else step
        self._image_size, self._stamp = image_size, stamp
        self._frames_since_find += 1
        for track in self.tracks:
            track.box_px = _ahead(track.box_px, track.velocity * self._elapsed)

    def take(self, found: Sequence[FoundHand], exact: bool = False) -> None:
        """Bring hands that somebody found together with the tracks.

        Args:
            found: best first.
            exact: the boxes are a user's: these are the hands, at these places, of these sides, and no others.
        """
        self._frames_since_find, self._lost = 0, False
        pairs = _match(self.tracks, found)
        for row in set(range(len(self.tracks))) - {row for row, _ in pairs}:
            self.tracks[row].contradictions = 0
        for track_row, found_row in pairs:
            self._update_found(self.tracks[track_row], found[found_row], exact)
        if exact:
            self.tracks = [self.tracks[row] for row, _ in pairs]
        matched = {row for _, row in pairs}
        for row, hand in enumerate(found):
            if row in matched or (not exact and self._is_known(hand.box_px)):
                continue
            if exact or len(self.tracks) < self._config.max_hands:
                grasp = GraspFilter(self._grasp)
                self.tracks.append(Track(self._next_id, hand.side, hand.box_px, grasp, hand.object_box_px))
                self._next_id += 1
        self.tracks.sort(key=lambda track: track.track_id)

    def confirm(self, track: Track, keypoints_px: FloatArray, object_box_px: Box | None) -> None:
        """A track was seen in this frame: (21, 2) keypoints and, if it holds something known, that thing's box."""
        box = Box.around(keypoints_px)
        if track.keypoints_px is not None and self._elapsed > 0:
            before = Box.around(track.keypoints_px)
            track.velocity = np.subtract(box.center, before.center) / self._elapsed
        track.box_px, track.keypoints_px, track.object_box_px = box, keypoints_px, object_box_px

    def drop(self, track: Track) -> None:
        """A track is over; if it had been seen before, the finder looks for it in the next frame."""
        self._lost = self._lost or track.keypoints_px is not None
        self.tracks.remove(track)

    def duplicates(self) -> list[Track]:
        """Tracks that are on the same hand as an older one."""
        kept: list[Track] = []
        extra: list[Track] = []
        for track in self.tracks:
            (extra if any(_same_hand(track, other) for other in kept) else kept).append(track)
        return extra

    def _update_found(self, track: Track, hand: FoundHand, exact: bool) -> None:
        disagrees = hand.side != track.side
        track.contradictions = track.contradictions + 1 if disagrees else 0
        if disagrees and (exact or track.contradictions >= self._config.side_votes):
            track.side, track.contradictions = hand.side, 0
        if exact or track.box_px.iou(hand.box_px) < RELOCATE_IOU:
            track.box_px = hand.box_px
        if track.object_box_px is None or (exact and hand.object_box_px is not None):
            track.object_box_px = hand.object_box_px

    def _is_known(self, box: Box) -> bool:
        return any(track.box_px.iou(box) > RELOCATE_IOU for track in self.tracks)


def inside_share(box: Box, image_size: tuple[int, int]) -> float:
    """Share of the pixels of a box that lie in the image of this width and height."""
    width, height = image_size
    x = min(box.x1 + 0.5, width - 0.5) - max(box.x0 - 0.5, -0.5)
    y = min(box.y1 + 0.5, height - 0.5) - max(box.y0 - 0.5, -0.5)
    return max(x, 0.0) * max(y, 0.0) / ((box.width + 1) * (box.height + 1))


def _ahead(box: Box, shift: FloatArray) -> Box:
    limit = MAX_SHIFT * max(box.width, box.height)
    x, y = np.clip(shift, -limit, limit).tolist()
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)


def _match(tracks: Sequence[Track], found: Sequence[FoundHand]) -> list[tuple[int, int]]:
    """Pairs (track, found), each at most once, the most alike first."""
    alike: list[tuple[float, int, int]] = []
    for i, track in enumerate(tracks):
        for j, hand in enumerate(found):
            iou = track.box_px.iou(hand.box_px)
            distance = _distance(track.box_px, hand.box_px)
            if iou > MATCH_IOU or distance < MATCH_DISTANCE:
                bonus = _SIDE_BONUS if hand.side == track.side else 0.0
                alike.append((iou + max(0.0, 1 - distance) + bonus, i, j))
    pairs: list[tuple[int, int]] = []
    for _, i, j in sorted(alike, key=lambda entry: (-entry[0], entry[1], entry[2])):
        if all(i != row and j != column for row, column in pairs):
            pairs.append((i, j))
    return pairs


def _distance(a: Box, b: Box) -> float:
    """Between the centres, in units of the longer side of the larger box."""
    longer = max(a.width, a.height, b.width, b.height)
    return float(np.hypot(*np.subtract(a.center, b.center))) / max(longer, 1e-6)


def _same_hand(a: Track, b: Track) -> bool:
    if a.keypoints_px is None or b.keypoints_px is None:
        return False
    mean = float(np.linalg.norm(a.keypoints_px - b.keypoints_px, axis=-1).mean())
    return mean < DUPLICATE_DISTANCE * max(b.box_px.width, b.box_px.height)
