import pytest

from prehend.pipeline.hypotheses import budget as module
from prehend.pipeline.hypotheses.budget import Budget


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved [s]."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_as_much_is_begun_as_there_is_time_for(clock):
    budget = Budget(8.0)
    budget.begin()
    assert budget.fits(5) == 1 and budget.fits(0) == 0, "nobody knows yet how long a piece takes"
    budget.took(1, 2.0)
    assert budget.fits(8) == 4 and budget.fits(3) == 3
    clock[0] += 0.005
    assert budget.fits(8) == 1
    clock[0] += 0.002
    assert budget.fits(8) == 0
    budget.begin(2.0)
    assert budget.fits(8) == 1, "a share of the frame"


def test_a_slow_piece_counts_at_once_and_a_quick_one_by_and_by(clock):
    budget = Budget(8.0)
    budget.begin()
    budget.took(2, 4.0)
    budget.took(1, 6.0)
    assert budget.piece_ms == 6.0
    budget.took(4, 8.0)
    assert 2.0 < budget.piece_ms < 6.0


def test_what_never_fits_is_tried_again_after_a_while(clock):
    budget = Budget(8.0)
    budget.begin()
    budget.took(1, 40.0)
    budget.end(True)
    frames = 0
    while not budget.fits(1):
        budget.begin()
        budget.end(True)
        frames += 1
    assert 5 < frames < 60
    budget.begin()
    budget.end(False)
    before = budget.piece_ms
    budget.begin()
    budget.end(False)
    assert budget.piece_ms == before, "there was nothing to do"
