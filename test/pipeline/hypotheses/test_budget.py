import pytest

from prehend.pipeline.hypotheses import budget as module
from prehend.pipeline.hypotheses.budget import FrameBudget


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved [s]."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_as_much_is_begun_as_there_is_time_for(clock):
    budget = FrameBudget(8.0)
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
    budget = FrameBudget(8.0)
    budget.begin()
    budget.took(2, 4.0)
    budget.took(1, 6.0)
    assert budget.piece_ms == 6.0
    budget.took(4, 8.0)
    assert 2.0 < budget.piece_ms < 6.0


def test_what_pieces_share_is_counted_once(clock):
    """1 ms whatever is done and 0.5 ms a piece: 14 fit into 8 ms, and it stays so whether one is done or all are."""
    budget = FrameBudget(8.0)
    budget.learn(1.5, 8, 5.0)
    budget.begin()
    assert (budget.piece_ms, budget.alone_ms, budget.fits(99)) == (0.5, 1.5, 14)
    for count in (1, 8, 3):
        budget.took(count, 1.0 + 0.5 * count)
        assert budget.piece_ms == pytest.approx(0.5)
    clock[0] += 0.007
    assert budget.fits(99) == 0, "1 ms is left, and not even one takes less"


@pytest.mark.parametrize("whole_ms", [0.1, 3.5, 8 * 3.5, 100.0])
def test_measurements_that_went_wrong_leave_a_budget_that_works(clock, whole_ms):
    budget = FrameBudget(8.0)
    budget.learn(3.5, 8, whole_ms)
    assert budget.piece_ms > 0 and -1e-9 <= budget.fixed <= 4.0 + 1e-9
    assert budget.piece_ms * (8 + budget.fixed) == pytest.approx(whole_ms)


def test_what_never_fits_is_tried_again_after_a_while(clock):
    budget = FrameBudget(8.0)
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
