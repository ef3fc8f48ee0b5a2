"""Hands followed from frame to frame: which is which, under which number, and when to call the detector."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from prehend.pipeline.crops.regions import fit_to_box, upright_region
from prehend.pipeline.detection.detect import Detections, Wanted
from prehend.pipeline.detection.schedule import Schedule
from prehend.pipeline.frames.handedness import HandednessBelief
from prehend.pipeline.frames.targets import NoHand, Target
from prehend.pipeline.frames.times import ImageClock
from prehend.pipeline.observing.object_pose import BOX_SCORE
from prehend.pipeline.observing.observe import Observation
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.tracking.association import associate, is_known, is_part, overlap, same_hand
from prehend.pipeline.tracking.filters import HandFilters
from prehend.pipeline.tracking.track import ESTABLISHED, Track
from prehend.types import FoundHand, HandEstimate, Region

RELOCATE_IOU = 0.4
"""Below this overlap with the detector's box, a track and the detector disagree about where the hand is."""

TRUSTED_SCORE = 0.8
"""A track whose crop shows a hand with this probability keeps its own box when the detector disagrees once."""

RETRY_S = 0.1
"""A hand that was not seen is looked for where it should be for this long, and in one frame at least; after that only
the detector brings it back [s]."""

SPARE = 2
"""Found hands that are looked at beyond the most that are followed: the network may say that others are none."""

MOST_TRIED = 2
"""Hands that the detector is unsure of and that are looked at, of each look, best first: each costs a run of the
network's first stage."""

Detect = Callable[[Wanted], Detections | None]
"""Looks at the frame with the detector; None where there is none."""


