"""The detector in a thread of its own: its answer comes an image late, and nothing else changes."""

import threading

import pytest

from prehend.errors import InvalidInput
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions


class Slow:
    """A detector that answers when it is let go, and says in which threads it was asked."""

    def __init__(self, finder):
        self._finder, self.go, self.threads = finder, threading.Event(), []
        self.go.set()

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def infer(self, stage, inputs):
        self.threads.append(threading.current_thread().name)
        assert self.go.wait(20)
        return self._finder.infer(stage, inputs)


@pytest.fixture
def beside(oracle, finder, camera, image):
    """The slow detector, an estimator with it, and a function that shows it the next image."""
    slow = Slow(finder)
    options = EstimatorOptions(detector_beside=True, find_interval_s=0.1)
    estimator, times = Estimator(oracle, slow, config=options), iter(range(10_000))

    def show(*scene, picture=image):
        oracle.scene = list(scene)
        return estimator.estimate(picture, camera, stamp=next(times) / 30)

    yield slow, estimator, show
    slow.go.set()
    estimator.close()


def test_hands_go_on_while_it_looks_and_a_new_one_is_found_by_its_answer(beside, new_hand) -> None:
    slow, _, show = beside
    left, right = new_hand("left", x=-0.12), new_hand("right", x=0.12)
    assert len(show(left).hands) == 1, "the first look is waited for: there is nothing else to do"
    slow.go.clear()
    results = [show(left, right) for _ in range(8)]
    assert all([hand.side for hand in result.hands] == ["left"] for result in results)
    assert not any(result.found for result in results)
    assert len(slow.threads) == 2, "one look at a time"
    slow.go.set()
    for _ in range(200):
        result = show(left, right)
        if result.found:
            break
    assert [hand.side for hand in result.hands] == ["left", "right"]
    assert result.hands[0].track_id == 1
    assert {name.startswith("prehend-detector") for name in slow.threads} == {True}


def test_a_reset_forgets_what_is_being_looked_at(beside, new_hand) -> None:
    slow, estimator, show = beside
    show(new_hand("left", x=0.0))
    slow.go.clear()
    for _ in range(4):
        show(new_hand("left", x=0.0))
    estimator.reset()
    slow.go.set()
    assert show().hands == ()


def test_what_fails_beside_is_raised(beside, new_hand, monkeypatch) -> None:
    slow, _, show = beside
    show(new_hand("left", x=0.0))

    def fail(stage, inputs):
        raise InvalidInput("no look today")

    monkeypatch.setattr(slow, "infer", fail)
    with pytest.raises(InvalidInput, match="no look today"):
        for _ in range(500):
            show(new_hand("left", x=0.0))
