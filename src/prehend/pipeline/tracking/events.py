"""What happens to hands: they come and go, take objects and let them go. Told once each, dated to when it began.

Events are made of nothing but the results of frames that follow each other, so that a recording tells the same as the
run did. Nothing is told by one frame alone: frames have to agree for `lasting_s`, from the first of them to the last.
Grasps may be told later instead, and dated to when objects begin to move with the hand (`grasp_moments`), which takes
the images as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np

from prehend.pipeline.frames.targets import Image, inside_share
from prehend.pipeline.frames.times import ImageClock
from prehend.pipeline.networks.grasp_dates import load_grasp_dates
from prehend.pipeline.networks.grasp_motion import GraspMotionNetwork, load_grasp_motion
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing.grasp import GraspConfig
from prehend.pipeline.tracking.grasp_moments import GraspMoment, GraspMoments, MomentLooks
from prehend.types import Box, EventKind, FloatArray, FrameResult, HandEstimate, HandEvent

LEAVING_S = 0.15
"""A hand that is not seen any more has left the view if the movement that it had would have taken it over the image's
border within this time, or by the first frame without it [s]."""

FORESEEN_S = 0.5
"""A movement tells for no longer than this where a hand is that is not seen any more [s]: stamps may jump."""

LEAVING_SHARE = 0.75
"""Less of its box than this is then in the image."""

AGREED_S, AGREED_SURE, AGREED_SEEN = 3.0, 0.8, -1.0
"""Where grasps are dated by movement, frames that have been so sure for so long have the last word: a hand comes into
view with what it holds, or lays it down out of sight [s], probability. Unless images say otherwise, which is the mean
log-odds of what is seen to move with the hand."""

FORGET_S = 60.0
"""A lost track that comes back after this is found anew; trackers give its number up long before [s]."""

_EPS = 1e-6


@dataclass
class _Run:
    """Frames in a row that say the same.

    Attributes:
        says: what they say.
        stamp: of the first one [s].
        began_s: the same on the teller's own clock.
    """

    says: bool | str
    stamp: float | None
    began_s: float


@dataclass
class _Known:
    """One track.

    Attributes:
        hand: as it was last seen.
        seen_s: when that was.
        view: frames in which it is there, or is not.
        velocity: (2,) of its box's middle [px/s].
        told_view: whether it was told to be there; None before it was.
        grasping: whether it was told to grasp.
        object_id: what it was told to hold.
        object_run: frames that say it holds something else.
        leaving: it was about to leave the view when it was last seen.
        moments: when grasps begin and end, where they are dated by movement.
        grasp_run: frames that say otherwise than was told of its grasp, in the same case.
    """

    hand: HandEstimate
    seen_s: float
    view: _Run
    velocity: FloatArray
    told_view: bool | None = None
    grasping: bool = False
    object_id: str = ""
    object_run: _Run | None = None
    leaving: bool = False
    moments: GraspMoments = field(default_factory=GraspMoments)
    grasp_run: _Run | None = None


class EventTeller:
    """The events of one camera's frames, which come in one after the other.

    Args:
        lasting_s: how long frames have to agree before a hand counts as found, lost or regained, or what it holds as
            another object; when a grasp begins and ends is decided before (`GraspFilter`) [s].
        moved: grasps are dated by the hand's movement, and told later.
        motion: in that case, what tells of images what moves with a hand; None where no images come.
    """

    def __init__(
        self,
        lasting_s: float = GraspConfig().lasting_s,
        moved: bool = False,
        motion: GraspMotionNetwork | None = None,
    ):
        self._lasting_s, self._moved, self._motion = lasting_s, moved, motion
        self._dates = load_grasp_dates() if moved else None
        self.reset()

    def reset(self) -> None:
        """Forget all hands without telling that they are gone."""
        self._known: dict[int, _Known] = {}
        self._now_s, self._looks = 0.0, MomentLooks()
        self._times = ImageClock()
        self._stamp: float | None = None

    def step(
        self, hands: Sequence[HandEstimate], size: tuple[int, int], stamp: float | None, image: Image | None = None
    ) -> tuple[HandEvent, ...]:
        """Take in the next frame.

        Args:
            hands: in it; those that coast are not seen.
            size: of its image, width and height [px].
            stamp: of its image [s]; without one frames follow each other at 30 Hz. One that goes back takes no time.
            image: (H, W, 3) uint8 RGB, which says whether the camera moves; without one it is taken to stand still.

        Returns:
            What is told with this frame, by track.
        """
        self._now_s += max(self._times.step(stamp), 0.0)
        self._stamp = stamp
        seen = {hand.track_id: hand for hand in hands if hand.state == "tracked"}
        for hand in seen.values():
            self._see(hand)
        if self._moved:
            self._look(seen, image)
        events: list[HandEvent] = []
        for number, known in sorted(self._known.items()):
            if number not in seen:
                self._miss(known, size)
            events += self._view_events(known)
            if number in seen and known.told_view:
                events += self._grasp_events(known)
        self._known = {number: known for number, known in self._known.items() if self._is_kept(known)}
        return tuple(events)

    def _see(self, hand: HandEstimate) -> None:
        known = self._known.get(hand.track_id)
        if known is None:
            view = _Run(True, self._stamp, self._now_s)
            moments = GraspMoments(self._dates, self._motion)
            self._known[hand.track_id] = _Known(hand, self._now_s, view, np.zeros(2), moments=moments)
            return
        if known.view.says is False:
            known.view, known.velocity = _Run(True, self._stamp, self._now_s), np.zeros(2)
        elif self._now_s > known.seen_s:
            way = np.array(hand.box_px.center) - np.array(known.hand.box_px.center)
            known.velocity = way / (self._now_s - known.seen_s)
        known.hand, known.seen_s = hand, self._now_s

    def _look(self, seen: dict[int, HandEstimate], image: Image | None) -> None:
        """What dates grasps: where hands are, against what stands still."""
        look = self._looks.step(self._now_s, image, [hand.box_px for hand in seen.values()])
        if look is None:
            return
        for number, known in self._known.items():
            known.moments.look(look, seen.get(number), self._now_s, self._stamp)

    def _miss(self, known: _Known, size: tuple[int, int]) -> None:
        """A track is not in this frame."""
        if known.view.says is False:
            return
        ahead_s = min(max(LEAVING_S, self._now_s - known.seen_s), FORESEEN_S)
        known.leaving = inside_share(_moved(known.hand.box_px, known.velocity * ahead_s), size) < LEAVING_SHARE
        known.view = _Run(False, self._stamp, self._now_s)

    def _view_events(self, known: _Known) -> list[HandEvent]:
        says = bool(known.view.says)
        if says == bool(known.told_view) or not self._lasts(known.view):
            return []
        kind: EventKind = "regained" if known.told_view is False else "found"
        if not says:
            kind = "left_view" if known.leaving else "lost"
        known.told_view = says
        return [self._event(kind, known.hand, known.view.stamp, known.view.began_s, known.hand.score if says else nan)]

    def _grasp_events(self, known: _Known) -> list[HandEvent]:
        hand = known.hand
        held = "" if hand.held_object is None else hand.held_object.object_id
        if self._moved:
            return self._moved_events(known, held)
        grasp, since = hand.grasp, self._stamp if hand.grasp.since is None else hand.grasp.since
        if grasp.state == "grasping" and not known.grasping:
            known.grasping, known.object_id, known.object_run = True, held, None
            return [self._event("grasped", hand, since, self._now_s, grasp.probability, held)]
        if grasp.state == "not_grasping" and known.grasping:
            told, known.grasping, known.object_id = known.object_id, False, ""
            return [self._event("released", hand, since, self._now_s, 1 - grasp.probability, told)]
        return self._object_events(known, held) if known.grasping and held else []

    def _moved_events(self, known: _Known, held: str) -> list[HandEvent]:
        """As `_grasp_events`, dated by movement."""
        moments = known.moments.told(known.grasping) or self._agreed(known)
        if not moments:
            return self._object_events(known, held) if known.grasping and held else []
        return [self._moment_event(known, moment, held) for moment in moments]

    def _moment_event(self, known: _Known, moment: GraspMoment, held: str) -> HandEvent:
        told, known.grasping, known.object_run = known.object_id, moment.begins, None
        known.object_id = held if moment.begins else ""
        kind: EventKind = "grasped" if moment.begins else "released"
        named = held if moment.begins else told
        return self._event(kind, known.hand, moment.stamp, moment.at_s, moment.confidence, named)

    def _agreed(self, known: _Known) -> tuple[GraspMoment, ...]:
        """What frames have said for so long that no movement is waited for."""
        grasp = known.hand.grasp
        grasps = grasp.state == "grasping"
        sure = grasp.probability if grasps else 1 - grasp.probability
        if grasp.state == "unknown" or grasps == known.grasping or not sure >= AGREED_SURE:
            known.grasp_run = None
            return ()
        if known.grasp_run is None or known.grasp_run.says != grasp.state:
            known.grasp_run = _Run(grasp.state, self._stamp, self._now_s)
        seen = known.moments.seen_to_hold() * (1 if grasps else -1)
        if self._now_s - known.grasp_run.began_s < AGREED_S - _EPS or seen < AGREED_SEEN:
            return ()
        return (GraspMoment(grasps, known.grasp_run.stamp, known.grasp_run.began_s, sure),)

    def _object_events(self, known: _Known, held: str) -> list[HandEvent]:
        if held == known.object_id:
            known.object_run = None
            return []
        if known.object_run is None or known.object_run.says != held:
            known.object_run = _Run(held, self._stamp, self._now_s)
        run = known.object_run
        if not self._lasts(run):
            return []
        known.object_id, known.object_run = held, None
        score = nan if known.hand.held_object is None else known.hand.held_object.score
        return [self._event("object_changed", known.hand, run.stamp, run.began_s, score, held)]

    def _lasts(self, run: _Run) -> bool:
        return self._now_s - run.began_s >= self._lasting_s - _EPS

    def _is_kept(self, known: _Known) -> bool:
        if known.view.says:
            return True
        return known.told_view is not None and self._now_s - known.seen_s <= FORGET_S

    def _event(
        self,
        kind: EventKind,
        hand: HandEstimate,
        stamp: float | None,
        began_s: float,
        confidence: float,
        held: str = "",
    ) -> HandEvent:
        late = self._now_s - began_s if stamp is None or self._stamp is None else max(self._stamp - stamp, 0.0)
        return HandEvent(kind, hand.track_id, hand.side, stamp, late, float(confidence), held)


def event_teller(options: EstimatorOptions) -> EventTeller:
    """What tells of events by some options.

    Raises:
        AssetError: the weights that watch hands are damaged.
    """
    moved = options.grasp_events == "moved"
    return EventTeller(options.grasp.lasting_s, moved, load_grasp_motion() if moved else None)


def told_or_made(results: Sequence[FrameResult]) -> list[tuple[HandEvent, ...]]:
    """The events of frames that follow each other, frame by frame: those that were told, or, of files that are older
    than events, `events_of`."""
    told = [result.events for result in results]
    return told if any(told) else events_of(results)


def events_of(results: Iterable[FrameResult]) -> list[tuple[HandEvent, ...]]:
    """The events of frames that follow each other, frame by frame, as an estimator told them at once or would have."""
    teller = EventTeller()
    return [teller.step(result.hands, (result.camera.width, result.camera.height), result.stamp) for result in results]


def _moved(box: Box, shift: FloatArray) -> Box:
    x, y = shift.tolist()
    return Box(box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y)
