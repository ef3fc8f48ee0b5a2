import numpy as np
import pytest

from prehend.pipeline.detection.schedule import LOST_S, WIDE_S, Schedule


def looks(schedule: Schedule, hz: float, seconds: float, in_view: int = 1, lost: int = 0) -> list[float]:
    """Times of the looks [s]."""
    times = []
    for k in range(round(seconds * hz)):
        schedule.step(1 / hz)
        if schedule.is_due(in_view, lost):
            times.append(k / hz)
            schedule.looked()
    return times


@pytest.mark.parametrize("hz", [5, 10, 15, 30, 60, 120])
@pytest.mark.parametrize("interval", [0.1, 1 / 3, 1.0])
def test_looks_are_as_far_apart_in_seconds_at_any_rate(hz: float, interval: float) -> None:
    times = looks(Schedule(interval), hz, 10)
    assert times[0] == 0
    gaps = np.diff(times)
    assert np.abs(gaps - max(interval, 1 / hz)).max() <= 0.5 / hz + 1e-9


@pytest.mark.parametrize("hz", [5, 15, 30])
def test_while_a_hand_is_lost_it_looks_more_often(hz: float) -> None:
    times = looks(Schedule(1.0), hz, 2, in_view=1, lost=1)
    assert np.diff(times).max() <= max(LOST_S, 1 / hz) + 1e-9


def test_with_nothing_in_view_it_looks_at_every_frame() -> None:
    assert len(looks(Schedule(1.0), 30, 1, in_view=0)) == 30


def test_asked_it_looks_at_once_and_once() -> None:
    schedule = Schedule(1.0)
    looks(schedule, 30, 0.2)
    schedule.ask()
    assert len(looks(schedule, 30, 0.5)) == 1


@pytest.mark.parametrize("hz", [5, 30, 60])
def test_wide_looks_are_rare_and_the_first_is_at_once(hz: float) -> None:
    schedule, times = Schedule(0.3), []
    for k in range(round(4 * hz)):
        schedule.step(1 / hz)
        if schedule.wide_is_due:
            schedule.looked_wide()
            times.append(k / hz)
    assert times[0] == 0
    assert np.diff(times).min() >= WIDE_S - 0.5 / hz - 1e-9
    schedule.reset()
    assert schedule.wide_is_due
