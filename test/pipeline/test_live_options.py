"""Options that change between two images: they count from the next one on, and hands keep their numbers."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import ParameterError, UnknownName
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import LIVE, EstimatorOptions, check_live

OPTIONS = EstimatorOptions(smooth_min_cutoff_hz=0.0)


@pytest.fixture
def stream(oracle, finder, camera, image):
    """An estimator of what `oracle.scene` holds, and a function that shows it the next image."""
    estimator, times = Estimator(oracle, finder, config=OPTIONS), iter(range(10_000))

    def show(*scene):
        oracle.scene = list(scene)
        return estimator.estimate(image, camera, stamp=next(times) / 30)

    return estimator, show


def test_the_most_hands_and_the_numbers_of_those_that_stay(stream, new_hand) -> None:
    estimator, show = stream
    both = new_hand("left", x=-0.12), new_hand("right", x=0.12)
    for _ in range(15):
        result = show(*both)
    numbers = [hand.track_id for hand in result.hands]
    assert len(numbers) == 2
    estimator.change(replace(OPTIONS, max_hands=1))
    (one,) = show(*both).hands
    assert one.track_id in numbers
    estimator.change(replace(OPTIONS, max_hands=2))
    for _ in range(15):
        result = show(*both)
    assert one.track_id in [hand.track_id for hand in result.hands] and len(result.hands) == 2


def test_smoothing_can_be_switched_on_and_off(stream, new_hand) -> None:
    estimator, show = stream
    here, there = new_hand("right", x=0.0), new_hand("right", x=0.03)
    for _ in range(5):
        before = show(here).hands[0]
    estimator.change(replace(OPTIONS, smooth_min_cutoff_hz=0.5, smooth_beta=0.0))
    show(here)
    steady = show(there).hands[0]
    moved = np.linalg.norm(steady.joints_m[0] - before.joints_m[0])
    assert 0 < moved < 0.015, "it follows slowly"
    estimator.change(OPTIONS)
    free = show(there).hands[0]
    assert np.linalg.norm(free.joints_m[0] - before.joints_m[0]) > 0.025


def test_the_detector_looks_as_often_as_is_asked_now(stream, finder, new_hand) -> None:
    estimator, show = stream
    hand = new_hand("right", x=0.0)
    counts = []
    for interval_s in (1.0, 0.1):
        estimator.change(replace(OPTIONS, find_interval_s=interval_s))
        show(hand)
        before = finder.calls
        for _ in range(30):
            show(hand)
        counts.append(finder.calls - before)
    assert counts[0] <= 1 and counts[1] >= 9


def test_a_hand_out_of_sight_is_held_as_is_asked_now(stream, new_hand) -> None:
    estimator, show = stream
    for _ in range(5):
        show(new_hand("right", x=0.0))
    assert show().hands == ()
    estimator.change(replace(OPTIONS, lost="hold"))
    assert [hand.state for hand in show().hands] == ["coasting"]


def test_what_may_be_held_is_asked_anew(oracle, finder, camera, image, new_hand) -> None:
    hand, options = new_hand("right", x=0.0, grasp=True), replace(OPTIONS, object_id="mug")
    oracle.scene = [hand]
    estimator = Estimator(oracle, finder, config=OPTIONS)
    assert estimator.estimate(image, camera, stamp=0.0).hands[0].held_object.object_id == "unknown"
    estimator.change(options)
    assert estimator.estimate(image, camera, stamp=1 / 30).hands[0].held_object.object_id == "mug"
    estimator.change(OPTIONS)
    assert estimator.estimate(image, camera, stamp=2 / 30).hands[0].held_object.object_id == "unknown"


def test_what_counts_from_the_start_and_what_there_is_not_is_refused(stream, new_hand) -> None:
    estimator, show = stream
    show(new_hand("right", x=0.0))
    with pytest.raises(ParameterError, match=r"threads counts from the start.*max_hands"):
        estimator.change(replace(OPTIONS, threads=3))
    with pytest.raises(UnknownName, match="mugg"):
        estimator.change(replace(OPTIONS, object_id="mugg", max_hands=1))
    assert len(show(new_hand("right", x=0.0)).hands) == 1, "it goes on as before"


def test_every_live_option_is_one() -> None:
    assert set(LIVE) <= set(EstimatorOptions.__dataclass_fields__)
    check_live(OPTIONS, replace(OPTIONS, **{name: getattr(EstimatorOptions(), name) for name in LIVE}))