class Tracker:
    """All tracks. A frame is `begin`, which says where to look, and `finish`, which takes what was seen there.

    Args:
        options: how hands are followed and filtered.
        upright: crops are turned along their hands.
    """

    def __init__(self, options: EstimatorOptions, upright: bool = True):
        self._options, self._upright = options, upright
        self._next_id = 1
        self._tracks: list[Track] = []
        self._schedule = Schedule(options.find_interval_s)
        self._drops: Counter[str] = Counter()
        self._given = self._detected = self._in_vain = False
        self._times = ImageClock()
        self.reset()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Those that are followed, by number; to look at, not to write into."""
        return tuple(self._tracks)

    @property
    def drops(self) -> dict[str, int]:
        """How many hands were given up since the start, by reason: see `targets.NoHand`, and "duplicate": another
        track is on the same hand; "too_many": surer ones are as many as may be."""
        return {reason: count for reason, count in self._drops.items() if count}

    @property
    def detected(self) -> bool:
        """Whether the detector looked at this frame."""
        return self._detected

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options; hands beyond the most are given up with the next frame."""
        self._options = options
        self._schedule.use(options.find_interval_s)
        for track in self._tracks:
            track.filters.use(options)

    def reset(self) -> None:
        """Give up all tracks; their numbers are not used again."""
        self._tracks = []
        self._image_size: tuple[int, int] | None = None
        self._now_s = 0.0
        self._times.reset()
        self._schedule.reset()

    def begin(
        self, image_size: tuple[int, int], stamp: float | None, given: Sequence[FoundHand] | None, detect: Detect
    ) -> list[Target]:
        """Move on to the next frame.

        Args:
            image_size: width, height [px].
            stamp: of the image [s], None for the next of a video at 30 Hz.
            given: the hands of this frame, by a user's word; None for the tracks' and the detector's.
            detect: is called if it is time for a look of the detector.

        Returns:
            Where to look for hands in this frame.
        """
        if not self._options.tracking:
            self.reset()
        self._start_frame(image_size, stamp)
        self._given, self._detected, self._in_vain = given is not None, False, False
        if given is not None:
            self._schedule.looked()
            self._take(given, exact=True)
        elif self._schedule.is_due(self._in_view, len(self._tracks) - self._in_view):
            self._detect(detect)
        return self._targets(lambda track: track.is_wanted(RETRY_S))

    def look_again(self, detect: Detect) -> list[Target]:
        """Where else to look in this frame: after `finish`, where the hand network took nothing for a hand of what a
        normal look of the detector found, and a wide look is due.

        Args:
            detect: as of `begin`.

        Returns:
            Where the wide look sees hands; for a further `finish`.
        """
        if not self._in_vain or self._in_view or not self._schedule.wide_is_due:
            return []
        self._detect(detect, again=True)
        return self._targets(lambda track: not track.seen or track.refound)

    def finish(self, observations: Sequence[Observation | NoHand], stamp: float | None) -> list[HandEstimate]:
        """Take what was seen of each target, smooth it, and settle which tracks are hands.

        Args:
            observations: one for each target of `begin`, in any order.
            stamp: of the image [s].

        Returns:
            The hands in view, by number.
        """
        hands = [self._finish_one(seen, stamp) for seen in observations]
        if not self._given:
            self._drops["duplicate"] += len(self._merge())
            self._drops["too_many"] += len(self._limit())
        in_view = {track.track_id for track in self._tracks if not track.missed}
        kept = [hand for hand in hands if hand is not None and hand.track_id in in_view]
        return sorted(kept, key=lambda hand: hand.track_id)

    def _targets(self, wanted: Callable[[Track], bool]) -> list[Target]:
        return [track.target._replace(stamp_s=self._now_s) for track in self._tracks if wanted(track)]

    def _detect(self, detect: Detect, again: bool = False) -> None:
        wanted = Wanted(
            most=self._options.max_hands + SPARE,
            followed=bool(self._tracks),
            in_view=self._in_view > 0,
            wide=self._schedule.wide_is_due,
            again=again,
        )
        self._in_vain, detections = False, detect(wanted)
        if detections is None:
            return
        self._detected, self._in_vain = True, bool(detections.hands) and not detections.wide
        self._schedule.looked()
        if detections.wide:
            self._schedule.looked_wide()
        self._take(detections.hands, new_score=detections.new_score, further=detections.unsure)

    def _finish_one(self, seen: Observation | NoHand, stamp: float | None) -> HandEstimate | None:
        """The record of a hand, None where there is none."""
        if seen.target is None:
            return None
        track = next(one for one in self._tracks if one.track_id == seen.target.track_id)
        track.looked_for(seen.target)
        if isinstance(seen, NoHand):
            if seen.answered:
                self._check_side(track)
            if self._miss(track):
                self._drops[seen.reason] += 1
            return None
        self._check_side(track)
        hand = track.filters.estimate(seen, track.track_id, stamp)
        held = seen.held
        sure = held is not None and (held.T_camera_object is not None or held.score >= BOX_SCORE)
        object_box = held.box_px if held is not None and sure else None
        track.seen_at(seen.hand.keypoints_px, self._upright, seen.score, object_box)
        return hand

    @property
    def _in_view(self) -> int:
        """How many hands are followed and not out of sight."""
        return sum(not track.missed for track in self._tracks)

    @property
    def _has_room(self) -> bool:
        seen = sum(not track.missed and track.seen > 0 for track in self._tracks)
        return seen < self._options.max_hands and self._in_view < self._options.max_hands + SPARE

    def _start_frame(self, image_size: tuple[int, int], stamp: float | None) -> None:
        """Move on to the next frame: boxes go on as their hands moved, and hands lost for too long are forgotten.

        Another image size, a stamp that lies before the last one (a bag starts again) or too long after it starts
        from nothing. A stamp that lies just before it is jitter, or two images swapped on their way: no time passes.
        """
        elapsed = self._times.step(stamp)
        now_s = self._now_s + elapsed if stamp is None else stamp
        if not 0 <= elapsed <= self._options.max_gap_s or self._image_size not in (None, image_size):
            self.reset()
            self._times.step(stamp)
        elif self._options.tracking:
            self._times.warn_if_still()
        self._image_size, self._now_s = image_size, now_s
        self._schedule.step(elapsed)
        for track in self._tracks:
            track.start_frame(elapsed, image_size)
        kept = [track for track in self._tracks if track.lost_s <= self._options.keep_lost_s]
        if len(kept) < len(self._tracks):
            self._schedule.ask()
        self._tracks = kept

    def _take(
        self,
        found: Sequence[FoundHand],
        exact: bool = False,
        new_score: float = 0.0,
        further: Sequence[FoundHand] = (),
    ) -> None:
        """Bring hands that somebody found together with the tracks.

        Sure ones choose first; the others only bring back tracks that are left (as in ByteTrack, Zhang et al., ECCV
        2022).

        Args:
            found: best first.
            exact: the boxes are a user's: these are the hands, at these places, of these sides, and no others.
            new_score: score from which a hand may be new.
            further: ones that may be new where the hand network is sure of them.
        """
        sure = [hand for hand in found if exact or hand.score >= new_score]
        unsure = [*(hand for hand in found if not exact and hand.score < new_score), *further]
        pairs = associate(self._tracks, sure)
        taken = {row for row, _ in pairs}
        left = [track for row, track in enumerate(self._tracks) if row not in taken]
        matched = [(self._tracks[row], sure[column]) for row, column in pairs]
        again = associate(left, unsure)
        matched += [(left[row], unsure[column]) for row, column in again]
        for track, hand in matched:
            self._update_found(track, hand, exact)
        if exact:
            self._tracks = [track for track, _ in matched]
        columns = {column for _, column in pairs}
        for hand in [hand for column, hand in enumerate(sure) if column not in columns]:
            if exact or (self._has_room and not any(is_known(track, hand) for track in self._tracks)):
                self._begin(hand, exact)
        brought_back = [unsure[column] for _, column in again]
        self._try([hand for hand in further if hand not in brought_back])
        self._tracks.sort(key=lambda track: track.track_id)

    def _try(self, unsure: Sequence[FoundHand]) -> None:
        """Begin with some hands, best first, that the detector is unsure of; none that is followed gives way."""
        tried = 0
        for hand in unsure:
            if tried < MOST_TRIED and self._has_room and not any(is_known(track, hand) for track in self._tracks):
                self._begin(hand, given=False, doubted=True)
                tried += 1

    def _miss(self, track: Track) -> bool:
        """A track was looked for and not seen; one that never was is over.

        Returns:
            True for the first frame in a row.
        """
        if not track.seen:
            self._tracks.remove(track)
            return not track.doubted
        track.missed += 1
        if track.missed == 1:
            track.lost_s = 0.0
            self._schedule.ask()
        return track.missed == 1

    def _merge(self) -> list[Track]:
        """Give up tracks that are on a hand that another one knows better; when all were seen or missed.

        One that was followed for long was drawn there by a hand that hides its own: it counts as not seen, where its
        hand was to be expected. Others are over.

        Returns:
            Those that were given up in this frame.
        """
        best = sorted(
            (track for track in self._tracks if not track.missed),
            key=lambda track: (-track.standing, track.track_id),
        )
        kept: list[Track] = []
        extra: list[Track] = []
        for track in best:
            is_new = track.doubted and track.seen == 1
            again = any(same_hand(track, other) or (is_new and is_part(track, other)) for other in kept)
            (extra if again else kept).append(track)
        over = [track for track in extra if track.standing < ESTABLISHED or track.expected is None]
        self._tracks = [track for track in self._tracks if track not in over]
        hidden = [track for track in extra if track not in over]
        for track in hidden:
            track.take_back()
        return over + [track for track in hidden if track.missed == 1]

    def _limit(self) -> list[Track]:
        """Give up tracks beyond the most hands: first those that were followed for less long, then those that are less
        sure; after `_merge`.

        Returns:
            Those that were given up.
        """
        best = sorted(
            (track for track in self._tracks if not track.missed),
            key=lambda track: (-track.standing, -track.score, track.track_id),
        )
        over = best[self._options.max_hands :]
        self._tracks = [track for track in self._tracks if track not in over]
        return over

    def _check_side(self, track: Track) -> None:
        """Once the network has seen a track: one of another side than before has no past.

        If it was out of sight meanwhile, it is another hand and gets another number.
        """
        if track.shown in (None, track.side):
            return
        track.filters.forget_motion()
        if track.refound:
            track.track_id, self._next_id = self._next_id, self._next_id + 1
            track.filters.forget_all()
            self._tracks.sort(key=lambda one: one.track_id)

    def _begin(self, hand: FoundHand, given: bool, doubted: bool = False) -> None:
        lost = [track for track in self._tracks if track.missed]
        if len(self._tracks) >= self._options.max_hands and lost and not doubted:
            self._tracks.remove(max(lost, key=lambda track: track.unseen_s))
        belief = HandednessBelief(hand.side, self._options.handedness, given)
        region = self._region(hand, None)
        track = Track(self._next_id, belief, hand.box_px, region, HandFilters(self._options))
        track.object_box_px, track.doubted = hand.object_box_px, doubted
        track.undirected = self._upright and hand.region is None
        track.found = None if given else hand.score
        track.place(hand.box_px, region)
        self._anchor(track, hand, given)
        self._tracks.append(track)
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
            self._schedule.ask()
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
