"""Events of a run, as `prehend.pipeline.tracking.events` tells them, beside the true grasps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prehend.eval.answers import Answered
from prehend.eval.judge.grasps import Series
from prehend.eval.judge.motion import is_sequence, times_of
from prehend.pipeline.tracking.events import told_or_made
from prehend.types import HandEvent


@dataclass(frozen=True)
class Happening:
    """Something that happened.

    Attributes:
        frame: place of the frame in which it began, among the run's frames.
        what: see `HandEvent.kind`; of the truth "true_grasped", "true_released".
        track_id: 0 for what is of the truth.
        who: side of the hand, or who is meant by the truth.
        detail: what is held.
        late_s: time from then until it was told [s]; NaN for what is of the truth.
        confidence: 0..1, NaN where none is told.
    """

    frame: int
    what: str
    track_id: int
    who: str
    detail: str = ""
    late_s: float = float("nan")
    confidence: float = float("nan")


def happenings(frames: Sequence[Answered], series: Sequence[Series]) -> list[Happening]:
    """All events of frames that follow each other, in order; none of unrelated images."""
    if not is_sequence(frames):
        return []
    times = times_of(frames)
    found = [
        _told(event, place, times)
        for place, events in enumerate(told_or_made([frame.result for frame in frames]))
        for event in events
    ]
    for one in series:
        for (_, before), (place, now) in pairwise(zip(one.places, one.true, strict=True)):
            if now != before:
                found.append(Happening(place, f"true_{'grasped' if now else 'released'}", 0, one.who))
    return sorted(found, key=lambda event: (event.frame, event.track_id))


def _told(event: HandEvent, place: int, times: Sequence[float]) -> Happening:
    """An event at the frame in which it began: that nearest to its onset, of those up to where it was told."""
    onset_s = times[place] - event.late_s
    began = min(range(place + 1), key=lambda earlier: (abs(times[earlier] - onset_s), -earlier))
    return Happening(began, event.kind, event.track_id, event.side, event.object_id, event.late_s, event.confidence)
