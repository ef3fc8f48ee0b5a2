"""Which of a hand's two stories is told, of log-odds that are known."""

import numpy as np
import pytest

from prehend.pipeline.tracking.grasp_path import PEAK_S, REST_S, GraspPath, PathFit, ScoredMoment

FIT = PathFit(begin=0.0, end=0.0, again=1.0, second=1.0, begin_lead=1.0, end_lead=0.0)


def moments(odds: dict[float, tuple[float, float]], holds=lambda t: 0.0, hz: float = 15.0) -> list[ScoredMoment]:
    """Four seconds in which little is likely but the (begins, ends) log-odds at some times."""
    rows = []
    for k in range(round(4 * hz)):
        near = [pair for when, pair in odds.items() if abs(when - k / hz) < 0.5 / hz]
        rows.append(ScoredMoment(k / hz, k / hz, *(near[0] if near else (-9.0, -9.0)), holds(k / hz)))
    return rows


def told(rows: list[ScoredMoment], path: GraspPath | None = None) -> list[tuple[bool, float, float]]:
    """What begins or ends, when, and how late it is told."""
    path, out = path or GraspPath(FIT), []
    for row in rows:
        path.add(row)
        out += [(one.begins, one.moment.at_s, row.at_s - one.moment.at_s) for one in path.told()]
    return out


@pytest.mark.parametrize("hz", [5, 15, 30])
def test_a_clear_beginning_and_end_are_told_once_they_are_over(hz: float) -> None:
    (begins, at_s, late_s), (begins_too, ended_s, _) = told(moments({1.0: (3.0, -9.0), 3.0: (-9.0, 2.0)}, hz=hz))
    assert (begins, begins_too) == (True, False)
    assert (at_s, ended_s) == (pytest.approx(1.0), pytest.approx(3.0))
    assert PEAK_S <= late_s <= PEAK_S + 1 / hz + 1e-6


def test_an_onset_that_is_hard_to_see_is_told_when_what_follows_makes_it_likely() -> None:
    unsure = {1.0: (-1.0, -9.0)}
    assert told(moments(unsure)) == []
    assert told(moments(unsure, lambda t: -2.0 if t > 1 else 0.0)) == []
    ((begins, at_s, late_s),) = told(moments(unsure, lambda t: 2.0 if t > 1 else 0.0))
    assert begins and at_s == pytest.approx(1.0) and late_s == pytest.approx(1.0, abs=0.1), "2 a second make up for -1"
    slow = told(moments(unsure, lambda t: 2.0 if t > 1 else 0.0, hz=5))
    assert slow[0][2] == pytest.approx(late_s, abs=0.2), "time counts, not frames"


def test_a_grasp_that_its_end_gives_away_is_told_with_it() -> None:
    first, second = told(moments({1.0: (-1.0, -9.0), 2.0: (-9.0, 4.0)}))
    assert (first[0], second[0]) == (True, False)
    assert (first[1], second[1]) == (pytest.approx(1.0), pytest.approx(2.0))
    assert first[1] + first[2] == pytest.approx(second[1] + second[2]), "in the same moment"


def test_the_better_of_two_onsets_dates_the_grasp_and_events_stay_apart() -> None:
    near = told(moments({1.0: (2.0, -9.0), 1.0 + 2 / 15: (3.0, -9.0)}))
    assert [at_s for _, at_s, _ in near] == [pytest.approx(1.0 + 2 / 15)]
    soon = told(moments({1.0: (9.0, -9.0), 1.0 + 3 / 15: (-9.0, 9.0)}))
    assert [begins for begins, *_ in soon] == [True] and REST_S > 3 / 15


def test_what_is_known_by_other_means_is_begun_from() -> None:
    path = GraspPath(FIT)
    path.begin_anew(True)
    assert [begins for begins, *_ in told(moments({1.0: (5.0, -9.0), 2.0: (-9.0, 2.0)}), path)] == [False]
    assert not path.grasps


def test_a_beginning_that_is_denied_is_none_however_long_something_seems_held() -> None:
    rows = moments({1.0: (3.0, -9.0)}, lambda t: 4.0)
    assert [begins for begins, *_ in told(rows)] == [True]
    assert told([row._replace(begins=-np.inf) for row in rows]) == []
