"""Events of a run: hands that come, go and are taken for the other one, grasps that begin and end."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prehend.eval.answers import Answered
from prehend.eval.judge.grasps import Series
from prehend.eval.judge.motion import is_sequence
from prehend.types import HandEstimate


@dataclass(frozen=True)
class Happening:
    """Something that happened at a frame.

    Attributes:
        frame: its place among the run's frames.
        what: "appeared", "lost", "returned", "gone", "side_changed", "grasp_began", "grasp_ended"; of the truth
            "true_grasp_began", "true_grasp_ended".
        track_id: 0 for what is of the truth.
        who: side of the hand, or who is meant by the truth.
        detail: what is held, or the side it was before.
    """

    frame: int
    what: str
    track_id: int
    who: str
    detail: str = ""


def happenings(frames: Sequence[Answered], series: Sequence[Series]) -> list[Happening]:
    """All events of frames that follow each other, in order; none of unrelated images."""
    if not is_sequence(frames):
        return []
    found: list[Happening] = []
    tracks: dict[int, list[tuple[int, HandEstimate]]] = {}
    for place, frame in enumerate(frames):
        for hand in frame.result.hands:
            tracks.setdefault(hand.track_id, []).append((place, hand))
    for seen in tracks.values():
        found += _of_track(seen, len(frames))
    for one in series:
        for (_, before), (place, now) in pairwise(zip(one.places, one.true, strict=True)):
            if now != before:
                found.append(Happening(place, f"true_grasp_{'began' if now else 'ended'}", 0, one.who))
    return sorted(found, key=lambda event: (event.frame, event.track_id, event.what))


def _of_track(seen: Sequence[tuple[int, HandEstimate]], count: int) -> list[Happening]:
    first, hand = seen[0]
    found = [Happening(first, "appeared", hand.track_id, hand.side)]
    if hand.grasp.state == "grasping":
        found.append(Happening(first, "grasp_began", hand.track_id, hand.side, _held(hand)))
    state = hand.grasp.state
    for (earlier, before), (place, now) in pairwise(seen):
        if place - earlier > 1:
            found.append(Happening(earlier + 1, "lost", now.track_id, before.side))
            found.append(Happening(place, "returned", now.track_id, now.side))
        if now.side != before.side:
            found.append(Happening(place, "side_changed", now.track_id, now.side, f"was {before.side}"))
        if now.grasp.state == "grasping" and state != "grasping":
            found.append(Happening(place, "grasp_began", now.track_id, now.side, _held(now)))
        elif now.grasp.state == "not_grasping" and state == "grasping":
            found.append(Happening(place, "grasp_ended", now.track_id, now.side))
        state = now.grasp.state if now.grasp.state != "unknown" else state
    last, hand = seen[-1]
    if last + 1 < count:
        found.append(Happening(last + 1, "gone", hand.track_id, hand.side))
    return found


def _held(hand: HandEstimate) -> str:
    return "" if hand.held_object is None else hand.held_object.object_id
