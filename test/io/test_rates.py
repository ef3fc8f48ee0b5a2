"""Clocks of films and rates of their frames: laws over stamps as recorders write them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.io.films.times import FilmTime
from prehend.io.rates import LONGEST_RATE_HZ, believed_rate, measured_rate

few = settings(max_examples=40, deadline=None, derandomize=True)
rates = st.floats(1, 240)


def stamps(rate, count=12, start=100.0):
    return (start + np.arange(count) / rate).tolist()


@few
@given(rates, st.floats(-1e4, 1e9))
def test_an_even_clock_has_its_rate_wherever_it_starts(rate, start):
    assert measured_rate(stamps(rate, start=start)) == pytest.approx(rate, rel=1e-3 + 1e-6 * rate * abs(start) / 1e6)


@few
@given(rates, st.randoms(use_true_random=False))
def test_order_and_lost_frames_are_no_matter(rate, random):
    times = stamps(rate, 30)
    shuffled = list(times)
    random.shuffle(shuffled)
    assert measured_rate(shuffled) == pytest.approx(measured_rate(times))
    assert measured_rate([time for k, time in enumerate(times) if k % 10]) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("times", [[], [1.0], [1.0, 1.0], [float("nan"), 2.0], [float("inf"), 1.0]])
def test_stamps_that_tell_no_rate_give_none(times):
    assert measured_rate(times) is None and believed_rate(None, times) is None
    assert believed_rate(30.0, times) == 30.0, "the claim is all there is"


@pytest.mark.parametrize(
    ("claim", "real", "believed"),
    [
        (30.0, 30.0, 30.0),
        (29.97, 30.0, 29.97),
        (30.0, 25.0, 25.0),
        (None, 25.0, 25.0),
        (0.0, 25.0, 25.0),
        (-5.0, 25.0, 25.0),
        (float("nan"), 25.0, 25.0),
        (LONGEST_RATE_HZ, 25.0, 25.0),
        (float("inf"), 25.0, 25.0),
    ],
)
def test_a_claim_is_believed_where_the_stamps_bear_it_out(claim, real, believed):
    assert believed_rate(claim, stamps(real)) == pytest.approx(believed)


def test_a_claim_that_holds_in_the_mean_is_believed_although_frames_come_in_pairs():
    times = [k / 30 + (0.015 if k % 2 else 0.0) for k in range(21)]
    assert believed_rate(30.0, times) == 30.0


def shown(times, fps=30.0):
    clock = FilmTime(fps)
    return [clock.due(time) for time in times]


@few
@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e5)), max_size=30), st.floats(1, 120))
def test_a_film_never_goes_back_and_begins_at_nothing(times, fps):
    due = [time for time in shown(times, fps) if time is not None]
    assert not due or due[0] == 0
    assert all(b > a for a, b in pairwise(due))


@few
@given(rates, st.floats(-1e4, 1e6))
def test_a_film_keeps_the_times_of_an_even_clock(rate, start):
    times = stamps(rate, 20, start)
    np.testing.assert_allclose(shown(times), np.array(times) - times[0], atol=1e-6)


@pytest.mark.parametrize("fps", [10.0, 60.0])
def test_images_without_times_follow_at_the_films_rate(fps):
    np.testing.assert_allclose(shown([None] * 5, fps), np.arange(5) / fps)


def test_a_long_pause_is_shortened_and_a_short_one_kept():
    assert shown([0.0, 50.0, 50.1])[1:] == pytest.approx([50.0, 50.1])
    assert shown([0.0, 500.0, 500.1])[1:] == pytest.approx([1 / 30, 1 / 30 + 0.1])


def test_a_bag_that_plays_again_goes_on_and_late_images_are_left_out():
    due = shown([0.0, 0.1, 20.0, 0.0, 0.1])
    assert due[3] == pytest.approx(20 + 1 / 30) and due[4] == pytest.approx(due[3] + 0.1)
    assert shown([0.0, 1.0, 0.5, 1.1])[2] is None and shown([0.0, 1.0, 0.5, 1.1])[3] == pytest.approx(1.1)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_a_stamp_that_is_none_does_not_stop_the_clock(odd):
    due = [time for time in shown([0.0, 0.1, odd, 0.3, 0.4]) if time is not None]
    assert all(np.isfinite(due)) and all(b > a for a, b in pairwise(due)) and len(due) >= 4
