"""Hands followed from frame to frame: which is which, under which number, and when to call the finder."""

from collections.abc import Sequence

import numpy as np

from prehend.pipeline.association import is_known, match, overlap, same_hand
from prehend.pipeline.border import BorderDepth
from prehend.pipeline.grasp import GraspConfig, GraspFilter
from prehend.pipeline.handedness import SideBelief, SideConfig
from prehend.pipeline.held import HeldSmoother
from prehend.pipeline.regions import fit_to_box, upright_region
from prehend.pipeline.schedule import Schedule
from prehend.pipeline.smooth import HandSmoother, SmoothConfig
from prehend.pipeline.track import FRAME_S, Track, TrackConfig
from prehend.types import Box, FloatArray, FoundHand, Region

RELOCATE_IOU = 0.4
"""Below this overlap with the finder's box, a track and the finder disagree about where the hand is."""

TRUSTED_SCORE = 0.8
"""A track whose crop shows a hand with this probability keeps its own box when the finder disagrees once."""

RETRY_S = 0.1
"""A hand that was not seen is looked for where it should be for this long, and in one frame at least; after that only
the detector brings it back [s]."""

SPARE = 2
"""Found hands that are looked at beyond the most that are followed: the network may say that others are none."""

ESTABLISHED = 10
"""Frames after which a track is as good as one that was seen for longer."""


SWAPPED_FRAMES, SWAPPED_S = 2.0, 0.5
"""Images whose stamps go back by no more than so many intervals, and so many seconds, came in the wrong order."""


