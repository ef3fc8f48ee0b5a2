"""Grasps over time: what was said beside what is true, and how late a beginning or an end was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prehend.conventions import Side
from prehend.eval.answers import Answered
from prehend.eval.judge.motion import channels, spread, times_of
from prehend.eval.judge.rows import Row
from prehend.eval.metrics import classification
from prehend.eval.truth.records import TrueFrame

MATCH_S = 1.0
"""A beginning or end that was told belongs to a true one that is not farther away than this."""


@dataclass(frozen=True)
class Series:
    """Whether one hand, or any, grasps, frame by frame.

    Attributes:
        who: the hand: a side, its number, or "any".
        places: of the frames.
        true, said: at each.
    """

    who: str
    places: tuple[int, ...]
    true: tuple[bool, ...]
    said: tuple[bool, ...]


def series_of(frames: Sequence[Answered], truth: Sequence[TrueFrame | None], rows: Sequence[Row]) -> list[Series]:
    """One series for each hand whose grasp is known, and one for each kind of marks."""
    found = []
    for who, labelled in channels(rows).items():
        known = [row for row in labelled if row.grasp is not None]
        if known:
            found.append(
                Series(
                    who,
                    tuple(row.frame for row in known),
                    tuple(bool(row.grasp) for row in known),
                    tuple(bool(row.said_grasp) for row in known),
                )
            )
    sides = list(dict.fromkeys(mark.side for known in truth if known for mark in known.marks))
    return found + [_of_marks(frames, truth, side) for side in sides]


def grasp_measures(frames: Sequence[Answered], series: Sequence[Series]) -> dict[str, Any] | None:
    """Accuracy, precision, recall and F1 over all frames in which a grasp is known (shares), and for each beginning
    and end how late it was told [s]; None where nothing is known."""
    if not series:
        return None
    times = times_of(frames)
    true = np.array([value for one in series for value in one.true])
    said = np.array([value for one in series for value in one.said])
    told = {name: None if value is None else round(value, 4) for name, value in classification(true, said).items()}
    return {
        "frames": len(true),
        **told,
        "begins": _edges(series, times, True),
        "ends": _edges(series, times, False),
    }


def _of_marks(frames: Sequence[Answered], truth: Sequence[TrueFrame | None], side: Side | None) -> Series:
    places, true, said = [], [], []
    for place, (frame, known) in enumerate(zip(frames, truth, strict=True)):
        mark = next((mark for mark in known.marks if mark.side == side), None) if known else None
        if mark is None:
            continue
        places.append(place)
        true.append(mark.grasp)
        said.append(
            any(hand.grasp.state == "grasping" for hand in frame.result.hands if side is None or hand.side == side)
        )
    return Series(side or "any", tuple(places), tuple(true), tuple(said))


def _edges(series: Sequence[Series], times: Sequence[float], rising: bool) -> dict[str, Any]:
    delays: list[float] = []
    missed = false = total = 0
    for one in series:
        true, said = (_changes(one.places, values, rising) for values in (one.true, one.said))
        pairs = _pairs([times[place] for place in true], [times[place] for place in said])
        delays += pairs
        total += len(true)
        missed += len(true) - len(pairs)
        false += len(said) - len(pairs)
    return {"true": total, "told": total - missed, "missed": missed, "false": false, "delay_s": spread(delays, 3)}


def _changes(places: Sequence[int], values: Sequence[bool], rising: bool) -> list[int]:
    """Places at which a value becomes `rising` after it was not."""
    return [
        place
        for place, before, now in zip(places[1:], values, values[1:], strict=False)
        if now == rising and before != rising
    ]


def _pairs(true_s: Sequence[float], said_s: Sequence[float]) -> list[float]:
    """How late each true change was told, the nearest pair first, each at most once."""
    near = sorted(
        (abs(said - true), i, j)
        for i, true in enumerate(true_s)
        for j, said in enumerate(said_s)
        if abs(said - true) <= MATCH_S
    )
    taken: dict[int, int] = {}
    for _, i, j in near:
        if i not in taken and j not in taken.values():
            taken[i] = j
    return [said_s[j] - true_s[i] for i, j in sorted(taken.items())]
