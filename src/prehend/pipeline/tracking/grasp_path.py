"""Whether a hand holds something by now, and since when: what its last seconds tell best.

Two stories compete, one that ends with something in the hand and one that ends with nothing (Viterbi's algorithm,
IEEE Trans. Information Theory, 1967). A moment's log-odds that a grasp began, or ended, there are what a change is
worth; between changes the log-odds that the hand holds something speak for one story or the other. So an onset that
is hard to see is told as well, only later, once what follows makes it likely.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PEAK_S, REST_S = 0.15, 0.3
"""What is told has happened so long before the last moment that is known; events of a hand are farther apart [s]."""

LIMIT, MOST_S = 4.0, 0.2
"""Log-odds of holding count for no more than this, and for no longer than this between two moments [s]."""

_EPS = 1e-6


class PathFit(NamedTuple):
    """What `grasp_path` weighs changes by, all in log-odds.

    Attributes:
        begin, end: what it costs that a grasp begins, and that it ends. again: what more a second change costs
            before the first was told.
        second: what a second of holding counts, for each of its log-odds.
        begin_lead, end_lead: by how much the better story has to lead before a beginning, and an end, is told.
    """

    begin: float
    end: float
    again: float
    second: float
    begin_lead: float
    end_lead: float


PATH = PathFit(0.0, 0.0, 1.0, 1.0, 1.0, 1.0)
"""What `prehend-train events --fit` found on rendered films (docs/TIME.md)."""


class ScoredMoment(NamedTuple):
    """A moment of a hand.

    Attributes:
        at_s: when, on the teller's clock [s]. stamp: of its frame [s], None without stamps.
        begins, ends, holds: log-odds that a grasp begins or ends there, and that something is held.
    """

    at_s: float
    stamp: float | None
    begins: float
    ends: float
    holds: float


class Change(NamedTuple):
    """A grasp that begins, or ends, at a moment; its log-odds there."""

    begins: bool
    moment: ScoredMoment
    log_odds: float


@dataclass(frozen=True)
class _Story:
    """How likely it is (log-odds), when something last changed [s], and changes that were not told yet."""

    odds: float = 0.0
    changed_s: float = -np.inf
    untold: tuple[Change, ...] = ()


class GraspPath:
    """The two stories of one hand.

    Args:
        fit: what changes cost, and by how much a story has to be better before it is told.
    """

    def __init__(self, fit: PathFit = PATH):
        self._fit, self._changed_s = fit, -np.inf
        self.begin_anew(False)

    @property
    def grasps(self) -> bool:
        """What was told last."""
        return self._grasps

    def begin_anew(self, grasps: bool) -> None:
        """Forget moments; whether the hand holds something is known by other means."""
        self._grasps = grasps
        self._last_s: float | None = None
        self._stories: dict[bool, _Story | None] = {grasps: _Story(0.0, self._changed_s), not grasps: None}

    def add(self, moment: ScoredMoment) -> None:
        """Take in the next moment, later than those before."""
        elapsed = 0.0 if self._last_s is None else min(moment.at_s - self._last_s, MOST_S)
        self._last_s = moment.at_s
        before = self._stories
        self._stories = {holds: self._next(before[holds], before[not holds], holds, moment) for holds in (False, True)}
        held = self._stories[True]
        if held is not None:
            gain = float(np.clip(moment.holds, -LIMIT, LIMIT)) * self._fit.second * elapsed
            self._stories[True] = _Story(held.odds + gain, held.changed_s, held.untold)

    def told(self) -> tuple[Change, ...]:
        """What has become clear with the last moment: nothing, one change, or two that were not seen at once."""
        for holds, story in self._stories.items():
            if story is None or not story.untold or self._last_s is None:
                continue
            other, margin = self._stories[not holds], self._fit.begin_lead if holds else self._fit.end_lead
            is_clear = other is None or story.odds > other.odds + margin
            if is_clear and self._last_s - story.changed_s >= PEAK_S - _EPS:
                self._grasps, self._changed_s = holds, story.changed_s
                self._stories = {holds: _Story(0.0, story.changed_s), not holds: None}
                return story.untold
        return ()

    def _next(self, stay: _Story | None, other: _Story | None, holds: bool, moment: ScoredMoment) -> _Story | None:
        """The better way to a state: to stay in it, or to come from the other one."""
        if other is None or moment.at_s <= other.changed_s + REST_S:
            return stay
        change = Change(holds, moment, moment.begins if holds else moment.ends)
        cost = (self._fit.begin if holds else self._fit.end) + (self._fit.again if other.untold else 0.0)
        odds = other.odds + change.log_odds - cost
        if stay is not None and odds <= stay.odds:
            return stay
        return _Story(odds, moment.at_s, (*other.untold, change))