class Tracker:
    """All tracks.

    A frame goes: `start_frame`, `take` if somebody looked, `confirm` or `miss` each of `wanted`, `merge`.

    Args:
        config: how hands are followed.
        grasp, side, smooth: what each hand's filters are made with.
        upright: crops are turned along their hands.
    """

    def __init__(
        self,
        config: TrackConfig,
        grasp: GraspConfig,
        side: SideConfig | None = None,
        smooth: SmoothConfig | None = None,
        upright: bool = True,
    ):
        self._config, self._grasp, self._upright = config, grasp, upright
        self._side, self._smooth = side or SideConfig(), smooth or SmoothConfig()
        self._next_id = 1
        self.tracks: list[Track] = []
        self.schedule = Schedule(config.find_interval_s)
        self.reset()

    def reset(self) -> None:
        """Give up all tracks; their numbers are not used again."""
        self.tracks = []
        self._image_size: tuple[int, int] | None = None
        self._stamp: float | None = None
        self._interval_s = FRAME_S
        self.schedule.reset()

    @property
    def wants_finder(self) -> bool:
        """Whether the detector should look at this frame: nothing in view, a hand lost or misplaced, time is up."""
        return self.schedule.is_due(self.in_view, len(self.tracks) - self.in_view)

    @property
    def in_view(self) -> int:
        """How many hands are followed and not out of sight."""
        return sum(not track.missed for track in self.tracks)

    @property
    def candidates(self) -> int:
        """How many hands the detector may give: some of them will be none."""
        return self._config.max_hands + SPARE

    @property
    def _has_room(self) -> bool:
        seen = sum(not track.missed and track.seen > 0 for track in self.tracks)
        return seen < self._config.max_hands and self.in_view < self.candidates

    @property
    def wanted(self) -> list[Track]:
        """Tracks to look at in this frame."""
        return [track for track in self.tracks if track.missed <= 1 or track.lost_s <= RETRY_S or track.refound]

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
        self.schedule.step(elapsed)
        for track in self.tracks:
            track.start_frame(elapsed, image_size)
        kept = [track for track in self.tracks if track.lost_s <= self._config.keep_lost_s]
        if len(kept) < len(self.tracks):
            self.schedule.ask()
        self.tracks = kept

    def take(self, found: Sequence[FoundHand], exact: bool = False, new_score: float = 0.0) -> None:
        """Bring hands that somebody found together with the tracks.

        Sure ones choose first; the others only bring back tracks that are left (as in ByteTrack, Zhang et al., ECCV
        2022).

        Args:
            found: best first.
            exact: the boxes are a user's: these are the hands, at these places, of these sides, and no others.
            new_score: score from which a hand may be new.
        """
        self.schedule.looked()
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
            if exact or (self._has_room and not any(is_known(track, hand) for track in self.tracks)):
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
        track.seen_at(keypoints_px, self._upright)
        track.object_box_px, track.score = object_box_px, score
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
        if track.missed == 1:
            track.lost_s = 0.0
            self.schedule.ask()
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
            track.take_back()
        return over + [track for track in hidden if track.missed == 1]

    def limit(self) -> list[Track]:
        """Give up tracks beyond the most hands: first those that were followed for less long, then those that are less
        sure; call it after `merge`.

        Returns:
            Those that were given up.
        """
        best = sorted(
            (track for track in self.tracks if not track.missed),
            key=lambda track: (-min(track.seen, ESTABLISHED), -track.score, track.track_id),
        )
        over = best[self._config.max_hands :]
        self.tracks = [track for track in self.tracks if track not in over]
        return over

    def check_side(self, track: Track) -> None:
        """Call it once the network has seen a track: one of another side than before has no past.

        If it was out of sight meanwhile, it is another hand and gets another number.
        """
        if track.shown in (None, track.side):
            return
        track.forget_motion()
        if track.refound:
            track.track_id, self._next_id = self._next_id, self._next_id + 1
            track.grasp, track.depth = GraspFilter(self._grasp), BorderDepth()
            self.tracks.sort(key=lambda one: one.track_id)

    def _begin(self, hand: FoundHand, given: bool) -> None:
        lost = [track for track in self.tracks if track.missed]
        if len(self.tracks) >= self._config.max_hands and lost:
            self.tracks.remove(max(lost, key=lambda track: track.unseen_s))
        belief = SideBelief(hand.side, self._side, given)
        smoother, held = HandSmoother(self._smooth), HeldSmoother(self._smooth)
        region = self._region(hand, None)
        track = Track(self._next_id, belief, hand.box_px, region, GraspFilter(self._grasp), smoother, held)
        track.object_box_px = hand.object_box_px
        track.place(hand.box_px, region)
        self._anchor(track, hand, given)
        self.tracks.append(track)
        self._next_id += 1

    def _update_found(self, track: Track, hand: FoundHand, exact: bool) -> None:
        if track.missed:
            track.refound, track.velocity = True, np.zeros(2)
            if track.lost_s > RETRY_S:
                track.belief.reopen()
        if exact and hand.side is not None:
            track.belief.tell(hand.side)
        else:
            track.belief.found(hand.side)
        elsewhere = overlap(track, hand) < RELOCATE_IOU
        track.doubts = track.doubts + 1 if elsewhere else 0
        if exact or (elsewhere and (track.missed or track.score < TRUSTED_SCORE or track.doubts > 1)):
            track.place(hand.box_px, self._region(hand, track))
            self._anchor(track, hand, exact)
        if track.doubts == 1:
            self.schedule.ask()
        if track.object_box_px is None or (exact and hand.object_box_px is not None):
            track.object_box_px = hand.object_box_px

    def _region(self, hand: FoundHand, track: Track | None) -> Region:
        """Where to cut a hand that somebody found: as they say, or as its joints lay in the last frame."""
        if hand.region is not None and self._upright:
            return hand.region
        if not self._upright or track is None or track.keypoints_px is None:
            return Region.of_box(hand.box_px)
        return upright_region(fit_to_box(track.keypoints_px, hand.box_px), track.region.turn_rad)

    def _anchor(self, track: Track, hand: FoundHand, given: bool) -> None:
        """Keep a user's box, to which joints are fitted, unless it ends at the border, which may have cut it."""
        width, height = self._image_size or (0, 0)
        box = hand.box_px
        inside = box.x0 > 0 and box.y0 > 0 and box.x1 < width - 1 and box.y1 < height - 1
        track.given_px = box if given and inside and hand.region is None else None
