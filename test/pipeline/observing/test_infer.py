"""Hands of an image that a backend takes side by side: two calls at once, and the answers of one after the other."""

import threading

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.pipeline.estimator import Estimator


class Pair:
    """A backend that wants two calls at once, and waits in the first ones until both are there."""

    at_once = 2

    def __init__(self, backend):
        self._backend, self.threads, self._met = backend, set(), threading.Barrier(2)

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def infer(self, stage, inputs):
        own = threading.current_thread().name
        if own not in self.threads:
            self.threads.add(own)
            self._met.wait(20)
        return self._backend.infer(stage, inputs)


@pytest.fixture
def scene(oracle, new_hand):
    oracle.scene = [new_hand("left", x=-0.12, grasp=True), new_hand("right", x=0.0), new_hand("right", x=0.12)]
    return oracle


def test_side_by_side_they_get_what_they_get_together(scene, finder, camera, image) -> None:
    together = Estimator(scene, finder).estimate(image, camera)
    scene.batches.clear()
    pair = Pair(scene)
    with Estimator(pair, finder) as estimator:
        beside = estimator.estimate(image, camera)
    assert len(pair.threads) == 2
    assert {count for stage, count in scene.batches if stage == "hand"} == {1, 2}
    assert len(together.hands) == 3
    for one, other in zip(together.hands, beside.hands, strict=True):
        assert (one.track_id, one.side, one.grasp) == (other.track_id, other.side, other.grasp)
        assert (one.held_object is None) == (other.held_object is None)
        np.testing.assert_allclose(one.joints_m, other.joints_m, atol=1e-6)


def test_one_hand_needs_no_other_thread(oracle, finder, camera, image, new_hand) -> None:
    oracle.scene = [new_hand("left", x=0.0)]
    oracle.at_once = 2
    before = threading.active_count()
    with Estimator(oracle, finder) as estimator:
        assert len(estimator.estimate(image, camera).hands) == 1
        assert threading.active_count() == before


@pytest.mark.parametrize("failing", ["prehend-hands", "MainThread"])
def test_what_fails_in_either_thread_is_raised(scene, finder, camera, image, failing) -> None:
    class Failing(Pair):
        def infer(self, stage, inputs):
            if threading.current_thread().name.startswith(failing) and stage == "hand":
                raise InvalidInput("no answer today")
            return super().infer(stage, inputs)

    with Estimator(Failing(scene), finder) as estimator, pytest.raises(InvalidInput, match="no answer today"):
        estimator.estimate(image, camera)
