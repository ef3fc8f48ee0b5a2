"""Batches that are made ahead: in order, all of them, and a failure is not swallowed."""

import threading
import time

import numpy as np
import pytest

from prehend_training.data.loader import AHEAD, Steps, prefetched


class Counting:
    """Makes batches that tell their step, and notes what was asked for."""

    def __init__(self, bad=None, slow_s=0.0):
        self.bad, self.slow_s, self.asked = bad, slow_s, []

    def batch(self, step, part=(0, 1)):
        self.asked.append(step)
        time.sleep(self.slow_s)
        if step == self.bad:
            raise ValueError(f"step {step}")
        return {"step": np.array([step]), "part": np.array(part)}


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (3, 9), (5, 5)])
def test_all_steps_come_once_and_in_order(start, stop):
    source = Counting(slow_s=0.001)
    assert [int(batch["step"][0]) for batch in prefetched(source, start, stop, 0)] == list(range(start, stop))
    assert source.asked == list(range(start, stop))


def test_a_part_is_passed_on():
    (batch,) = prefetched(Counting(), 0, 1, 0, part=(2, 5))
    assert batch["part"].tolist() == [2, 5]


def test_a_failure_comes_at_its_step_and_not_before():
    feed = prefetched(Counting(bad=2), 0, 5, 0)
    assert [int(next(feed)["step"][0]) for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="step 2"):
        next(feed)


def test_no_more_is_made_ahead_than_allowed():
    source = Counting()
    feed = prefetched(source, 0, None, 0)
    next(feed)
    deadline = time.monotonic() + 5
    while len(source.asked) < AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(source.asked) <= AHEAD + 1
    feed.close()


def test_a_feed_that_is_left_leaves_no_thread():
    feed = prefetched(Counting(slow_s=0.01), 0, None, 0)
    next(feed)
    feed.close()
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())


@pytest.mark.parametrize(("start", "stop", "expected"), [(2, 5, [2, 3, 4]), (2, 2, []), (7, None, [7, 8, 9])])
def test_steps_may_have_no_end(start, stop, expected):
    steps = iter(Steps(start, stop))
    assert [step for step, _ in zip(steps, range(3), strict=False)] == expected
